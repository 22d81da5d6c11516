//! Every row of the two error tables of the vendor's page, word for word, and the errors of every call.

use serde_json::{Value, json};

use super::harness::{Service, as_json, bearer, settings, text};

const INVALID: (&str, &str) =
    ("invalid_request_body", "Request body is invalid. Please check body is correct.");

fn row(description: &'static str) -> (&'static str, &'static str) {
    ("message_send_error", description)
}

/// A valid message with one field changed, or removed if the value is `None`.
fn with(name: &str, value: Option<Value>) -> Value {
    let mut message = text(&["1"]);
    message["users"] = json!(["user2"]);
    let fields = message.as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(name.to_owned(), value),
        None => fields.remove(name),
    };
    message
}

/// The rows that both tables have.
fn common_rows() -> Vec<(Value, (&'static str, &'static str))> {
    let users: Vec<_> = (0..21).map(|n| n.to_string()).collect();
    vec![
        (json!([1, 2]), INVALID),
        (with("from", Some(json!(1))), INVALID),
        (with("to", Some(json!("1"))), INVALID),
        (with("to", Some(json!([1]))), INVALID),
        (with("type", Some(json!(["txt"]))), INVALID),
        (with("type", Some(json!("text"))), INVALID),
        (with("body", Some(json!("hello"))), INVALID),
        (with("body", Some(json!({"message": "hello"}))), INVALID),
        (with("need_group_ack", Some(json!("yes"))), INVALID),
        (with("roam_ignore_users", Some(json!("user1"))), INVALID),
        (with("roam_ignore_users", Some(json!(users))), INVALID),
        (with("routetype", Some(json!("ROUTE_ALL"))), INVALID),
        (with("from", Some(json!(""))), row("param from can't be empty")),
        (with("to", Some(json!([]))), row("param to can't be empty")),
        (with("to", None), row("param to can't be empty")),
        (with("type", Some(json!(""))), row("param type can't be empty")),
        (with("type", None), row("param type can't be empty")),
        (with("body", Some(json!({}))), row("param body can't be empty")),
        (with("body", None), row("param body can't be empty")),
        (with("ext", Some(json!(null))), row("param ext must be JSONObject")),
        (with("ext", Some(json!("x"))), row("param ext must be JSONObject")),
        (with("ext", Some(json!([]))), row("param ext must be JSONObject")),
        (with("to", Some(json!(["1", "2", "3", "4"]))), row("params to's size can't exceed limit 3")),
        (with("body", Some(json!({"msg": "x".repeat(5200)}))), row("message is too large")),
        (with("ext", Some(json!({"x": "x".repeat(5200)}))), row("message is too large")),
    ]
}

#[tokio::test]
async fn every_row_of_the_table_of_group_messages() {
    let service = Service::start(settings()).await;
    for (message, (error, description)) in common_rows() {
        // Far enough apart for every rate.
        service.time.advance(1_000);
        let refusal = service.send(&message).await.refusal();
        assert_eq!(refusal, (400, error.to_owned(), description.to_owned()), "{message}");
    }
    assert_eq!(service.simulator.stats().messages(), 0);
}

#[tokio::test]
async fn every_row_of_the_table_of_targeted_messages() {
    let service = Service::start(settings()).await;
    let users: Vec<_> = (0..21).map(|n| n.to_string()).collect();
    let mut rows = common_rows();
    rows.extend([
        (with("users", Some(json!("user2"))), INVALID),
        (with("users", Some(json!(users))), INVALID),
        (with("users", Some(json!([]))), row("param users can't be empty")),
        (with("users", None), row("param users can't be empty")),
        // The page's text allows one group. The table's only wording for more is this one.
        (with("to", Some(json!(["1", "2"]))), row("params to's size can't exceed limit 3")),
    ]);
    for (message, (error, description)) in rows {
        service.time.advance(1_000);
        let refusal = service.targeted(&message).await.refusal();
        assert_eq!(refusal, (400, error.to_owned(), description.to_owned()), "{message}");
    }
    assert_eq!(service.simulator.stats().messages(), 0);
}

#[tokio::test]
async fn the_pages_example_of_an_error() {
    let service = Service::start(settings()).await;
    service.time.advance(150);
    let reply = service.send(&with("body", Some(json!({"msg": "x".repeat(5200)})))).await;
    let expected = json!({
        "error": "message_send_error",
        "exception": "MessageSendException",
        "timestamp": 1_700_000_000_150_u64,
        "duration": 0,
        "error_code": 14007,
        "error_description": "message is too large",
    });
    assert_eq!((reply.status, reply.json()), (400, expected));
}

#[tokio::test]
async fn body_and_ext_together_may_have_exactly_5120_bytes_of_compact_json() {
    let service = Service::start(settings()).await;
    // The JSON texts {"msg":""} and {"e":"中"} have 10 and 11 bytes.
    let message = |length: usize| {
        format!(
            "{{ \"to\": [\"1\"], \"type\": \"txt\",\n \"body\": {{ \"msg\" : \"{}\" }}, \"ext\": {{ \"e\" : \"中\" }} }}",
            "x".repeat(length)
        )
    };
    for (length, status) in [(5120 - 21, 200), (5120 - 20, 400)] {
        let message = message(length);
        let reply = service
            .call("POST", "/o/a/messages/chatgroups", &[bearer(), as_json()], message.as_bytes())
            .await;
        assert_eq!(reply.status, status, "{length}");
    }
}

#[tokio::test]
async fn a_message_with_several_faults_is_refused_by_the_first_row() {
    let service = Service::start(settings()).await;
    let message = json!({ "from": "", "to": [], "type": "", "body": {}, "ext": null });
    assert_eq!(service.send(&message).await.refusal().2, "param from can't be empty");
    let message = json!({ "to": ["1", "2", "3", "4"], "type": "txt", "body": {"msg": "x"}, "ext": null });
    assert_eq!(service.send(&message).await.refusal().2, "param ext must be JSONObject");
}

#[tokio::test]
async fn what_every_call_can_answer() {
    let service = Service::start(settings()).await;
    let body = text(&["1"]).to_string();
    let send = "/o/a/messages/chatgroups";
    let token = |token: &'static str| vec![("authorization", token), as_json()];
    let unauthenticated = "Unable to authenticate due to expired access token";
    let cases = [
        ("POST", send, vec![as_json()], (401, "unauthorized", unauthenticated)),
        ("POST", send, token("Bearer nobody"), (401, "auth_bad_access_token", "Unable to authenticate")),
        (
            "POST",
            send,
            token("Basic abc"),
            (401, "auth_bad_access_token", "Unable to authenticate due to corrupt access token"),
        ),
        ("GET", "/o/a/chatgroups", vec![], (401, "unauthorized", unauthenticated)),
        ("GET", send, vec![bearer()], (405, "method_not_allowed", "Method Not Allowed")),
        ("DELETE", "/o/a/chatgroups", vec![bearer()], (405, "method_not_allowed", "Method Not Allowed")),
        (
            "POST",
            "/o/a/messages/user",
            vec![bearer()],
            (404, "service_resource_not_found", "Service resource not found"),
        ),
        (
            "POST",
            "/o/other/messages/chatgroups",
            vec![bearer()],
            (404, "service_resource_not_found", "Service resource not found"),
        ),
    ];
    for (method, path, headers, (status, error, description)) in cases {
        let refusal = service.call(method, path, &headers, body.as_bytes()).await.refusal();
        assert_eq!(refusal, (status, error.to_owned(), description.to_owned()), "{method} {path}");
    }
}
