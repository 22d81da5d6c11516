//! Every row of the contract's table of errors: its class, and that the request was made once.

use std::net::TcpListener;
use std::time::Duration;

use mooncast::{CallError, Client, Clock, FailureClass};

use super::server::{Server, Step};
use super::{TOKEN, app, assert_no_secret, client, fixed_token, run, send};

const PATH: &str = "/messages/chatgroups";

/// Sends once to a server that does `step`. Returns the failure and the number of requests.
fn failed_send(step: &Step) -> (CallError, usize) {
    let step = step.clone();
    let server = Server::start(move |_, _| step.clone());
    let failure = run(send(&client(&server.url))).unwrap_err();
    assert_no_secret(&format!("{failure} {failure:?}"));
    assert!(failure.to_string().starts_with("POST /messages/chatgroups: "), "{failure}");
    assert!(!failure.to_string().contains('\n'));
    (failure, server.count(PATH))
}

/// Reads a list once from a server that does `step`.
fn failed_read(step: &Step) -> (FailureClass, usize) {
    let step = step.clone();
    let server = Server::start(move |_, _| step.clone());
    let failure = run(client(&server.url).groups_page(None, 10)).unwrap_err();
    assert_no_secret(&format!("{failure} {failure:?}"));
    (failure.class, server.count("/chatgroups"))
}

