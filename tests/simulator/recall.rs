//! Recalls of messages.

use serde_json::{Value, json};

use super::harness::{Service, settings, text};

async fn sent(service: &Service, group: &str) -> String {
    service.send(&text(&[group])).await.json()["data"][group].as_str().unwrap().to_owned()
}

fn target(id: &str, group: &str, force: bool) -> Value {
    json!({ "msg_id": id, "to": group, "chat_type": "groupchat", "force": force })
}

async fn recall(service: &Service, targets: &[Value]) -> (u16, Value) {
    let reply = service.post("/o/a/messages/batch_recall", &json!({ "msgs": targets })).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn a_message_can_be_recalled_for_two_minutes_and_with_force_ever_after() {
    let service = Service::start(settings()).await;
    let (first, second) = (sent(&service, "1").await, sent(&service, "2").await);
    service.time.advance(120_000);
    let (status, json) = recall(&service, &[target(&first, "1", false)]).await;
    assert_eq!(status, 200);
    assert_eq!(
        json["data"],
        json!([{ "msg_id": first, "recalled": "yes", "to": "1", "from": "admin", "chattype": "groupchat" }])
    );
    assert!(service.simulator.received_by("1")[0].recalled);
    service.time.advance(1);
    let (status, json) = recall(&service, &[target(&second, "2", false)]).await;
    assert_eq!((status, &json["error_description"]), (403, &json!("exceed recall time limit")));
    assert_eq!(recall(&service, &[target(&second, "2", true)]).await.0, 200);
    assert_eq!(service.simulator.stats().recalled, 2);
}

#[tokio::test]
async fn one_bad_message_refuses_the_call_and_nothing_is_recalled() {
    let service = Service::start(settings()).await;
    let id = sent(&service, "1").await;
    let good = target(&id, "1", false);
    let without_to = json!({ "msg_id": id, "chat_type": "groupchat", "force": false });
    let other_chat = json!({ "msg_id": id, "to": "1", "chat_type": "chat", "force": false });
    let cases = [
        (target("1000000000000000000", "1", false), 403, "not_found msg"),
        (target(&id, "2", false), 403, "not_found msg"),
        (without_to, 400, "can't find msg to"),
        (other_chat, 400, "chat_type must be groupchat"),
    ];
    for (bad, status, description) in cases {
        let (got, json) = recall(&service, &[good.clone(), bad]).await;
        assert_eq!((got, &json["error_description"]), (status, &json!(description)));
    }
    assert!(!service.simulator.received_by("1")[0].recalled);
    assert_eq!(recall(&service, std::slice::from_ref(&good)).await.0, 200);
    assert_eq!(recall(&service, &[good]).await.1["error_description"], "not_found msg");
}

#[tokio::test]
async fn a_call_recalls_one_to_thirty() {
    let service = Service::start(settings()).await;
    let many = |count: usize| vec![target("1", "1", true); count];
    for (count, status) in [(0, 400), (30, 200), (31, 400)] {
        assert_eq!(recall(&service, &many(count)).await.0, status, "{count}");
    }
}
