//! Recalls of messages.

use mooncast::SimulatorSettings;
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
    let no_chat = json!({ "msg_id": id, "to": "1", "chat_type": "group", "force": false });
    let cases = [
        (target("1000000000000000000", "1", false), 403, "not_found msg"),
        (target(&id, "2", false), 403, "not_found msg"),
        (without_to, 400, "param to can't be empty"),
        (other_chat, 403, "not_found msg"),
        (no_chat, 400, "chat_type must be groupchat, chat or chatroom"),
        (json!({ "to": "1", "chat_type": "groupchat", "force": true }), 400, "param msg_id can't be empty"),
        (
            json!({ "msg_id": id, "to": "1", "chat_type": "", "force": true }),
            400,
            "param chat_type can't be empty",
        ),
        (json!({ "msg_id": id, "to": "1", "chat_type": "groupchat" }), 400, "param force can't be empty"),
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
async fn the_older_call_recalls_one_message() {
    let service = Service::start(settings()).await;
    let id = sent(&service, "1").await;
    let path = "/o/a/messages/msg_recall";
    let reply = service.post(path, &target(&id, "1", false)).await;
    let data =
        json!({ "msg_id": id, "recalled": "yes", "to": "1", "from": "admin", "chattype": "groupchat" });
    assert_eq!((reply.status, &reply.json()["data"]), (200, &data));
    assert!(service.simulator.received_by("1")[0].recalled);
    assert_eq!(service.post(path, &json!({ "msgs": [target(&id, "1", true)] })).await.status, 400);
    let strict = Service::start(SimulatorSettings { strict: true, ..settings() }).await;
    assert_eq!(strict.post(path, &target(&id, "1", false)).await.status, 404);
}

#[tokio::test]
async fn a_call_recalls_one_to_thirty() {
    let service = Service::start(settings()).await;
    let many = |count: usize| vec![target("1", "1", true); count];
    for (count, status) in [(0, 400), (30, 200), (31, 400)] {
        assert_eq!(recall(&service, &many(count)).await.0, status, "{count}");
    }
}

#[tokio::test]
async fn a_recall_deletes_the_attachment_and_keeps_the_note() {
    let service = Service::start(settings()).await;
    for kind in ["img", "audio", "video", "file"] {
        let path = service.uploaded(b"content").await;
        let id = service.sent(kind, kind, &json!({ "url": format!("http://fake.test{path}") })).await;
        assert_eq!(service.get(&path).await.status, 200, "{kind}");
        let mut with_note = target(&id, kind, false);
        with_note["recallMessageExtensionInfo"] = json!("wrong price");
        assert_eq!(recall(&service, &[with_note]).await.0, 200, "{kind}");
        let refusal = service.get(&path).await.refusal();
        assert_eq!((refusal.0, refusal.1.as_str()), (404, "entity_not_found"), "{kind}");
        assert_eq!(service.simulator.received_by(kind)[0].recall_note.as_deref(), Some("wrong price"));
        service.time.advance(1_000);
    }
    // The file of another message is untouched.
    let path = service.uploaded(b"content").await;
    let id = service.sent("1", "txt", &json!({ "msg": path, "url": path })).await;
    assert_eq!(recall(&service, &[target(&id, "1", false)]).await.0, 200);
    assert_eq!(service.get(&path).await.status, 200);
}

#[tokio::test]
async fn a_command_is_not_recalled_even_with_force() {
    let service = Service::start(settings()).await;
    let id = service.sent("1", "cmd", &json!({ "action": "refresh" })).await;
    for force in [false, true] {
        let (status, json) = recall(&service, &[target(&id, "1", force)]).await;
        assert_eq!((status, &json["error"]), (403, &json!("message_recall_error")));
    }
    assert!(!service.simulator.received_by("1")[0].recalled);
}

#[tokio::test]
async fn an_app_without_recalls_is_told_so() {
    let service = Service::start(SimulatorSettings { recall_open: false, ..settings() }).await;
    let id = sent(&service, "1").await;
    let (status, json) = recall(&service, &[target(&id, "1", true)]).await;
    assert_eq!(
        (status, &json["error"], &json["error_description"]),
        (403, &json!("forbidden_op"), &json!("message recall service is unopened"))
    );
}
