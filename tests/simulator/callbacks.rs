//! Callbacks: a server of the test takes them, and the test moves the clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use md5::{Digest, Md5};
use mooncast::{CallbackSettings, SimulatorLimits, SimulatorSettings, UserEvent};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::harness::{Service, settings, text};

const SECRET: &str = "rule-secret";

/// The app's server: what it got, and what it answers next. Without an answer in store it answers 200.
#[derive(Clone, Default)]
struct AppServer {
    got: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<Vec<(u16, usize)>>>,
    hangs: bool,
}

async fn take(State(server): State<AppServer>, body: String) -> (StatusCode, String) {
    server.got.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    if server.hangs {
        std::future::pending::<()>().await;
    }
    let answer = server.answers.lock().unwrap().pop();
    let (status, length) = answer.unwrap_or((200, 0));
    (StatusCode::from_u16(status).unwrap(), "好".repeat(length))
}

impl AppServer {
    /// Starts the server and a simulator that posts to it. `change` changes the simulator's settings.
    async fn start(self, change: impl FnOnce(&mut SimulatorSettings)) -> (Self, Service) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/callbacks/default", listener.local_addr().unwrap());
        let router =
            Router::new().route("/callbacks/default", axum::routing::post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let callback = Some(CallbackSettings::new(&url, SECRET.into()));
        let mut settings = SimulatorSettings { callback, limits: SimulatorLimits::lifted(), ..settings() };
        change(&mut settings);
        (self, Service::start(settings).await)
    }

    fn got(&self) -> Vec<Value> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until this many callbacks came.
    async fn until(&self, count: usize) -> Vec<Value> {
        while self.got.lock().unwrap().len() < count {
            tokio::task::yield_now().await;
        }
        self.got()
    }
}

/// Waits until this many callbacks had this outcome.
async fn until(service: &Service, outcome: &str, count: u64) {
    while service.simulator.stats().callbacks.get(outcome).copied().unwrap_or_default() < count {
        tokio::task::yield_now().await;
    }
}

/// Lets the server and the simulator work.
async fn settle() {
    for _ in 0..500 {
        tokio::task::yield_now().await;
    }
}

fn texts(callbacks: &[Value]) -> Vec<String> {
    let text = |callback: &Value| callback["payload"]["bodies"][0]["msg"].as_str().unwrap_or("?").to_owned();
    callbacks.iter().map(text).collect()
}

async fn say(service: &Service, msg: &str) -> String {
    service.sent("1", "txt", &json!({ "msg": msg })).await
}

#[tokio::test]
async fn each_message_is_posted_as_the_contract_shows_with_a_signature() {
    let (app, service) = AppServer::default().start(|_| ()).await;
    service.time.advance(7);
    let body = json!({
        "from": "user1", "to": ["1", "2"], "type": "loc", "ext": { "k": 1 },
        "body": { "lat": "39.5", "lng": "116.25", "addr": "x" },
    });
    let data = service.send(&body).await.json()["data"].clone();
    let mut got = app.until(2).await;
    until(&service, "taken", 2).await;
    got.sort_by_key(|callback| callback["group_id"].to_string());
    let mut first = got[0].clone();
    let (id, security) = (first["callId"].take(), first["security"].take());
    let id = id.as_str().unwrap();
    assert!(id.starts_with("o#a_"), "{id}");
    let signed = format!("{id}{SECRET}1700000000007");
    let expected = data_encoding::HEXLOWER.encode(&Md5::digest(signed));
    assert_eq!(security, json!(expected));
    let expected = json!({
        "callId": null, "security": null, "securityVersion": "1.0.0", "timestamp": 1_700_000_000_007_u64,
        "eventType": "chat", "chat_type": "groupchat", "content_type": "chat:group:loc", "group_id": "1",
        "from": "user1", "to": "1", "msg_id": data["1"], "appkey": "o#a", "host": "simulator",
        "payload": { "bodies": [{ "type": "loc", "lat": 39.5, "lng": 116.25, "addr": "x" }], "ext": { "k": 1 } },
    });
    assert_eq!(first, expected);
    assert_eq!((&got[1]["msg_id"], &got[1]["group_id"]), (&data["2"], &json!("2")));
    say(&service, "hello").await;
    assert_eq!(app.until(3).await[2]["content_type"], "chat:group:text");
}

