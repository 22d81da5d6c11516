//! Edits of messages.

use mooncast::{SimulatorLimits, SimulatorSettings};
use serde_json::{Value, json};

use super::harness::{Service, settings};

async fn edit(service: &Service, id: &str, body: &Value) -> (u16, String, String) {
    service.put(&format!("/o/a/messages/rewrite/{id}"), body).await.refusal()
}

fn text(text: &str) -> Value {
    json!({ "new_msg": { "type": "txt", "msg": text } })
}

/// Returns the stored request of the only message of a group.
fn stored(service: &Service, group: &str) -> Value {
    serde_json::from_str(service.simulator.received_by(group)[0].raw.get()).unwrap()
}

#[tokio::test]
async fn an_edit_changes_the_stored_text_and_merges_or_replaces_the_ext() {
    let service = Service::start(settings()).await;
    let body = json!({ "to": ["1"], "type": "txt", "body": { "msg": "old" }, "ext": { "a": 1, "b": 1 } });
    let id = service.send(&body).await.json()["data"]["1"].as_str().unwrap().to_owned();
    let mut change =
        json!({ "user": "user2", "new_msg": { "type": "txt", "msg": "new" }, "new_ext": { "b": 2 } });
    let reply = service.put(&format!("/o/a/messages/rewrite/{id}"), &change).await;
    assert_eq!((reply.status, &reply.json()["data"]), (200, &json!("success")));
    assert_eq!(stored(&service, "1")["body"], json!({ "msg": "new" }));
    assert_eq!(stored(&service, "1")["ext"], json!({ "a": 1, "b": 2 }));
    change["is_combine_ext"] = json!(false);
    assert_eq!(edit(&service, &id, &change).await.0, 200);
    assert_eq!(stored(&service, "1")["ext"], json!({ "b": 2 }));
    assert_eq!((service.simulator.received_by("1")[0].edits, service.simulator.stats().edited), (2, 2));
}

#[tokio::test]
async fn a_message_is_edited_ten_times_and_an_unknown_or_recalled_one_never() {
    let service = Service::start(settings()).await;
    let id = service.sent("1", "txt", &json!({ "msg": "old" })).await;
    for count in 0..10 {
        assert_eq!(edit(&service, &id, &text(&count.to_string())).await.0, 200);
    }
    let (status, _, description) = edit(&service, &id, &text("eleventh")).await;
    let limit = "The message has reached its edit limit and cannot be modified further.";
    assert_eq!((status, description.as_str()), (403, limit));
    assert_eq!(stored(&service, "1")["body"]["msg"], "9");
    let recalled = service.sent("2", "txt", &json!({ "msg": "old" })).await;
    let target = json!({ "msg_id": recalled, "to": "2", "chat_type": "groupchat", "force": true });
    service.post("/o/a/messages/batch_recall", &json!({ "msgs": [target] })).await;
    for gone in [recalled.as_str(), "1000000000000000000"] {
        let unavailable = "The message is unavailable or has expired.".to_owned();
        let refusal = edit(&service, gone, &text("new")).await;
        assert_eq!(refusal, (404, "message_rewrite_error".to_owned(), unavailable), "{gone}");
    }
    let (status, error, _) = edit(&service, "none", &text("new")).await;
    assert_eq!((status, error.as_str()), (400, "InvalidMessageIdException"));
}

#[tokio::test]
async fn each_type_allows_what_the_contract_says() {
    let limits = SimulatorLimits::lifted();
    let service = Service::start(SimulatorSettings { limits, ..settings() }).await;
    let ext = json!({ "new_ext": { "k": "v" } });
    let both = json!({ "new_msg": { "type": "img", "url": "v" }, "new_ext": { "k": "v" } });
    let custom = json!({ "new_msg": { "type": "custom", "customExts": { "n": "2" } } });
    let cases = [
        ("txt", json!({ "msg": "a" }), text("b"), 200),
        ("txt", json!({ "msg": "a" }), ext.clone(), 400),
        ("txt", json!({ "msg": "a" }), custom.clone(), 400),
        ("txt", json!({ "msg": "a" }), json!({ "new_msg": { "type": "txt" } }), 400),
        ("txt", json!({ "msg": "a" }), json!({ "new_msg": "b" }), 400),
        ("custom", json!({ "customEvent": "e", "customExts": { "n": "1" } }), custom.clone(), 200),
        (
            "custom",
            json!({ "customEvent": "e" }),
            json!({ "new_msg": { "type": "custom", "customEvent": "" } }),
            400,
        ),
        ("img", json!({ "url": "u" }), ext.clone(), 200),
        ("img", json!({ "url": "u" }), both, 400),
        ("img", json!({ "url": "u" }), json!({}), 400),
        ("audio", json!({ "url": "u" }), ext.clone(), 200),
        ("video", json!({ "url": "u" }), ext.clone(), 200),
        ("file", json!({ "url": "u" }), ext.clone(), 200),
        ("loc", json!({ "lat": "1", "lng": "2", "addr": "x" }), ext.clone(), 200),
        ("cmd", json!({ "action": "a" }), ext, 400),
        ("txt", json!({ "msg": "a" }), text(&"x".repeat(5_200)), 400),
    ];
    for (kind, body, change, status) in cases {
        let id = service.sent("1", kind, &body).await;
        assert_eq!(edit(&service, &id, &change).await.0, status, "{kind} {change}");
    }
    let custom = service
        .simulator
        .received_by("1")
        .into_iter()
        .find(|message| message.raw.get().contains("customExts"));
    let custom: Value = serde_json::from_str(custom.unwrap().raw.get()).unwrap();
    assert_eq!(custom["body"], json!({ "customEvent": "e", "customExts": { "n": "2" } }));
}

#[tokio::test]
async fn edits_have_their_own_rate_and_can_be_closed() {
    let service = Service::start(settings()).await;
    let id = service.sent("1", "txt", &json!({ "msg": "old" })).await;
    for _ in 0..100 {
        assert_ne!(edit(&service, &id, &text("new")).await.0, 429);
    }
    assert_eq!(edit(&service, &id, &text("new")).await.1, "reach_limit");

    let service = Service::start(SimulatorSettings { rewrite_open: false, ..settings() }).await;
    let id = service.sent("1", "txt", &json!({ "msg": "old" })).await;
    let (status, _, description) = edit(&service, &id, &text("new")).await;
    assert!(status == 403 && description.contains("feature is not open"), "{status} {description}");
}

#[tokio::test]
async fn the_other_errors_of_edits_are_planned() {
    let service = Service::start(settings()).await;
    let id = service.sent("1", "txt", &json!({ "msg": "old" })).await;
    service.simulator.plan("rewrite:at=1:409; rewrite:at=2:401=message_rewrite_error".parse().unwrap());
    let (status, error, _) = edit(&service, &id, &text("new")).await;
    assert_eq!((status, error.as_str()), (409, "concurrent_operation_error"));
    let (status, error, _) = edit(&service, &id, &text("new")).await;
    assert_eq!((status, error.as_str()), (401, "message_rewrite_error"));
    assert_eq!(edit(&service, &id, &text("new")).await.0, 200);
}
