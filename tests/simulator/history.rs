//! History files.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use mooncast::{HistorySettings, HourZone, SimulatorLimits, SimulatorSettings};
use serde_json::{Value, json};

use super::harness::{Reply, Service, bearer, settings};

/// The hour of the tests' start, 2023-11-14T22:13:20Z.
const HOUR: &str = "2023111422";
const MINUTE: u64 = 60_000;

async fn ask(service: &Service, hour: &str) -> Reply {
    service.get(&format!("/o/a/chatmessages/{hour}")).await
}

/// Returns the path of the file of an hour.
async fn path(service: &Service, hour: &str) -> String {
    let reply = ask(service, hour).await;
    let url = reply.json()["data"][0]["url"].as_str().unwrap().to_owned();
    url.strip_prefix("http://fake.test").unwrap().to_owned()
}

/// Returns the lines of the file of an hour.
async fn lines(service: &Service, hour: &str) -> Vec<Value> {
    let reply = service.call("GET", &path(service, hour).await, &[], b"").await;
    assert_eq!(reply.status, 200);
    let mut text = String::new();
    GzDecoder::new(&reply.body[..]).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_file_has_the_messages_of_its_hour_as_the_contract_shows() {
    let service = Service::start(settings()).await;
    service.time.advance(7);
    let id = service.sent("1", "txt", &json!({ "msg": "hello" })).await;
    // The hour ends at 23:00.
    service.time.advance(47 * MINUTE);
    let later = service.sent("1", "txt", &json!({ "msg": "later" })).await;
    service.time.advance(61 * MINUTE);
    let expected = json!([{
        "msg_id": id, "timestamp": 1_700_000_000_007_u64, "direction": "outgoing", "chat_type": "groupchat",
        "payload": { "bodies": [{ "type": "txt", "msg": "hello" }], "ext": {}, "from": "admin", "to": "1" },
        "from": "o#a_admin", "to": "o#a_1@conference",
    }]);
    assert_eq!(json!(lines(&service, HOUR).await), expected);
    service.time.advance(60 * MINUTE);
    let next = lines(&service, "2023111423").await;
    assert_eq!(next.iter().map(|line| &line["msg_id"]).collect::<Vec<_>>(), [&json!(later)]);
}

#[tokio::test]
async fn bodies_are_written_as_the_service_writes_them() {
    let limits = SimulatorLimits::lifted();
    let service = Service::start(SimulatorSettings { limits, ..settings() }).await;
    let upload = service.uploaded(b"12345").await;
    let cases = [
        (
            "loc",
            json!({ "lat": "39.5", "lng": "116", "addr": "x" }),
            json!({ "lat": 39.5, "lng": 116.0, "addr": "x" }),
        ),
        (
            "custom",
            json!({ "customEvent": "e", "customExts": { "k": "v" } }),
            json!({ "customEvent": "e", "customExts": [{ "k": "v" }], "v2:customExts": { "k": "v" } }),
        ),
        ("audio", json!({ "url": "u", "Length": 3 }), json!({ "url": "u", "length": 3 })),
        ("file", json!({ "url": &upload }), json!({ "url": &upload, "file_length": 5 })),
        ("cmd", json!({ "action": "a" }), json!({ "action": "a" })),
    ];
    for (kind, body, _) in &cases {
        service.sent("1", kind, body).await;
    }
    service.time.advance(120 * MINUTE);
    for (line, (kind, _, body)) in lines(&service, HOUR).await.iter().zip(cases) {
        let mut body = body;
        body["type"] = json!(kind);
        assert_eq!(line["payload"]["bodies"], json!([body]));
    }
}

#[tokio::test]
async fn the_hour_is_of_the_zone_that_is_set() {
    let history = HistorySettings { zone: HourZone::Shanghai, ..HistorySettings::default() };
    let service = Service::start(SimulatorSettings { history, ..settings() }).await;
    service.sent("1", "txt", &json!({ "msg": "hello" })).await;
    service.time.advance(120 * MINUTE);
    assert_eq!(lines(&service, "2023111506").await.len(), 1);
    assert_eq!(lines(&service, "2023111505").await.len(), 0);
}

#[tokio::test]
async fn a_file_comes_after_its_delay_and_goes_after_three_days() {
    let delay = Duration::from_hours(3);
    let history = HistorySettings { delay, ..HistorySettings::default() };
    let service = Service::start(SimulatorSettings { history, ..settings() }).await;
    let missing = (404, "storage_object_not_found");
    let expired = (400, "illegal_argument");
    // Until 23:00 the hour runs, and until 02:00 its file is not there.
    let steps =
        [(0, Some(missing)), (47, Some(missing)), (178, Some(missing)), (2, None), (71 * 60 - 180, None)];
    for (minutes, refused) in steps.into_iter().chain([(65, Some(expired))]) {
        service.time.advance(minutes * MINUTE);
        let reply = ask(&service, HOUR).await;
        let got = (reply.status != 200).then(|| reply.refusal());
        let got = got.as_ref().map(|(status, error, _)| (*status, error.as_str()));
        assert_eq!(got, refused, "{minutes}");
    }
    let description = ask(&service, HOUR).await.refusal().2;
    let expired = format!(
        "illegal arguments: appkey: o#a, time: {HOUR}, maybe chat message history is expired or unstored"
    );
    assert_eq!(description, expired);
    service.time.advance(MINUTE);
    for wrong in ["20231114", "2023111499", "hour", "2030010100"] {
        assert_eq!(ask(&service, wrong).await.refusal().1, "illegal_argument", "{wrong}");
    }
}

#[tokio::test]
async fn a_partial_file_lacks_messages_until_it_is_complete() {
    let history = HistorySettings { partial: true, ..HistorySettings::default() };
    let service = Service::start(SimulatorSettings { history, ..settings() }).await;
    for _ in 0..4 {
        service.sent("1", "txt", &json!({ "msg": "hello" })).await;
    }
    service.time.advance(47 * MINUTE);
    assert_eq!(lines(&service, HOUR).await.len(), 2);
    service.time.advance(60 * MINUTE);
    assert_eq!(lines(&service, HOUR).await.len(), 4);
}

#[tokio::test]
async fn ten_calls_a_minute_pass_and_files_are_not_counted() {
    let service = Service::start(settings()).await;
    service.time.advance(120 * MINUTE);
    let file = path(&service, HOUR).await;
    for _ in 0..9 {
        assert_eq!(ask(&service, HOUR).await.status, 200);
    }
    assert_eq!(ask(&service, HOUR).await.refusal().1, "reach_limit");
    for _ in 0..30 {
        assert_eq!(service.call("GET", &file, &[], b"").await.status, 200);
    }
    service.time.advance(MINUTE - 1);
    assert_eq!(ask(&service, HOUR).await.status, 429);
    service.time.advance(1);
    assert_eq!(ask(&service, HOUR).await.status, 200);
}

#[tokio::test]
async fn a_file_takes_no_token_and_tells_who_sent_one() {
    let service = Service::start(settings()).await;
    service.time.advance(120 * MINUTE);
    let file = path(&service, HOUR).await;
    assert_eq!(service.call("GET", &file, &[], b"").await.status, 200);
    assert_eq!(service.simulator.stats().history_files_with_token, 0);
    assert_eq!(service.call("GET", &file, &[bearer()], b"").await.status, 200);
    let stats = service.simulator.stats();
    assert_eq!((stats.history_files_with_token, stats.calls["history-file"]), (1, 2));
    for wrong in ["/history/2023111422.gz", "/history/2023111422-x.gz", "/history/"] {
        assert_eq!(service.call("GET", wrong, &[], b"").await.status, 404, "{wrong}");
    }
    assert_eq!(service.call("POST", &file, &[], b"").await.status, 405);
}

#[tokio::test]
async fn faults_break_files_too() {
    let faults = "history:at=1:503; history-file:at=1:truncated".parse().unwrap();
    let service = Service::start(SimulatorSettings { faults, ..settings() }).await;
    service.sent("1", "txt", &json!({ "msg": "hello" })).await;
    service.time.advance(120 * MINUTE);
    assert_eq!(ask(&service, HOUR).await.status, 503);
    let file = path(&service, HOUR).await;
    let broken = service.call("GET", &file, &[], b"").await;
    assert!(GzDecoder::new(&broken.body[..]).read_to_end(&mut Vec::new()).is_err());
    assert_eq!(lines(&service, HOUR).await.len(), 1);
}

#[tokio::test]
async fn a_moderated_message_is_answered_and_is_in_no_file() {
    let faults = "send:contains=\u{8d4c}\u{573a}:moderated; targeted:p=1:moderated".parse().unwrap();
    let service = Service::start(SimulatorSettings { faults, ..settings() }).await;
    let kept = service.sent("1", "txt", &json!({ "msg": "hello" })).await;
    // The word is found although the request escapes it.
    let body = br#"{"to":["1","2"],"type":"txt","body":{"msg":"\u8d4c\u573a"}}"#;
    let headers = [bearer(), super::harness::as_json()];
    let reply = service.call("POST", "/o/a/messages/chatgroups", &headers, body).await;
    assert_eq!((reply.status, reply.json()["data"].as_object().unwrap().len()), (200, 2));
    let mut targeted = super::harness::text(&["1"]);
    targeted["users"] = json!(["user2"]);
    assert_eq!(service.targeted(&targeted).await.status, 200);
    assert_eq!(service.simulator.stats().moderated, 3);
    let told: Vec<_> = service.simulator.received_by("1").iter().map(|message| message.moderated).collect();
    assert_eq!(told, [false, true, true]);
    service.time.advance(120 * MINUTE);
    let got = lines(&service, HOUR).await;
    assert_eq!(got.iter().map(|line| &line["msg_id"]).collect::<Vec<_>>(), [&json!(kept)]);
}

#[tokio::test]
async fn only_the_newest_messages_are_stored() {
    let service = Service::start(SimulatorSettings { stored_messages: 3, ..settings() }).await;
    for group in ["1", "1", "2", "1", "2"] {
        service.sent(group, "txt", &json!({ "msg": group })).await;
    }
    let stored = |group| service.simulator.received_by(group).len();
    assert_eq!((stored("1"), stored("2")), (1, 2));
    assert_eq!((service.simulator.count("1"), service.simulator.count("2")), (3, 2));
    service.time.advance(120 * MINUTE);
    assert_eq!(lines(&service, HOUR).await.len(), 3);
}