#[tokio::test]
async fn only_200_with_a_short_answer_is_taken_and_the_rest_is_tried_once_more() {
    let (app, service) = AppServer::default().start(|_| ()).await;
    // Answers are taken from the end.
    for (answers, taken) in [
        (vec![(200, 1_000)], true),
        (vec![(200, 0), (500, 0)], true),
        (vec![(200, 0), (200, 1_001)], true),
        (vec![(204, 0), (302, 0)], false),
        (vec![(200, 5_000), (401, 0)], false),
    ] {
        let (before, posts) = (service.simulator.stats().callbacks, answers.len());
        let count = |outcome| before.get(outcome).copied().unwrap_or_default();
        app.answers.lock().unwrap().clone_from(&answers);
        app.got.lock().unwrap().clear();
        say(&service, "hello").await;
        let outcome = if taken { "taken" } else { "lost" };
        until(&service, outcome, count(outcome) + 1).await;
        let got = app.got();
        assert_eq!(got.len(), posts, "{answers:?}");
        assert!(got.iter().all(|callback| *callback == got[0]), "{answers:?}");
    }
    assert_eq!(service.simulator.stats().calls["callback"], 9);
}

#[tokio::test]
async fn a_server_that_hangs_or_is_gone_takes_nothing() {
    let hanging = AppServer { hangs: true, ..AppServer::default() };
    let (app, service) = hanging.start(|_| ()).await;
    say(&service, "hello").await;
    for post in 1..=2 {
        app.until(post).await;
        settle().await;
        service.time.advance(5_000);
        until(&service, "failed", post as u64).await;
    }
    until(&service, "lost", 1).await;

    let nowhere = |settings: &mut SimulatorSettings| {
        settings.callback = Some(CallbackSettings::new("http://127.0.0.1:1/", SECRET.into()));
    };
    let (_, service) = AppServer::default().start(nowhere).await;
    say(&service, "hello").await;
    until(&service, "lost", 1).await;
}

#[tokio::test]
async fn ninety_failures_ban_the_rule_for_five_minutes() {
    let (app, service) = AppServer::default().start(|_| ()).await;
    app.answers.lock().unwrap().clone_from(&vec![(500, 0); 90]);
    for _ in 0..45 {
        say(&service, "refused").await;
    }
    until(&service, "lost", 45).await;
    say(&service, "banned").await;
    until(&service, "banned", 1).await;
    service.time.advance(299_999);
    say(&service, "banned").await;
    until(&service, "banned", 2).await;
    service.time.advance(1);
    say(&service, "again").await;
    until(&service, "taken", 1).await;
    let got = texts(&app.got());
    assert_eq!((got.len(), got.last().map(String::as_str)), (91, Some("again")));
}

#[tokio::test]
async fn a_callback_comes_after_its_delay() {
    let delayed = |settings: &mut SimulatorSettings| {
        settings.callback.as_mut().unwrap().delay = "10s".parse().unwrap();
        settings.faults = "callback:at=1:delayed=20".parse().unwrap();
    };
    let (app, service) = AppServer::default().start(delayed).await;
    say(&service, "late").await;
    say(&service, "usual").await;
    service.time.advance(5_000);
    settle().await;
    assert_eq!((app.got().len(), service.simulator.waiting_callbacks()), (0, 2));
    service.time.advance(5_000);
    assert_eq!(texts(&app.until(1).await), ["usual"]);
    // A post whose answer is not read yet would be over its timeout.
    until(&service, "taken", 1).await;
    service.time.advance(10_000);
    settle().await;
    assert_eq!(app.got().len(), 1);
    service.time.advance(10_000);
    assert_eq!(texts(&app.until(2).await), ["usual", "late"]);
    // The time in it is that of the message.
    assert_eq!(app.got()[1]["timestamp"], 1_700_000_000_000_u64);
}

#[tokio::test]
async fn callbacks_are_lost_doubled_and_swapped_by_plan() {
    let faults = "callback:at=1:lost; callback:at=2:doubled; callback:at=3:swapped";
    let planned = |settings: &mut SimulatorSettings| settings.faults = faults.parse().unwrap();
    let (app, service) = AppServer::default().start(planned).await;
    say(&service, "lost").await;
    say(&service, "doubled").await;
    let got = app.until(2).await;
    assert!(texts(&got) == ["doubled", "doubled"] && got[0] == got[1], "{got:?}");
    say(&service, "swapped").await;
    say(&service, "next").await;
    app.until(3).await;
    service.time.advance(50);
    assert_eq!(texts(&app.until(4).await)[2..], ["next", "swapped"]);
    until(&service, "taken", 4).await;
    // Without a next one, a swapped callback comes after 30 s.
    service.simulator.plan("callback:swapped".parse().unwrap());
    say(&service, "alone").await;
    settle().await;
    service.time.advance(29_999);
    settle().await;
    assert_eq!(app.got().len(), 4);
    service.time.advance(1);
    assert_eq!(texts(&app.until(5).await)[4], "alone");
    assert_eq!(service.simulator.stats().faults.len(), 4);
}

