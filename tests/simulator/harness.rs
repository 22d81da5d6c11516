//! A simulator on its own port, a clock that the test moves, and a small HTTP client.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mooncast::{Simulator, SimulatorSettings, SimulatorTime};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The token that every test's simulator accepts.
pub(crate) const TOKEN: &str = "test-token";
/// The wall-clock time at the start of tests: a whole second.
const START: Duration = Duration::from_secs(1_700_000_000);

/// A clock that moves only when the test says so.
#[derive(Clone)]
pub(crate) struct Manual(watch::Sender<Duration>);

impl Manual {
    pub(crate) fn advance(&self, ms: u64) {
        self.0.send_modify(|now| *now += Duration::from_millis(ms));
    }
}

impl SimulatorTime for Manual {
    fn elapsed(&self) -> Duration {
        *self.0.borrow()
    }

    fn unix_time(&self) -> Duration {
        START + self.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        let until = self.elapsed() + duration;
        let mut now = self.0.subscribe();
        Box::pin(async move {
            now.wait_for(|now| *now >= until).await.unwrap();
        })
    }
}

/// A running simulator.
pub(crate) struct Service {
    pub(crate) simulator: Simulator,
    pub(crate) time: Manual,
    pub(crate) address: SocketAddr,
    end: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the status, `error` and `error_description`.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("error"), text("error_description"))
    }
}

/// Returns the settings of the tests: org `o`, app `a`, a fixed token.
pub(crate) fn settings() -> SimulatorSettings {
    SimulatorSettings { fixed_token: Some(TOKEN.into()), ..SimulatorSettings::new("o", "a") }
}

impl Service {
    pub(crate) async fn start(settings: SimulatorSettings) -> Self {
        let time = Manual(watch::Sender::new(Duration::ZERO));
        let simulator = Simulator::new(settings, time.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let serving = simulator.clone();
        let server = tokio::spawn(async move {
            serving
                .serve(listener, async {
                    let _ = ended.await;
                })
                .await
        });
        Self { simulator, time, address, end, server }
    }

    /// Stops the server and waits for its end.
    pub(crate) async fn stop(self) {
        self.end.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }

    /// Sends one complete request on its own connection.
    pub(crate) async fn connect(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: fake.test\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[request.as_bytes(), body].concat()).await.unwrap();
        stream
    }

    /// Returns all bytes that answer one request, or how its connection ended.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.connect(method, path, headers, body).await.read_to_end(&mut bytes).await?;
        Ok(bytes)
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let bytes = self.raw(method, path, headers, body).await.unwrap();
        let split = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        Reply { status: head[9..12].parse().unwrap(), head, body: bytes[split..].to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[bearer()], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, &[bearer(), as_json()], body.to_string().as_bytes()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.call("PUT", path, &[bearer(), as_json()], body.to_string().as_bytes()).await
    }

    /// Sends a message to one group and returns its id.
    pub(crate) async fn sent(&self, group: &str, kind: &str, body: &Value) -> String {
        let reply = self.send(&json!({ "to": [group], "type": kind, "body": body })).await;
        reply.json()["data"][group].as_str().unwrap().to_owned()
    }

    /// Uploads a file and returns its path behind the prefix.
    pub(crate) async fn uploaded(&self, file: &[u8]) -> String {
        let head = "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
        let body = [head.as_bytes(), file, b"\r\n--XX--\r\n"].concat();
        let kind = ("content-type", "multipart/form-data; boundary=XX");
        let reply = self.call("POST", "/o/a/chatfiles", &[bearer(), kind], &body).await;
        format!("/o/a/chatfiles/{}", reply.json()["entities"][0]["uuid"].as_str().unwrap())
    }

    pub(crate) async fn send(&self, body: &Value) -> Reply {
        self.post("/o/a/messages/chatgroups", body).await
    }

    pub(crate) async fn targeted(&self, body: &Value) -> Reply {
        self.post("/o/a/messages/chatgroups/users", body).await
    }

    /// Sends a text to each of the groups. Returns the status.
    pub(crate) async fn text(&self, groups: &[&str]) -> u16 {
        self.send(&text(groups)).await.status
    }

    /// Lets the server work until the simulator has received this many of these calls.
    pub(crate) async fn until_seen(&self, call: &str, count: u64) {
        while self.simulator.stats().calls.get(call).copied().unwrap_or_default() < count {
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) const fn bearer() -> (&'static str, &'static str) {
    ("authorization", "Bearer test-token")
}

pub(crate) const fn as_json() -> (&'static str, &'static str) {
    ("content-type", "application/json")
}

pub(crate) fn text(groups: &[&str]) -> Value {
    json!({ "from": "user1", "to": groups, "type": "txt", "body": { "msg": "hello" } })
}