#[test]
fn every_answer_of_the_table_has_its_class_and_is_not_asked_for_twice() {
    use FailureClass::{Auth, InDoubt, NothingSent, Permanent, Repeat, Throttled};
    let html = "<html><body>Bad Gateway</body></html>";
    let plain = |status: u16| Step::Answer(status, html.into());
    let rows = [
        (Step::error(400, "message_send_error", "param from can't be empty"), Permanent, Permanent),
        (Step::error(400, "invalid_request_body", ""), Permanent, Permanent),
        (Step::error(400, "illegal_argument", ""), Permanent, Permanent),
        (Step::error(400, "json_parse", ""), Permanent, Permanent),
        (Step::error(400, "invalid_grant", ""), Permanent, Permanent),
        (plain(400), Permanent, Permanent),
        // A fixed token cannot be refreshed.
        (Step::error(401, "unauthorized", ""), Auth, Auth),
        (Step::error(401, "auth_bad_access_token", ""), Auth, Auth),
        (Step::error(403, "message_send_error", "message send reach limit"), Throttled, Throttled),
        (Step::error(403, "message_send_error", " message send reach limit"), Throttled, Throttled),
        (Step::error(403, "message_send_error", "muted"), Permanent, Permanent),
        (Step::error(403, "forbidden_op", ""), Permanent, Permanent),
        (plain(403), Permanent, Permanent),
        (plain(404), Permanent, Permanent),
        (plain(405), Permanent, Permanent),
        (plain(413), Permanent, Permanent),
        (plain(415), Permanent, Permanent),
        (plain(501), Permanent, Permanent),
        (Step::error(429, "reach_limit", "This request has reached api limit"), Throttled, Throttled),
        (plain(429), Throttled, Throttled),
        (Step::error(429, "resource_limited", ""), Permanent, Permanent),
        (Step::error(500, "unsupported_service_operation", ""), Permanent, Permanent),
        (Step::error(500, "web_application", ""), Permanent, Permanent),
        (Step::error(500, "no_full_text_index", ""), Permanent, Permanent),
        (plain(408), InDoubt, Repeat),
        (plain(500), InDoubt, Repeat),
        (Step::error(500, "internal_server_error", ""), InDoubt, Repeat),
        (plain(502), InDoubt, Repeat),
        (plain(503), InDoubt, Repeat),
        (plain(504), InDoubt, Repeat),
        // Redirects are not followed.
        (
            Step::AnswerWith(301, "location: /org/app/messages/chatgroups", String::new()),
            Permanent,
            Permanent,
        ),
        (
            Step::AnswerWith(307, "location: /org/app/messages/chatgroups", String::new()),
            Permanent,
            Permanent,
        ),
        (Step::AnswerWith(308, "location: http://127.0.0.1:1/", String::new()), Permanent, Permanent),
        // Invalid successes.
        (plain(200), InDoubt, Repeat),
        (Step::Answer(200, String::new()), InDoubt, Repeat),
        (Step::Answer(200, "{}".into()), InDoubt, Repeat),
        (Step::Answer(200, r#"{"data":null}"#.into()), InDoubt, Repeat),
        (Step::Answer(200, r#"{"data":"1"}"#.into()), InDoubt, Repeat),
        (Step::Answer(204, String::new()), InDoubt, Repeat),
        (Step::Truncated(200, r#"{"data":{"1":"m1"}}"#.into()), InDoubt, Repeat),
        // Refusals that are cut off: the status is enough, but for a 403, which may be the rate limit.
        (Step::Truncated(400, r#"{"error":"#.into()), Permanent, Permanent),
        (Step::Truncated(403, r#"{"error":"message_send_error","#.into()), NothingSent, NothingSent),
        (Step::Truncated(502, "<html>".into()), InDoubt, Repeat),
        // The connection fails after the request was written.
        (Step::Reset, InDoubt, Repeat),
        (Step::Close, InDoubt, Repeat),
        (Step::Raw(b"220 smtp.example.com ESMTP\r\n"), InDoubt, Repeat),
        (Step::Raw(b"HTTP/1.1 200 x\r\ncontent-le"), InDoubt, Repeat),
        (Step::Raw(b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"dat"), InDoubt, Repeat),
    ];
    for (step, of_a_send, of_a_read) in rows {
        let (failure, sends) = failed_send(&step);
        assert_eq!((failure.class, sends), (of_a_send, 1), "{step:?}: {failure}");
        assert_eq!(failed_read(&step), (of_a_read, 1), "{step:?}");
    }
}

#[test]
fn an_answer_is_told_in_its_own_words() {
    let body =
        r#"{"error":"message_send_error","error_code":14007,"error_description":"message is too large"}"#;
    let (failure, _) = failed_send(&Step::Answer(400, body.into()));
    assert_eq!(
        (failure.status, failure.error.as_deref(), failure.code, failure.description.as_deref()),
        (Some(400), Some("message_send_error"), Some(14007), Some("message is too large"))
    );
    assert_eq!(
        failure.to_string(),
        "POST /messages/chatgroups: refused: status 400 message_send_error (14007): message is too large"
    );
    let (failure, _) = failed_send(&Step::Answer(502, "<html>\u{1b}[31mBad\nGateway".into()));
    assert!(failure.to_string().ends_with(r": status 502: <html>\u{1b}[31mBad\nGateway"), "{failure}");
}

#[test]
fn a_secret_that_the_service_repeats_is_hidden() {
    let (failure, _) = failed_send(&Step::error(
        400,
        "bad_token",
        &format!("corrupt access token {TOKEN}{}", "x".repeat(999)),
    ));
    assert!(failure.to_string().contains("corrupt access token [hidden]"), "{failure}");
    assert!(failure.to_string().chars().count() < 400);
    failed_send(&Step::Answer(502, format!("{}{TOKEN}", "y".repeat(290))));
    failed_send(&Step::Answer(200, format!("{{\"{TOKEN}\":")));
}

#[test]
fn a_wait_that_the_service_asks_for_is_told() {
    let wait = |header| failed_send(&Step::AnswerWith(429, header, String::new())).0.retry_after;
    assert_eq!(wait("retry-after: 7"), Some(Duration::from_secs(7)));
    assert_eq!(wait("retry-after: 99999999999"), Some(Duration::from_hours(1)));
    assert_eq!(wait("retry-after: Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
    assert_eq!(wait("retry-after: Fri, 21 Oct 2095 07:28:00 GMT"), Some(Duration::from_hours(1)));
    assert_eq!(wait("retry-after: soon"), None);
    assert_eq!(wait("x: y"), None);
}

#[test]
fn an_endless_answer_is_given_up() {
    let long = format!(r#"{{"data":{{"1":"{}"}}}}"#, "m".repeat(17 * 1024 * 1024));
    let (failure, sends) = failed_send(&Step::Answer(200, long));
    assert_eq!((failure.class, sends), (FailureClass::InDoubt, 1));
}

#[test]
fn silence_after_the_request_is_a_doubt() {
    let server = Server::start(|_, _| Step::Hang);
    let mut app = app(&server.url, fixed_token());
    // The request has to be written within the shorter time.
    for (read, overall) in [(2_000, 30_000), (30_000, 2_000)] {
        app.timeouts.read = Duration::from_millis(read);
        app.timeouts.overall = Duration::from_millis(overall);
        let client = Client::new(&app, Clock::real(), None).unwrap();
        let (sent, list) = run(async { (send(&client).await, client.groups_page(None, 1).await) });
        assert_eq!(sent.unwrap_err().class, FailureClass::InDoubt);
        assert_eq!(list.unwrap_err().class, FailureClass::Repeat);
    }
    assert_eq!((server.count(PATH), server.count("/chatgroups")), (2, 2));
}

#[test]
fn silence_within_an_answer_is_a_doubt() {
    // The server closes only after the client.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut app = app(&format!("http://{}", listener.local_addr().unwrap()), fixed_token());
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 99\r\n\r\n{").unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    app.timeouts.read = Duration::from_secs(2);
    let client = Client::new(&app, Clock::real(), None).unwrap();
    let failure = run(send(&client)).unwrap_err();
    assert_eq!(failure.class, FailureClass::InDoubt);
    assert!(failure.to_string().ends_with("no answer within 2.0s"), "{failure}");
}

/// Returns the class of a send that is never written.
fn unsent(base_url: &str) -> FailureClass {
    let failure = run(async {
        let client = client(base_url);
        let body = bytes::Bytes::from_static(b"{}");
        client.send(mooncast::Call::Targeted, body, || panic!("written")).await.unwrap_err()
    });
    assert_no_secret(&format!("{failure} {failure:?}"));
    assert!(
        failure.to_string().starts_with("POST /messages/chatgroups/users: nothing was sent: "),
        "{failure}"
    );
    failure.class
}

#[test]
fn what_never_got_a_connection_was_not_sent() {
    // A port that was free a moment ago.
    let refused = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    assert_eq!(unsent(&refused), FailureClass::NothingSent);
    assert_eq!(unsent("http://name.invalid"), FailureClass::NothingSent);
    // A server that does not speak TLS.
    let server = Server::start(|_, _| Step::ok());
    assert_eq!(unsent(&server.url.replace("http://", "https://")), FailureClass::NothingSent);
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_connection_that_takes_too_long_was_not_sent() {
    // A server that accepts and does not answer the TLS handshake.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut app = app(&format!("https://{}", listener.local_addr().unwrap()), fixed_token());
    for (connect, overall) in [(50, 5000), (5000, 50)] {
        app.timeouts.connect = Duration::from_millis(connect);
        app.timeouts.overall = Duration::from_millis(overall);
        let client = Client::new(&app, Clock::real(), None).unwrap();
        assert_eq!(run(send(&client)).unwrap_err().class, FailureClass::NothingSent);
    }
}