#[tokio::test]
async fn the_same_seed_loses_the_same_callbacks() {
    let mut outcomes = Vec::new();
    for seed in [7, 7, 8] {
        let lossy = |settings: &mut SimulatorSettings| {
            settings.seed = seed;
            settings.faults = "callback:p=0.3:lost".parse().unwrap();
        };
        let (app, service) = AppServer::default().start(lossy).await;
        for number in 0..40 {
            say(&service, &format!("{number:02}")).await;
        }
        let lost = service.simulator.stats().faults["callback:p=0.3:lost"];
        assert!((4..=22).contains(&lost), "{lost}");
        until(&service, "taken", 40 - lost).await;
        let mut got = texts(&app.got());
        got.sort();
        outcomes.push(got);
    }
    assert!(outcomes[0] == outcomes[1] && outcomes[0] != outcomes[2]);
}

#[tokio::test]
async fn recalls_and_edits_are_posted() {
    let (app, service) = AppServer::default().start(|_| ()).await;
    let id = say(&service, "old").await;
    app.until(1).await;
    service.time.advance(9);
    let change =
        json!({ "user": "user2", "new_msg": { "type": "txt", "msg": "new" }, "new_ext": { "k": "v" } });
    assert_eq!(service.put(&format!("/o/a/messages/rewrite/{id}"), &change).await.status, 200);
    let edit = app.until(2).await[1].clone();
    assert_eq!(
        (&edit["chat_type"], &edit["to"], &edit["from"]),
        (&json!("edit"), &json!("1"), &json!("admin"))
    );
    assert_ne!(edit["msg_id"], json!(id));
    let expected = json!({
        "type": "edit", "edit_message_id": id, "from": "admin", "to": "1",
        "bodies": [{ "type": "txt", "msg": "new" }], "ext": { "k": "v" },
        "meta": { "edit_msg": {
            "count": 1, "edit_time": 1_700_000_000_009_u64, "operator": "user2",
            "send_time": 1_700_000_000_000_u64, "sender": "admin",
        } },
    });
    assert_eq!(edit["payload"], expected);
    let target = json!({ "msg_id": id, "to": "1", "chat_type": "groupchat", "force": false });
    assert_eq!(service.post("/o/a/messages/batch_recall", &json!({ "msgs": [target] })).await.status, 200);
    let recall = app.until(3).await[2].clone();
    assert_eq!((&recall["chat_type"], &recall["recall_id"]), (&json!("recall"), &json!(id)));
    assert_eq!((&recall["group_id"], &recall["payload"]["ack_message_id"]), (&json!("1"), &json!(id)));
    // What is refused causes no callback.
    assert_eq!(service.put(&format!("/o/a/messages/rewrite/{id}"), &change).await.status, 404);
    settle().await;
    assert_eq!((app.got().len(), service.simulator.waiting_callbacks()), (3, 0));
}

/// Returns the members that read one message with `need_group_ack` to a group.
async fn readers(members: u64, share: f64, targeted: bool) -> Vec<String> {
    let reading = |settings: &mut SimulatorSettings| {
        settings.members = members;
        settings.callback.as_mut().unwrap().read_share = share;
    };
    let (app, service) = AppServer::default().start(reading).await;
    say(&service, "without receipts").await;
    let mut body = text(&["1"]);
    body["need_group_ack"] = json!(true);
    let reply = if targeted {
        body["users"] = json!(["user7", "user9"]);
        service.targeted(&body).await
    } else {
        service.send(&body).await
    };
    let id = reply.json()["data"]["1"].clone();
    while service.simulator.waiting_callbacks() > 0 {
        tokio::task::yield_now().await;
    }
    let posted = service.simulator.stats().calls["callback"];
    until(&service, "taken", posted).await;
    let mut readers = Vec::new();
    for ack in app.got().into_iter().filter(|callback| callback["chat_type"] == "read_ack") {
        assert_eq!((&ack["payload"]["ack_message_id"], &ack["to"]), (&id, &json!("1")));
        readers.push(ack["from"].as_str().unwrap().to_owned());
    }
    readers.sort();
    readers
}

