//! Announcements: their shape, their two limits, and what the service does not do with them.

use mooncast::SimulatorLimits;
use serde_json::{Value, json};

use super::harness::{Service, settings};

const ALL: &str = "/o/a/messages/broadcast";
const ONLINE: &str = "/o/a/messages/users/broadcast";
const MINUTE: u64 = 60_000;

fn to_all() -> Value {
    json!({ "target_type": "users", "from": "ops", "msg": { "type": "txt", "msg": "hi" }, "ext": { "a": 1 } })
}

#[tokio::test]
async fn an_announcement_has_an_id_and_cannot_be_recalled_or_edited() {
    let service = Service::start(settings()).await;
    let reply = service.post(ALL, &to_all()).await.json();
    let id = reply["data"]["id"].as_str().unwrap().to_owned();
    service.post(ONLINE, &json!({ "msg": { "type": "cmd", "action": "sync" } })).await;
    let counts = service.simulator.counts();
    assert_eq!(counts, [("announcement:all".to_owned(), 1), ("announcement:online".to_owned(), 1)].into());
    assert_eq!(service.simulator.stats().announcements, 2);
    assert_eq!(service.simulator.stats().groups_reached, 0);
    let received = service.simulator.received_by("announcement:all").remove(0);
    assert_eq!((received.id.as_str(), received.from.as_str()), (id.as_str(), "ops"));
    for chat in ["chat", "groupchat", "chatroom", "announcement"] {
        let recall = json!({ "msgs": [{ "msg_id": id, "to": "all", "chat_type": chat, "force": true }] });
        assert_ne!(service.post("/o/a/messages/batch_recall", &recall).await.status, 200, "{chat}");
    }
    let edit = json!({ "new_msg": { "type": "txt", "msg": "y" } });
    assert_eq!(service.put(&format!("/o/a/messages/rewrite/{id}"), &edit).await.status, 404);
}

#[tokio::test]
async fn the_shape_is_checked_as_the_service_says() {
    let service = Service::start(settings()).await;
    for (body, error) in [
        (json!({ "msg": { "type": "txt", "msg": "x" } }), "target_type must be provided"),
        (
            json!({ "target_type": "all", "msg": { "type": "txt", "msg": "x" } }),
            "target_type can only be 'users'",
        ),
        (json!({ "target_type": "users", "msg": { "msg": "x" } }), "param type can't be empty"),
        (json!({ "target_type": "users", "msg": { "type": "txt" } }), "param body can't be empty"),
        (
            json!({ "target_type": "users", "from": "", "msg": { "type": "txt", "msg": "x" } }),
            "param from can't be empty",
        ),
        (
            json!({ "target_type": "users", "ext": null, "msg": { "type": "txt", "msg": "x" } }),
            "param ext must be JSONObject",
        ),
        (
            json!({ "target_type": "users", "msg": { "type": "txt", "msg": "x".repeat(6000) } }),
            "message is too large",
        ),
    ] {
        let (status, _, description) = service.post(ALL, &body).await.refusal();
        assert_eq!((status, description.as_str()), (400, error));
    }
    // What was refused does not count.
    assert_eq!(service.post(ALL, &to_all()).await.status, 200);
}

#[tokio::test]
async fn three_a_day_and_half_an_hour_between_two() {
    let service = Service::start(settings()).await;
    // The clock starts at 22:13:20 UTC.
    for _ in 0..3 {
        assert_eq!(service.post(ALL, &to_all()).await.status, 200);
        service.time.advance(30 * MINUTE - 1);
        assert_eq!(service.post(ALL, &to_all()).await.refusal().0, 429);
        service.time.advance(1);
    }
    // 23:43:20
    let (status, error, description) = service.post(ALL, &to_all()).await.refusal();
    assert_eq!(
        (status, error.as_str(), description.as_str()),
        (403, "forbidden_op", "broadcast message limit exceeded")
    );
    let online = json!({ "msg": { "type": "txt", "msg": "x" } });
    assert_eq!(service.post(ONLINE, &online).await.status, 200);
    assert_eq!(service.post(ONLINE, &online).await.refusal().0, 429);
    service.time.advance(17 * MINUTE);
    assert_eq!(service.post(ALL, &to_all()).await.status, 200);
    for _ in 0..50 {
        assert_eq!(service.post(ONLINE, &online).await.status, 200);
        service.time.advance(MINUTE);
    }
    let (status, _, description) = service.post(ONLINE, &online).await.refusal();
    assert_eq!((status, description.as_str()), (403, "online user broadcast limit exceeded"));
}

#[tokio::test]
async fn without_limits_any_number_passes() {
    let service =
        Service::start(mooncast::SimulatorSettings { limits: SimulatorLimits::lifted(), ..settings() }).await;
    for _ in 0..60 {
        assert_eq!(service.post(ALL, &to_all()).await.status, 200);
    }
}
