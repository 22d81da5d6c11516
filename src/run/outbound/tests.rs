//! Requests to test servers on this machine.

use std::ffi::OsString;
use std::future::Future;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::super::budget::MemoryBudget;
use super::*;
use crate::protocol::{HttpValue, HttpValuePart};

const SECRET: &str = "s3cr3t-value";

/// A server for one connection: it reads a request, writes `answer`, and returns the request.
struct Server {
    port: u16,
    received: JoinHandle<String>,
}

impl Server {
    async fn new(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::with(async move |stream: &mut TcpStream| {
            let _ = stream.write_all(&answer).await;
        })
        .await
    }

    async fn with<F>(serve: F) -> Self
    where
        F: AsyncFnOnce(&mut TcpStream) + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = tokio::task::spawn_local(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            serve(&mut stream).await;
            request
        });
        Self { port, received }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook?a=1", self.port)
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return text;
        }
    }
}

fn text(text: &str) -> HttpValue {
    HttpValue(vec![HttpValuePart::Text(Bytes::copy_from_slice(text.as_bytes()))])
}

fn bearer(secret: &str) -> HttpValue {
    HttpValue(vec![
        HttpValuePart::Text(Bytes::from_static(b"Bearer ")),
        HttpValuePart::Secret(secret.to_owned()),
    ])
}

fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        timeout_ms: 20_000,
    }
}

fn post(url: &str) -> HttpRequest {
    HttpRequest { method: "POST".to_owned(), body: Some(text("hello")), ..get(url) }
}

async fn ask(
    net: &[&str],
    request: HttpRequest,
) -> Result<(u16, Vec<(String, Bytes)>, Bytes), RequestFailure> {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let permissions =
        Permissions { net: owned(net), secrets: owned(&["KEY", "TWO_LINES"]), ..Permissions::default() };
    let variables = GrantedVariables::with(
        &permissions,
        Box::new(|name| match name {
            "KEY" => Some(OsString::from(SECRET)),
            _ => Some(OsString::from(format!("{SECRET}\n{SECRET}"))),
        }),
    );
    // A simulated clock, which shows that the network does not wait for it.
    let outbound = OutboundHttp::new(&permissions, Clock::simulated(Duration::ZERO));
    match outbound.request(request, &variables, &mut MemoryBudget::alone(1).of_answer()).await {
        Ok(HostResponse::Response { status, headers, body }) => Ok((status, headers, body)),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => {
            assert!(!format!("{failure:?}").contains(SECRET), "{failure:?}");
            Err(failure)
        }
    }
}

fn run<F: Future>(future: F) -> F::Output {
    Clock::real().block_on(future).unwrap()
}

