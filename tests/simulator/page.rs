//! The simulator's page as a program gets it: its contents, its headers, and that nothing in it can run.

use mooncast::{RecordMode, SimulatorLimits, SimulatorSettings};
use serde_json::json;

use super::harness::{Reply, Service, settings};

/// The first bytes of a PNG, which is enough for its type.
const PNG: &[u8] = &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0];

/// A text that would run if it were not escaped.
const PROBE: &str = "<img src=x onerror=\"alert(1)\"><script>alert(1)</script>'\"&{{7*7}}";

async fn open(service: &Service, path: &str) -> String {
    let reply = service.call("GET", path, &[], b"").await;
    assert_eq!(reply.status, 200, "{path}");
    String::from_utf8(reply.body).unwrap()
}

fn lifted() -> SimulatorSettings {
    SimulatorSettings { limits: SimulatorLimits::lifted(), ..settings() }
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let mut lines = reply.head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[tokio::test]
async fn each_recipient_shows_its_messages_in_order() {
    let service = Service::start(lifted()).await;
    assert!(open(&service, "/").await.contains("Nothing was received yet"));
    service.sent("7", "txt", &json!({ "msg": "first" })).await;
    let second = service.sent("7", "txt", &json!({ "msg": "second" })).await;
    service.sent("8", "txt", &json!({ "msg": "other" })).await;
    service
        .targeted(
            &json!({ "to": ["7"], "users": ["ann", "ben"], "type": "txt", "body": { "msg": "for two" } }),
        )
        .await;
    let page = open(&service, "/?to=7").await;
    let places: Vec<usize> =
        ["class=\"text\">first<", "class=\"text\">second<", "class=\"text\">for two<", "only for ann, ben"]
            .iter()
            .map(|text| page.find(text).unwrap_or_else(|| panic!("no {text} in {page}")))
            .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(!page.contains("class=\"text\">other<"));
    assert!(page.contains("4 messages received") && page.contains("2 recipients"));
    assert!(page.contains("2023-11-14 UTC") && page.contains("22:13:20"));
    // A recall and an edit leave a mark.
    let recall = json!({ "msgs": [{ "msg_id": second, "to": "7", "chat_type": "groupchat", "force": true,
        "recallMessageExtensionInfo": "wrong date" }] });
    assert_eq!(service.post("/o/a/messages/batch_recall", &recall).await.status, 200);
    let third = service.sent("7", "txt", &json!({ "msg": "third" })).await;
    let edit = json!({ "new_msg": { "type": "txt", "msg": "third, corrected" } });
    assert_eq!(service.put(&format!("/o/a/messages/rewrite/{third}"), &edit).await.status, 200);
    let page = open(&service, "/?to=7").await;
    assert!(
        page.contains("recalled: wrong date")
            && page.contains("third, corrected")
            && page.contains(">edited<")
    );
}

#[tokio::test]
async fn every_type_has_its_own_look_and_nothing_of_another_host_is_loaded() {
    let service = Service::start(lifted()).await;
    let picture = service.uploaded(PNG).await;
    let uuid = picture.rsplit('/').next().unwrap().to_owned();
    let voice = service.uploaded(&[0; 2048]).await;
    for (kind, body) in [
        ("img", json!({ "url": format!("http://fake.test{picture}"), "filename": "cat.png" })),
        ("img", json!({ "url": "https://elsewhere.test/cat.png", "filename": "far.png" })),
        ("audio", json!({ "url": format!("http://fake.test{voice}"), "filename": "a.amr", "length": 7 })),
        ("video", json!({ "url": "javascript:alert(1)", "filename": "v.mp4", "length": 9 })),
        ("file", json!({ "url": "http://fake.test/o/a/chatfiles/none", "filename": "list.pdf" })),
        ("loc", json!({ "lat": "39.966", "lng": "116.322", "addr": "Beijing" })),
        ("cmd", json!({ "action": "sync" })),
        ("custom", json!({ "customEvent": "gift", "customExts": { "rose": "3" } })),
    ] {
        service.sent("7", kind, &body).await;
    }
    let page = open(&service, "/?to=7").await;
    for text in [
        &*format!("<img src=\"/_sim/picture/{uuid}\" alt=\"cat.png\""),
        "href=\"https://elsewhere.test/cat.png\"",
        "7 s",
        "2.0 KiB",
        "v.mp4",
        "the file is no longer stored",
        "Beijing",
        "39.966, 116.322",
        "sync",
        "clients do not show it",
        "gift",
        "<dt>rose</dt><dd>3</dd>",
    ] {
        assert!(page.replace("&#x2f;", "/").contains(text), "no {text} in {page}");
    }
    assert_eq!(page.matches("<img").count(), 1);
    assert!(!page.contains("javascript:"));
    let reply = service.call("GET", &format!("/_sim/picture/{uuid}"), &[], b"").await;
    assert_eq!((header(&reply, "content-type"), reply.body.as_slice()), (Some("image/png"), PNG));
    assert_eq!(header(&reply, "x-content-type-options"), Some("nosniff"));
    // What is no picture is not given out.
    let other = voice.rsplit('/').next().unwrap();
    assert_eq!(service.call("GET", &format!("/_sim/picture/{other}"), &[], b"").await.status, 404);
}

#[tokio::test]
async fn nothing_in_the_page_can_run() {
    let service = Service::start(lifted()).await;
    service
        .send(&json!({ "from": PROBE, "to": ["7", PROBE], "type": "txt", "body": { "msg": PROBE },
            "ext": { PROBE: PROBE } }))
        .await;
    service.sent("7", "custom", &json!({ "customExts": { PROBE: PROBE } })).await;
    service
        .sent("7", "img", &json!({ "url": "https://x.test/\"onclick=\"alert(1)", "filename": PROBE }))
        .await;
    let probe: String = url::form_urlencoded::byte_serialize(PROBE.as_bytes()).collect();
    for path in ["/", "/?to=7", &format!("/?to={probe}"), &format!("/?find={probe}&live=1")] {
        let reply = service.call("GET", path, &[], b"").await;
        let policy = header(&reply, "content-security-policy").unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("script"), "{policy}");
        let page = String::from_utf8(reply.body).unwrap();
        assert!(
            !page.contains("<script") && !page.contains("<img") && !page.contains("onclick=\"alert"),
            "{page}"
        );
        assert!(!page.contains("onerror=\""), "{page}");
    }
    assert!(open(&service, "/?to=7").await.contains("&lt;script&gt;"));
}

