//! The answers to accepted messages, and what the simulator reports about them.

use mooncast::{RecordMode, SimulatorLimits, SimulatorSettings};
use serde_json::{Value, json};

use super::harness::{Service, as_json, bearer, settings, text};

#[tokio::test]
async fn an_answer_has_the_shape_of_the_pages_example() {
    let service = Service::start(settings()).await;
    service.time.advance(52);
    let reply = service.send(&text(&["184524748161025"])).await;
    let mut json = reply.json();
    let id = json["data"]["184524748161025"].take();
    let id = id.as_str().unwrap();
    assert!(id.len() == 19 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
    let application = json["application"].take();
    assert_eq!(application.as_str().unwrap().split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    let expected = json!({
        "path": "/messages/chatgroups",
        "uri": "http://fake.test/o/a/messages/chatgroups",
        "timestamp": 1_700_000_000_052_u64,
        "organization": "o",
        "application": null,
        "action": "post",
        "data": { "184524748161025": null },
        "duration": 0,
        "applicationName": "a",
    });
    assert_eq!((reply.status, json), (200, expected));
}

#[tokio::test]
async fn every_message_is_told_per_group_as_it_was_sent() {
    let service = Service::start(settings()).await;
    let body = "{ \"to\": [\"7\", \"no such group\"],\n\t\"type\":\"loc\", \"body\": {\"lat\":\"39.966\", \"lng\":\"116.322\",\
                 \"addr\":\"中国 \\u5317\"}, \"unknown\": 1.50 }";
    let reply =
        service.call("POST", "/o/a/messages/chatgroups", &[bearer(), as_json()], body.as_bytes()).await;
    let data = reply.json()["data"].clone();
    service.time.advance(5);
    let mut targeted = text(&["7"]);
    targeted["users"] = json!(["user2", "user3"]);
    let reply = service.targeted(&targeted).await.json();
    assert_eq!(reply["path"], "/messages/chatgroups");

    let got = service.simulator.received();
    assert_eq!(got.keys().collect::<Vec<_>>(), ["7", "no such group"]);
    let [first, second] = &got["7"][..] else { panic!("{got:?}") };
    assert_eq!(
        (data["7"].as_str(), first.from.as_str(), first.at),
        (Some(&*first.id), "admin", 1_700_000_000_000)
    );
    assert_eq!(
        first.raw.get(),
        "{\"to\":[\"7\",\"no such group\"],\"type\":\"loc\",\"body\":{\"lat\":\"39.966\",\"lng\":\"116.322\",\
         \"addr\":\"中国 \\u5317\"},\"unknown\":1.50}"
    );
    assert_eq!(first.users, None);
    assert_eq!(second.users, Some(vec!["user2".to_owned(), "user3".to_owned()]));
    assert_eq!(
        (reply["data"]["7"].as_str(), second.from.as_str(), second.at),
        (Some(&*second.id), "user1", 1_700_000_000_005)
    );
    assert_ne!(first.id, second.id);

    let over_http = service.call("GET", "/_sim/received/7", &[], b"").await.json();
    assert_eq!((&over_http["count"], &over_http["messages"]), (&json!(2), &json!(got["7"])));
    let counts = service.call("GET", "/_sim/received", &[], b"").await.json();
    assert_eq!(counts, json!({ "messages": 3, "groups": { "7": 2, "no such group": 1 } }));
    let stats = service.call("GET", "/_sim/stats", &[], b"").await.json();
    assert_eq!(stats["calls"], json!({ "send": 1, "targeted": 1 }));
    assert_eq!((&stats["groups_reached"], &stats["targeted_messages"]), (&json!(2), &json!(1)));

    assert_eq!(service.call("POST", "/_sim/reset", &[], b"").await.status, 200);
    assert!(service.simulator.received().is_empty());
    assert_eq!(service.call("GET", "/_sim/nothing", &[], b"").await.status, 404);
}

#[tokio::test]
async fn only_counts_are_kept_where_that_is_asked_for() {
    let limits = SimulatorLimits::lifted();
    let service = Service::start(SimulatorSettings { keep: RecordMode::Counts, limits, ..settings() }).await;
    for _ in 0..5 {
        assert_eq!(service.text(&["1", "2"]).await, 200);
    }
    assert_eq!(service.simulator.counts(), [("1".to_owned(), 5), ("2".to_owned(), 5)].into());
    assert!(service.simulator.received_by("1").is_empty());
}

#[tokio::test]
async fn the_log_has_each_message_before_its_answer() {
    let service = Service::start(settings()).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    service.simulator.log_to(file.reopen().unwrap());
    let lines = || {
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(service.text(&["1", "2"]).await, 200);
    assert_eq!(lines().iter().map(|line| line["group"].clone()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(service.send(&json!({})).await.status, 400);
    assert_eq!(service.text(&["3"]).await, 200);
    let lines = lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2], json!(service.simulator.received_by("3")[0]));
}

#[tokio::test]
async fn a_message_that_cannot_be_logged_is_not_accepted() {
    let service = Service::start(settings()).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    // The file is open only for reading, so every write fails.
    service.simulator.log_to(std::fs::File::open(file.path()).unwrap());
    assert_eq!(service.text(&["1"]).await, 500);
    assert_eq!(service.simulator.stats().messages(), 0);
    assert!(service.simulator.received().is_empty());
}