#[test]
fn a_request_arrives_as_it_was_made_and_its_answer_comes_back() {
    run(async {
        let answer = "HTTP/1.1 201 Created\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 4\r\n\r\ndone";
        let server = Server::new(answer).await;
        let mut request = post(&server.url());
        request.headers =
            vec![("X-Shop".to_owned(), text("one")), ("Authorization".to_owned(), bearer("KEY"))];
        let (status, headers, body) = ask(&["127.0.0.1"], request).await.unwrap();
        assert_eq!((status, &*body), (201, &b"done"[..]));
        assert!(headers.contains(&("x-a".to_owned(), Bytes::from_static(b"1, 2"))));
        let received = server.received.await.unwrap();
        assert!(received.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{received}");
        assert!(received.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{received}");
        assert!(received.contains("x-shop: one\r\n") && received.ends_with("\r\n\r\nhello"), "{received}");
        assert!(received.contains(concat!("user-agent: mooncast/", env!("CARGO_PKG_VERSION"))), "{received}");
    });
}

#[test]
fn this_machine_must_be_named() {
    run(async {
        for (net, host, granted) in [
            (&["127.0.0.1"][..], "127.0.0.1", true),
            (&["127.0.0.0/8"], "127.0.0.1", true),
            (&["localhost"], "localhost", true),
            (&["*", "127.0.0.1", "::1"], "localhost", true),
            (&["*"], "127.0.0.1", false),
            (&["*"], "localhost", false),
            (&["*"], "2130706433", false),
            (&["*"], "[::ffff:127.0.0.1]", false),
            (&["localhost"], "127.0.0.1", false),
            (&["127.0.0.1:1"], "127.0.0.1", false),
            (&["10.0.0.0/8"], "127.0.0.1", false),
            (&[], "127.0.0.1", false),
            (&[], "localhost", false),
            (&["example.com"], "127.0.0.1", false),
        ] {
            let server = Server::new("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            let answer = ask(net, get(&format!("http://{host}:{}/", server.port))).await;
            match answer {
                Ok((status, ..)) => assert!(granted && status == 200, "{net:?} {host}"),
                Err(failure) => {
                    assert!(!granted, "{net:?} {host}: {failure:?}");
                    assert_eq!(failure.kind, FailureKind::Denied, "{net:?} {host}: {failure:?}");
                    assert!(failure.message.contains("--allow-net="), "{failure:?}");
                }
            }
            server.received.abort();
        }
    });
}

#[test]
fn a_redirect_is_the_answer() {
    run(async {
        let answer = "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
        let server = Server::new(answer).await;
        let (status, headers, _) = ask(&["127.0.0.1"], get(&server.url())).await.unwrap();
        assert_eq!(status, 302);
        assert!(headers.iter().any(|(name, value)| name == "location" && value == "http://169.254.169.254/"));
    });
}

#[test]
fn a_name_is_never_resolved_a_second_time() {
    run(async {
        let server = Server::new("HTTP/1.1 204 No Content\r\n\r\n").await;
        let clients = PinnedClients::default();
        let here = SocketAddr::from(([127, 0, 0, 1], server.port));
        // This name does not exist, so only the pinned address can be reached.
        let client = clients.pinned("pinned.invalid", &[here]).unwrap();
        let elsewhere = format!("http://localhost:{}/", server.port);
        assert!(client.client().get(&elsewhere).send().await.unwrap_err().is_connect());
        let url = format!("http://pinned.invalid:{}/", server.port);
        assert_eq!(client.client().get(&url).send().await.unwrap().status().as_u16(), 204);
    });
}

#[test]
fn a_secret_in_the_query_is_filled_in_and_shown_nowhere() {
    run(async {
        let server = Server::new("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        let with_query = |url: &str| HttpRequest {
            query: vec![("access token".to_owned(), bearer("KEY")), ("b".to_owned(), text("1&2"))],
            ..get(url)
        };
        ask(&["127.0.0.1"], with_query(&server.url())).await.unwrap();
        let received = server.received.await.unwrap();
        let line = received.lines().next().unwrap().to_owned();
        assert!(line.contains(&format!("/hook?a=1&access+token=Bearer+{SECRET}&b=1%262 ")), "{line}");
        // No server listens there, and the error does not show the query.
        let failure = ask(&["127.0.0.1"], with_query("http://127.0.0.1:1/")).await.unwrap_err();
        assert!(
            !failure.message.contains(SECRET) && !failure.message.contains("access"),
            "{}",
            failure.message
        );
        let long = HttpRequest {
            query: vec![("a".to_owned(), text(&"x".repeat(9000)))],
            ..get("http://127.0.0.1:1/")
        };
        let failure = ask(&["127.0.0.1"], long).await.unwrap_err();
        assert_eq!((failure.kind, failure.field.as_deref()), (FailureKind::Invalid, Some("query")));
    });
}

#[test]
fn secrets_travel_encrypted_or_not_at_all() {
    run(async {
        // The request is denied before anything is opened, so the test never reaches a public address.
        let mut request = get("http://9.9.9.9/");
        request.headers = vec![("authorization".to_owned(), bearer("KEY"))];
        let failure = ask(&["9.9.9.9"], request).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.message.contains("KEY") && failure.message.contains("https"), "{}", failure.message);

        let mut request = get("http://127.0.0.1:1/");
        request.headers = vec![("authorization".to_owned(), bearer("TWO_LINES"))];
        assert_eq!(ask(&["127.0.0.1"], request).await.unwrap_err().kind, FailureKind::Invalid);

        let mut request = get("http://127.0.0.1:1/");
        request.body = Some(bearer("OTHER"));
        assert_eq!(ask(&["127.0.0.1"], request).await.unwrap_err().kind, FailureKind::Denied);
    });
}

#[test]
fn what_is_no_request_is_invalid() {
    run(async {
        for url in [
            "",
            "example.com",
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "unix:/run/x.sock",
            "data:text/plain,x",
            "http://user:pass@127.0.0.1/",
            "http://user@127.0.0.1/",
            "http:///",
            "http://[::1",
            "http://127.0.0.1:99999/",
        ] {
            assert_eq!(
                ask(&["*", "127.0.0.1"], get(url)).await.unwrap_err().kind,
                FailureKind::Invalid,
                "{url}"
            );
        }
        let long = format!("http://127.0.0.1/{}", "a".repeat(MAX_URL));
        assert_eq!(ask(&["127.0.0.1"], get(&long)).await.unwrap_err().kind, FailureKind::Invalid);
        for method in ["", "CONNECT", "TRACE", "GET /", "G\r\nET"] {
            let request = HttpRequest { method: method.to_owned(), ..get("http://127.0.0.1:1/") };
            assert_eq!(
                ask(&["127.0.0.1"], request).await.unwrap_err().kind,
                FailureKind::Invalid,
                "{method}"
            );
        }
        for name in ["Host", "Content-Length", "Transfer-Encoding", "Connection", "a b", "a\r\nb", ""] {
            let mut request = get("http://127.0.0.1:1/");
            request.headers = vec![(name.to_owned(), text("x"))];
            let failure = ask(&["127.0.0.1"], request).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Invalid, "{name}");
            assert!(failure.field.unwrap().starts_with("headers."), "{name}");
        }
        let mut request = get("http://127.0.0.1:1/");
        request.headers = vec![("x-a".to_owned(), text("1\r\nx-b: 2"))];
        assert_eq!(ask(&["127.0.0.1"], request).await.unwrap_err().kind, FailureKind::Invalid);
        let mut request = get("http://127.0.0.1:1/");
        request.headers = (0..101).map(|index| (format!("x-{index}"), text("x"))).collect();
        assert_eq!(ask(&["127.0.0.1"], request).await.unwrap_err().kind, FailureKind::Invalid);
    });
}

#[test]
fn a_failure_says_whether_the_request_may_have_arrived() {
    run(async {
        let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", closed.local_addr().unwrap());
        drop(closed);
        for request in [get(&url), post(&url)] {
            let failure = ask(&["127.0.0.1"], request).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unreachable);
            assert!(failure.message.contains("refused"), "{}", failure.message);
        }
        for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "garbage\r\n\r\n"] {
            let server = Server::new(answer).await;
            assert_eq!(
                ask(&["127.0.0.1"], get(&server.url())).await.unwrap_err().kind,
                FailureKind::Unreachable,
                "{answer}"
            );
            let server = Server::new(answer).await;
            assert_eq!(
                ask(&["127.0.0.1"], post(&server.url())).await.unwrap_err().kind,
                FailureKind::InDoubt,
                "{answer}"
            );
        }
    });
}

