//! Every row of the contract's table of errors as a script sees it, and how often the service got the message.
//!
//! On a server: in the soak

use std::net::TcpListener;
use std::time::Duration;

use mooncast::{
    App, AppLimits, Call, Clock, Credentials, Delivery, FailureKind, SendCounters, SendOptions, Timeouts,
};
use tokio_util::sync::CancellationToken;

use crate::support::Project;
use crate::support::service::{Service, accept, json};

const SEND: &str = r#"
local ok, e = pcall(im.group_send, { to = { "1", "2" }, type = "txt", body = { msg = "x" } })
if ok then print("sent") else print(e.kind, e.status, e.code, e.retryable) end
"#;

/// Gives this answer to the first message and accepts every later one. Returns the script's output, the number of
/// requests and the exit status.
fn outcome(first: &'static [u8]) -> (String, usize, Option<i32>) {
    let service = Service::answering(
        move |number, request| if number == 0 { first.to_vec() } else { accept(number, request) },
    );
    let ran = Project::with_script(SEND).run_against(&service);
    (ran.stdout.trim().to_owned(), service.requests().len(), ran.status)
}

fn error(status: u16, body: &str) -> &'static [u8] {
    Box::leak(json(status, body).into_boxed_slice())
}

#[test]
fn what_is_refused_for_good_is_refused_once() {
    for (status, word) in [
        (400, "message_send_error"),
        (400, "invalid_request_body"),
        (400, "illegal_argument"),
        (400, "json_parse"),
        (403, "forbidden_op"),
        (404, "organization_application_not_found"),
        (405, "method_not_allowed"),
        (413, "message_send_error"),
        (415, "web_application"),
        (429, "resource_limited"),
        (500, "unsupported_service_operation"),
        (500, "web_application"),
        (500, "no_full_text_index"),
        (501, "not_implemented"),
    ] {
        let answer = error(status, &format!(r#"{{"error":"{word}","error_description":"no"}}"#));
        assert_eq!(outcome(answer), (format!("rejected\t{status}\t{word}\tfalse"), 1, Some(3)));
    }
    let moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(outcome(moved), ("rejected\t302\tnil\tfalse".to_owned(), 1, Some(3)));
    let unauthorised = error(401, r#"{"error":"unauthorized"}"#);
    assert_eq!(outcome(unauthorised), ("auth\t401\tunauthorized\tfalse".to_owned(), 1, Some(3)));
}

#[test]
fn what_was_throttled_is_sent_again() {
    for (status, body) in [
        (403, r#"{"error":"message_send_error","error_description":"message send reach limit"}"#),
        (429, r#"{"error":"reach_limit","error_description":"This request has reached api limit"}"#),
    ] {
        assert_eq!(outcome(error(status, body)), ("sent".to_owned(), 2, Some(0)));
    }
}

#[test]
fn what_may_have_been_sent_is_in_doubt_and_never_repeated() {
    let answers: [&'static [u8]; 10] = [
        error(408, "{}"),
        error(500, r#"{"error":"internal_server_error"}"#),
        error(503, r#"{"error":"service_unavailable"}"#),
        error(504, "{}"),
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 31\r\n\r\n<html><h1>502 Bad Gateway</html>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot JSON!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{\"data\": {\"1\": \"10",
        b"nonsense without end",
        b"",
    ];
    for answer in answers {
        let shown = String::from_utf8_lossy(answer);
        let (printed, requests, status) = outcome(answer);
        assert!(printed.starts_with("in_doubt\t") && printed.ends_with("\tfalse"), "{printed} after {shown}");
        assert_eq!((requests, status), (1, Some(3)), "{shown}");
    }
}

#[test]
fn a_200_that_lacks_a_group_leaves_that_group_in_doubt() {
    let service = Service::answering(|_, _| json(200, r#"{"data":{"2":"77"}}"#));
    Project::with_script(
        r#"local ok, e = pcall(im.group_send, { to = { "1", "2" }, type = "txt", body = { msg = "x" } })
        print(ok, e.kind, e.receipts["2"], e.receipts["1"])"#,
    )
    .run_against(&service)
    .exits(3)
    .prints("false\tin_doubt\t77\tnil")
    .says("sent to 1 group")
    .says("1 in doubt");
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn what_was_certainly_not_sent_is_tried_six_times() {
    // Nothing listens at this port. The clock is virtual, so the waits between the attempts take no time.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let clock = Clock::simulated(Duration::from_hours(500_000));
    let app = App {
        name: "default".into(),
        prefix: format!("http://{address}/org/app"),
        credentials: Credentials::Token("token".into()),
        limits: AppLimits::default(),
        records: mooncast::RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    let delivery = Delivery::new(&app, clock.clone(), None).unwrap();
    let message = serde_json::json!({ "to": "1", "type": "txt", "body": { "msg": "x" } });
    let message = delivery.check(Call::Group, message).unwrap();
    let tally = SendCounters::default();
    let stop = CancellationToken::new();
    let result = clock.block_on(delivery.send(&message, SendOptions::default(), &stop, &tally)).unwrap();
    let undelivered = result.unwrap_err();
    assert!(matches!(undelivered.kind, FailureKind::Unreachable), "{undelivered}");
    assert_eq!(tally.counts().not_sent, 1);
    // Five waits of at most 0.5, 1, 2, 4 and 8 s, and a permit before each attempt.
    assert!(clock.now().since_start() < Duration::from_secs(20), "{:?}", clock.now());

    // A deadline ends it earlier and says that nothing was sent.
    let options = SendOptions { timeout: Some(Duration::from_millis(200)), ..SendOptions::default() };
    let result = clock.block_on(delivery.send(&message, options, &stop, &tally)).unwrap();
    assert!(matches!(result.unwrap_err().kind, FailureKind::Cancelled | FailureKind::Unreachable));
}