#[tokio::test]
async fn members_read_a_message_that_wants_receipts() {
    assert_eq!(readers(4, 1.0, false).await, ["user2", "user3", "user4"]);
    assert_eq!(readers(10, 1.0, true).await, ["user7", "user9"]);
    assert!(readers(10, 0.0, false).await.is_empty());
    let some = readers(200, 0.5, false).await.len();
    assert!((70..130).contains(&some), "{some}");
    // There are no receipts in groups of over 200 members.
    assert!(readers(201, 1.0, false).await.is_empty());
}

#[tokio::test]
async fn users_act_over_http_and_in_the_process() {
    let (app, service) = AppServer::default().start(|_| ()).await;
    let cases = [
        json!({ "event": "message", "group": "1", "from": "user3", "text": "hi", "ext": { "k": 1 } }),
        json!({ "event": "joined", "group": "1", "user": "user4" }),
        json!({ "event": "left", "group": "1", "user": "user4", "muc": true }),
    ];
    let mut id = Value::Null;
    for (number, case) in cases.into_iter().enumerate() {
        let body = case.to_string();
        let reply = service.call("POST", "/_sim/events", &[], body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{body}");
        if number == 0 {
            id = reply.json()["id"].clone();
        }
        app.until(number + 1).await;
    }
    let got = app.got();
    assert_eq!(
        (&got[0]["from"], &got[0]["msg_id"], &got[0]["chat_type"]),
        (&json!("user3"), &id, &json!("groupchat"))
    );
    assert_eq!(got[0]["payload"], json!({ "bodies": [{ "type": "txt", "msg": "hi" }], "ext": { "k": 1 } }));
    let joined = json!(["group_op_event", "JOIN", "GROUP", "1", ["user4"]]);
    let fields = ["event", "operation", "type", "id"].map(|name| got[1][name].clone());
    assert_eq!(json!([fields[0], fields[1], fields[2], fields[3], got[1]["payload"]["member"]]), joined);
    assert_eq!((&got[2]["chat_type"], &got[2]["payload"]["operation"]), (&json!("muc"), &json!("absence")));

    let message = id.as_str().unwrap().to_owned();
    let read = UserEvent::Read { message, user: "user5".to_owned() };
    assert_eq!(service.simulator.inject(read), Ok(None));
    assert_eq!(app.until(4).await[3]["from"], "user5");
    let unknown = json!({ "event": "read", "message": "1", "user": "user5" }).to_string();
    let reply = service.call("POST", "/_sim/events", &[], unknown.as_bytes()).await;
    assert!(reply.status == 400 && reply.json()["error"].as_str().unwrap().contains("`1` is not stored"));
    let nonsense = json!({ "event": "sneezed", "user": "user5" }).to_string();
    assert_eq!(service.call("POST", "/_sim/events", &[], nonsense.as_bytes()).await.status, 400);
    // A user's message is not one that the service received from the app's server.
    assert!(service.simulator.received().is_empty() && service.simulator.stats().messages() == 0);
}

#[tokio::test]
async fn a_moderated_message_causes_no_callback() {
    let moderated = |settings: &mut SimulatorSettings| {
        settings.faults = "send:contains=casino:moderated".parse().unwrap();
    };
    let (app, service) = AppServer::default().start(moderated).await;
    say(&service, "come to the casino").await;
    say(&service, "hello").await;
    until(&service, "taken", 1).await;
    settle().await;
    assert_eq!(texts(&app.got()), ["hello"]);
    assert_eq!(service.simulator.waiting_callbacks(), 0);
}

#[tokio::test]
async fn a_message_with_an_error_after_acceptance_has_its_callback() {
    let faults = |settings: &mut SimulatorSettings| {
        settings.faults = "send:at=1:504,after; send:at=2:503".parse().unwrap();
        settings.callback.as_mut().unwrap().timeout = Duration::from_secs(1);
    };
    let (app, service) = AppServer::default().start(faults).await;
    assert_eq!((service.text(&["1"]).await, service.text(&["2"]).await), (504, 503));
    assert_eq!(app.until(1).await[0]["group_id"], "1");
    settle().await;
    assert_eq!(app.got().len(), 1);
}
