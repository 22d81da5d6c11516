//! A service on loopback that shares no code with the program: a socket, a few lines of HTTP, and a list of requests.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use super::GUARD;

/// A complete request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

type Answer = dyn Fn(usize, &Request) -> Vec<u8> + Send + Sync;

/// The addresses of its clients' connections.
#[derive(Default)]
struct Connections {
    accepted: HashSet<SocketAddr>,
    open: HashSet<SocketAddr>,
}

struct Shared {
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Connections>,
    changed: Condvar,
    arrived: Condvar,
    answer: Box<Answer>,
}

/// A service that listens until the test ends.
pub struct Service {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Service {
    /// Answers every message with an id for each group, and every other request with an empty object.
    pub fn accepting() -> Self {
        Self::answering(accept)
    }

    /// Answers the n-th request (from 0) with the result of `answer`: the bytes of a complete or a broken HTTP
    /// answer. The connection is closed after an answer without `Content-Length`.
    pub fn answering(answer: impl Fn(usize, &Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            connections: Mutex::default(),
            changed: Condvar::new(),
            arrived: Condvar::new(),
            answer: Box::new(answer),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = Arc::clone(&server);
                let Ok(peer) = stream.peer_addr() else { continue };
                {
                    let mut connections = server.connections.lock().unwrap();
                    connections.accepted.insert(peer);
                    connections.open.insert(peer);
                }
                std::thread::spawn(move || {
                    server.serve(stream);
                    server.connections.lock().unwrap().open.remove(&peer);
                    server.changed.notify_all();
                });
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Returns the messages among them.
    pub fn messages(&self) -> Vec<Value> {
        self.requests()
            .iter()
            .filter(|request| request.path.contains("/messages/chatgroups"))
            .map(Request::json)
            .collect()
    }

    /// Waits until everything that ended clients had written is read, which is when their connections end.
    #[track_caller]
    pub fn wait_for_the_gone(&self) {
        // Connections are accepted in order, so the earlier ones have been accepted.
        let probe = TcpStream::connect(self.address).unwrap().local_addr().unwrap();
        let connections = self.shared.connections.lock().unwrap();
        let going = |now: &mut Connections| !now.accepted.contains(&probe) || !now.open.is_empty();
        let (connections, waited) =
            self.shared.changed.wait_timeout_while(connections, GUARD, going).unwrap();
        assert!(!waited.timed_out(), "{:?} are open", connections.open);
    }

    /// Waits until this many requests have arrived.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        let requests = self.shared.requests.lock().unwrap();
        let few = |requests: &mut Vec<Request>| requests.len() < count;
        let (requests, waited) = self.shared.arrived.wait_timeout_while(requests, GUARD, few).unwrap();
        assert!(!waited.timed_out(), "{} requests, not {count}", requests.len());
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader) {
            let number = {
                let mut requests = self.requests.lock().unwrap();
                requests.push(request.clone());
                requests.len() - 1
            };
            self.arrived.notify_all();
            let answer = (self.answer)(number, &request);
            let stays = String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("content-length");
            if writer.write_all(&answer).is_err() || !stays {
                return;
            }
        }
    }
}

pub fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// An HTTP answer with a JSON body.
pub fn json(status: u16, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Answers a message with an id for each group, and anything else with an empty object.
pub fn accept(count: usize, request: &Request) -> Vec<u8> {
    let groups = match serde_json::from_slice::<Value>(&request.body) {
        Ok(message) => message["to"].as_array().cloned().unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let data: Vec<String> = groups
        .iter()
        .enumerate()
        .map(|(index, group)| format!("{group}: \"{}\"", 1_029_544_257_947_000_000 + count * 3 + index))
        .collect();
    json(200, &format!("{{\"data\": {{{}}}}}", data.join(", ")))
}
