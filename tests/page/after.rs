//! What comes after a send on the page: verification, correction, recall, readers, and a doubt that settles itself.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::browser::Browser;
use super::{Site, browse};
use crate::callbacks::{SECRET, ask, signed};
use crate::reconcile::service::{file_answer, line, start_ms};
use crate::support::Project;
use crate::support::service::{Request, Service, json as answer};

const SETTINGS: &str = "[app.limits]\ngroup_per_second = 10000\nedit_per_second = 10000\n";

/// A text to twelve groups, and two broadcasts with the same image.
const SCRIPT: &str = r#"
local groups = {}
for i = 1, 12 do groups[i] = 184524748161000 + i end
im.broadcast { name = "news", to = groups, message = { type = "txt", need_group_ack = true, body = { msg = "Sael today" } } }
local image = { type = "img", body = { url = "https://files.example/poster", secret = "s", filename = "poster.png", size = { width = 1, height = 1 } } }
im.broadcast { name = "poster", to = { 1, 2 }, message = image }
im.broadcast { name = "more", to = { 4 }, message = image }
"#;

/// A service that accepts all messages, and whose history lacks those that moderation stopped: of the groups with the
/// numbers 7 and 9.
pub(super) fn moderating() -> Service {
    let accepted: Mutex<Vec<(String, String, Value)>> = Mutex::default();
    let address: Arc<std::sync::OnceLock<String>> = Arc::default();
    let own = Arc::clone(&address);
    let service = Service::answering(move |count, request| {
        let mut accepted = accepted.lock().unwrap();
        if let Some((_, hour)) = request.path.split_once("/chatmessages/") {
            let url = format!("{}/files/{hour}", own.get().unwrap());
            return answer(200, &json!({ "data": [{ "url": url }] }).to_string());
        }
        if let Some((_, ids)) = request.path.split_once("/chatgroups/").filter(|_| request.method == "GET") {
            let groups: Vec<Value> =
                ids.split(',').map(|id| json!({ "id": id, "name": id, "affiliations_count": 3 })).collect();
            return answer(200, &json!({ "data": groups }).to_string());
        }
        if let Some((_, hour)) = request.path.split_once("/files/") {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            for (id, group, message) in accepted.iter() {
                writeln!(gzip, "{}", line(id, start_ms(hour) + 1000, group, message)).unwrap();
            }
            return file_answer(&gzip.finish().unwrap());
        }
        if request.path.contains("/messages/rewrite/") {
            return answer(200, r#"{"data":"success"}"#);
        }
        let message = request.json();
        if request.path.ends_with("/batch_recall") {
            let data: Vec<Value> = message["msgs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| json!({ "msg_id": one["msg_id"], "recalled": "yes", "to": one["to"] }))
                .collect();
            return answer(200, &json!({ "data": data }).to_string());
        }
        let mut receipts = serde_json::Map::new();
        for (at, group) in message["to"].as_array().unwrap().iter().enumerate() {
            let (group, id) = (group.as_str().unwrap().to_owned(), format!("{}", 1000 + count * 10 + at));
            receipts.insert(group.clone(), id.clone().into());
            if !group.ends_with("1007") && !group.ends_with("1009") {
                accepted.push((id, group, message.clone()));
            }
        }
        answer(200, &json!({ "data": receipts }).to_string())
    });
    address.set(service.url()).unwrap();
    service
}

pub(super) fn requests(service: &Service, path: &str) -> Vec<Request> {
    service.requests().into_iter().filter(|request| request.path.contains(path)).collect()
}

/// Takes pictures of what the browser shows, on a desk and a phone, by day and by night.
async fn pictures(browser: &Browser, name: &str) {
    for (width, height, dark) in [(1280, 900, false), (1280, 900, true), (360, 740, false), (360, 740, true)]
    {
        browser.show(width, height, dark).await;
        browser.fits().await;
        let screen = if width < 400 { "phone" } else { "desk" };
        browser.picture(&format!("{name}-{screen}-{}", if dark { "night" } else { "day" })).await;
    }
    browser.show(1280, 900, false).await;
}

#[test]
fn a_broadcast_is_verified_corrected_and_recalled_from_its_page() {
    let service = moderating();
    let project = Project::with_script(SCRIPT).file("mooncast.toml", SETTINGS);
    project.run_against(&service).exits(0);
    // The first was sent more than a day ago, so that its history is complete, and some members have read it.
    let day = 26 * 3_600_000;
    project.run_in_store(&format!(
        "UPDATE recipients SET updated_at = updated_at - {day} WHERE broadcast = 1;
        UPDATE broadcasts SET finished_at = finished_at - {day} WHERE id = 1;
        INSERT INTO read_receipts (app, message_id, member, at)
            SELECT 1, message_id, 'ann', updated_at + 60000 FROM recipients WHERE broadcast = 1 AND seq < 6;
        INSERT INTO read_receipts (app, message_id, member, at)
            SELECT 1, message_id, 'bob', updated_at + 9000000 FROM recipients WHERE broadcast = 1 AND seq < 9"
    ));
    let site =
        Site::start(&project, project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]));
    browse(async {
        let browser = site.operator("en-US").await;
        browser.open(&site.url("/broadcasts/1")).await;
        browser.wait_text("#reach", "13 readers; 66 % of the messages were read").await;
        for (row, told) in [(1, "within 1 h"), (2, "within 6 h"), (3, "within 1 d"), (4, "so far")] {
            browser.wait_text(&format!("#reach tbody tr:nth-child({row}) th"), told).await;
        }
        browser.wait_text("#reach tbody tr:nth-child(1)", "41 %").await;

        browser.click("a[href$='/verify']").await;
        browser.wait_text("dialog[open]", "Verify news/1 by the service's records?").await;
        browser.picture("verify-ask").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "The service has a record of 10 messages of news/1.").await;
        browser.wait_text("#broadcast", "10 sent messages; 2 missing, 0 not known yet").await;
        for group in ["184524748161007", "184524748161009"] {
            browser.wait_text("#broadcast .uneasy", group).await;
        }
        browser.wait_text("#broadcast .uneasy", "Most likely moderation stopped").await;
        browser.open(&site.url("/broadcasts/1")).await;
        browser.wait_text("#recipients", "no record of it").await;
        let missing = "[...document.querySelectorAll('#recipients tbody tr')].filter((row) => row.innerText.includes('no record of it')).length";
        assert_eq!(browser.value(missing).await, json!(2));
        pictures(&browser, "verified-en").await;

        browser.click("a[href$='/edit']").await;
        browser.wait_text("dialog[open]", "Correct the text of news/1?").await;
        browser.wait_text("dialog[open]", "The messages to 12 recipients get this text.").await;
        assert_eq!(
            browser.value("document.querySelector('dialog textarea').value").await,
            json!("Sael today")
        );
        pictures(&browser, "edit-ask-en").await;
        browser.value("document.querySelector('dialog textarea').value = 'Sale today'").await;
        browser.click("dialog summary").await;
        browser.fill("dialog #ext", "[1]").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "is no JSON object").await;
        assert!(requests(&service, "/rewrite/").is_empty());
        browser.click("a[href$='/edit']").await;
        browser.wait_text("dialog[open]", "Correct the text of news/1?").await;
        browser.value("document.querySelector('dialog textarea').value = 'Sale today'").await;
        browser.click("dialog summary").await;
        browser.fill("dialog #ext", "{\"corrected\": true}").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "12 messages of news/1 get the new text.").await;
        browser.open(&site.url("/")).await;
        browser.wait_text("#finished", "news.edit").await;
        let edits = requests(&service, "/rewrite/");
        let new =
            json!({ "new_msg": { "type": "txt", "msg": "Sale today" }, "new_ext": { "corrected": true } });
        assert!(edits.len() == 12 && edits.iter().all(|edit| edit.json() == new), "{edits:?}");

        // A recall that would take the file from other messages is refused without the tick.
        browser.open(&site.url("/broadcasts/2")).await;
        browser.click("a[href$='/recall']").await;
        browser.wait_text("dialog[open]", "The service also deletes the file").await;
        browser.wait_text("dialog[open]", "Messages of more/1 use it too").await;
        pictures(&browser, "recall-ask-en").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "nothing was recalled").await;
        browser.picture("recall-refused-en").await;
        assert!(requests(&service, "/batch_recall").is_empty());
        browser.click("a[href$='/recall']").await;
        browser.click("dialog input[type=checkbox]").await;
        browser.click("dialog button").await;
        browser.wait_text("#notice", "2 messages of poster/1 were recalled.").await;
        browser.wait_text("#notice", "https://files.example/poster").await;
        assert_eq!(requests(&service, "/batch_recall").len(), 1);
        browser.close().await;

        let browser = site.operator("zh-CN,zh").await;
        browser.open(&site.url("/broadcasts/1")).await;
        browser.wait_text("#reach", "13 人已读").await;
        pictures(&browser, "verified-zh").await;
        browser.click("a[href$='/edit']").await;
        browser.wait_text("dialog[open]", "修改 news/1 的文本？").await;
        pictures(&browser, "edit-ask-zh").await;
        browser.open(&site.url("/broadcasts/3/recall")).await;
        pictures(&browser, "recall-ask-zh").await;
        browser.close().await;
    });
}

