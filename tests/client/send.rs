//! Successful sends, and when a send counts as written.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use bytes::Bytes;
use mooncast::{Call, Clock, FailureClass};

use super::server::{Server, Step, willing};
use super::{TOKEN, client, run, send};

#[test]
fn a_send_arrives_as_it_was_given_and_brings_its_receipts() {
    let server = Server::start(|_, _| {
        Step::Answer(
            200,
            r#"{"path":"/x","data":{"9":"m9","1":1234567890123456789012,"2":"m2"},"n":1}"#.into(),
        )
    });
    let body = br#"{"to":["9","1","2"],"type":"txt"}"#;
    let receipts = run(client(&server.url).send(Call::Targeted, Bytes::from_static(body), || ())).unwrap();
    let expected = [("9", "m9"), ("1", "1234567890123456789012"), ("2", "m2")];
    assert_eq!(receipts.data, expected.map(|(group, id)| (group.to_owned(), id.to_owned())));

    let [request] = &server.requests()[..] else { panic!("not one request") };
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/org/app/messages/chatgroups/users")
    );
    assert_eq!(request.body, body);
    assert_eq!(request.bearer(), Some(TOKEN));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("content-length"), Some("33"));
    assert_eq!(request.header("user-agent"), Some(concat!("mooncast/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.header("expect"), None);
}

#[test]
fn a_chunked_answer_is_an_answer() {
    let server = Server::start(|_, _| Step::Chunked(200, r#"{"data":{"1":"m1"}}"#.into()));
    assert_eq!(run(send(&client(&server.url))).unwrap().data.len(), 1);
}

#[test]
fn an_empty_message_is_refused_without_a_request() {
    let server = Server::start(willing);
    let failure = run(client(&server.url).send(Call::Group, Bytes::new(), || ())).unwrap_err();
    assert_eq!((failure.class, server.requests().len()), (FailureClass::Permanent, 0));
}

#[test]
fn each_send_says_once_that_it_is_written() {
    let server = Server::start(willing);
    let client = client(&server.url);
    let written = Arc::new(AtomicUsize::new(0));
    run(async {
        for turn in 1..=5 {
            let counter = Arc::clone(&written);
            let on_write = move || {
                counter.fetch_add(1, Ordering::SeqCst);
            };
            client.send(Call::Group, Bytes::from_static(b"{}"), on_write).await.unwrap();
            assert_eq!(written.load(Ordering::SeqCst), turn);
        }
    });
}

#[test]
fn connections_that_the_server_closed_lose_and_double_nothing() {
    let server = Server::start(|_, _| Step::AnswerAndClose(200, r#"{"data":{"1":"m1"}}"#.into()));
    let client = client(&server.url);
    let (mut sent, mut in_doubt) = (0, 0);
    run(async {
        for _ in 0..200 {
            match send(&client).await {
                Ok(_) => sent += 1,
                Err(failure) if failure.class == FailureClass::NothingSent => {}
                // The bytes met the server's close: they left, and the server did not read them.
                Err(failure) => {
                    assert_eq!(failure.class, FailureClass::InDoubt, "{failure}");
                    in_doubt += 1;
                }
            }
        }
    });
    let received = server.requests().len();
    assert!(
        (sent..=sent + in_doubt).contains(&received),
        "{sent} sent, {in_doubt} in doubt, {received} received"
    );
    assert!(sent > 0);
}

#[test]
fn a_send_that_is_dropped_before_it_is_written_never_is() {
    let server = Server::start(willing);
    let client = client(&server.url);
    run(async {
        {
            let mut sending =
                std::pin::pin!(client.send(Call::Group, Bytes::from_static(b"{}"), || panic!("written")));
            // Polled once: a connection is being opened.
            let once = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context).is_pending()));
            assert!(once.await);
        }
        // Another send has finished, so the rest of the first one would have arrived too.
        send(&client).await.unwrap();
    });
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_simulated_clock_stands_still_while_a_request_is_under_way() {
    let server = Server::start(willing);
    let clock = Clock::simulated(std::time::Duration::ZERO);
    let app = super::app(&server.url, super::fixed_token());
    let client = mooncast::Client::new(&app, clock.clone(), None).unwrap();
    let sent = clock.block_on(async {
        tokio::select! {
            biased;
            sent = send(&client) => sent.is_ok(),
            () = clock.sleep(std::time::Duration::from_millis(1)) => false,
        }
    });
    assert!(sent.unwrap(), "the clock ran ahead");
}