#[test]
fn a_server_that_hangs_is_given_up_in_real_time() {
    run(async {
        let server = Server::with(async |_: &mut TcpStream| std::future::pending().await).await;
        let request = HttpRequest { timeout_ms: 50, ..post(&server.url()) };
        let failure = ask(&["127.0.0.1"], request).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::InDoubt);
        assert!(failure.message.contains("50 ms"), "{}", failure.message);
    });
}

#[test]
fn an_answer_over_the_limits_is_refused() {
    run(async {
        let server = Server::new("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").await;
        let failure = ask(&["127.0.0.1"], get(&server.url())).await.unwrap_err();
        assert!(failure.message.contains("larger than 16777216 bytes"), "{}", failure.message);

        let server = Server::with(async |stream: &mut TcpStream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            let chunk = [&b"10000\r\n"[..], &vec![b'x'; 0x10000], b"\r\n"].concat();
            // The body is endless: writing stops when the other side closes the connection.
            while stream.write_all(&chunk).await.is_ok() {}
        })
        .await;
        let failure = ask(&["127.0.0.1"], get(&server.url())).await.unwrap_err();
        assert!(failure.message.contains("larger than 16777216 bytes"), "{}", failure.message);
        server.received.await.unwrap();

        let headers = format!("x-long: {}\r\n", "x".repeat(1000)).repeat(70);
        let server = Server::new(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\n\r\n")).await;
        let failure = ask(&["127.0.0.1"], get(&server.url())).await.unwrap_err();
        assert!(failure.message.contains("headers are larger"), "{}", failure.message);
    });
}