#[test]
fn a_doubt_settles_itself_while_its_page_is_open() {
    // The second group's message is accepted, and its answer is lost.
    let service = Service::answering(|count, request| match request.json()["to"][0].as_str() {
        Some("2") => answer(502, "<html>bad gateway</html>"),
        _ => crate::support::service::accept(count, request),
    });
    let script = "im.broadcast { name = 'news', to = { 1, 2 }, message = function(id) return { type = 'txt',
        from = 'press', body = { msg = 'hello ' .. id } } end }";
    let project = Project::with_script(script).file("mooncast.toml", SETTINGS);
    project.run_against(&service).exits(3);
    let mut command = project.command_against(&service, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("MOONCAST_CALLBACK_SECRET", SECRET);
    let site = Site::start(&project, command);
    browse(async {
        let browser = site.operator("en-US").await;
        browser.open(&site.url("/broadcasts/1")).await;
        browser.wait_text("#broadcast a[href*='state=in_doubt'] strong", "1").await;
        browser.wait_text("#broadcast", "may still be settled").await;
        pictures(&browser, "doubt-waits-en").await;
        browser.value("window.stays = true").await;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let event = json!({
            "callId": "c1", "eventType": "chat", "timestamp": u64::try_from(now).unwrap(), "chat_type": "groupchat",
            "group_id": "2", "from": "press", "to": "2", "msg_id": "77", "securityVersion": "1.0.0",
            "appkey": "org#app", "host": "h", "content_type": "chat:group:text",
            "payload": { "bodies": [{ "type": "txt", "msg": "hello 2" }], "ext": {} },
        });
        // A slow machine may not store it in time; then the service posts it once more.
        let post = || ask(&site.address, "POST /callbacks/default", &signed(&event, SECRET)).0;
        assert_eq!((0..50).map(|_| post()).find(|status| *status != 503), Some(200));
        browser.wait_text("#broadcast a[href*='state=sent'] strong", "2").await;
        browser.wait_text("#broadcast a[href*='state=in_doubt'] strong", "0").await;
        assert_eq!(browser.value("window.stays").await, json!(true), "the page was not loaded again");
        browser.picture("doubt-settled-en").await;
        browser.open(&site.url("/broadcasts/1/edit")).await;
        browser.wait_text("form.ask", "These messages differ from recipient to recipient").await;
        browser.picture("edit-differ-en").await;
        browser.close().await;
    });
}