#[tokio::test]
async fn thousands_of_recipients_are_paged_and_found() {
    let service = Service::start(lifted()).await;
    for group in 0..2100 {
        service
            .send(&json!({ "to": [format!("group{group}")], "type": "txt", "body": { "msg": "x" } }))
            .await;
    }
    let items = |page: &str| page.matches("<li><a ").count();
    let first = open(&service, "/").await;
    assert_eq!(items(&first), 50);
    assert!(first.contains("Page 1 of 42") && first.contains(">group2099<"));
    let last = open(&service, "/?page=42").await;
    assert_eq!(items(&last), 50);
    assert!(last.contains(">group0<"));
    // A page that does not exist shows the nearest one.
    assert!(open(&service, "/?page=99").await.contains("Page 42 of 42"));
    let found = open(&service, "/?find=p209").await;
    assert_eq!(items(&found), 11);
    assert!(open(&service, "/?find=nobody").await.contains("No recipient has this in its ID"));
    for _ in 0..230 {
        service.sent("group5", "txt", &json!({ "msg": "y" })).await;
    }
    let newest = open(&service, "/?to=group5").await;
    assert_eq!(newest.matches("class=\"message").count(), 100);
    assert!(newest.contains("before=131"));
    let before = open(&service, "/?to=group5&before=31").await;
    assert_eq!(before.matches("class=\"message").count(), 31);
    assert!(before.contains("Latest messages"));
}

#[tokio::test]
async fn the_page_speaks_the_reader_s_language_and_the_service_is_as_before() {
    let service = Service::start(lifted()).await;
    service.text(&["7"]).await;
    let chinese = service.call("GET", "/?to=7", &[("accept-language", "zh-CN,zh;q=0.9")], b"").await;
    let chinese = String::from_utf8(chinese.body).unwrap();
    assert!(chinese.contains("lang=\"zh-CN\"") && chinese.contains("收到 1 条消息"), "{chinese}");
    let style = service.call("GET", "/_sim/page.css", &[], b"").await;
    assert_eq!(header(&style, "content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(service.call("POST", "/", &[], b"").await.status, 404);
    assert_eq!(service.call("GET", "/other", &[], b"").await.status, 404);
    let counts = service.call("GET", "/_sim/received", &[], b"").await.json();
    assert_eq!(counts, json!({ "messages": 1, "groups": { "7": 1 } }));
    // Looking at the page is no call of the service.
    assert_eq!(service.simulator.stats().calls.keys().collect::<Vec<_>>(), [&"send"]);
    let service = Service::start(SimulatorSettings { keep: RecordMode::Counts, ..lifted() }).await;
    service.text(&["7"]).await;
    assert!(open(&service, "/?to=7").await.contains("Only the number of messages is stored"));
}
