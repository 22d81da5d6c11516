//! A raw socket server that parses requests itself and answers as the test says, correctly or not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::TOKEN;

/// A received request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// What the server does after it has read a request.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Answer(u16, String),
    AnswerWith(u16, &'static str, String),
    Chunked(u16, String),
    /// Announces more bytes than it sends, then closes.
    Truncated(u16, String),
    /// Answers, and closes the connection without announcing it.
    AnswerAndClose(u16, String),
    /// Sends these bytes unchanged, then closes.
    Raw(&'static [u8]),
    Close,
    Reset,
    Hang,
}

impl Step {
    pub(super) fn ok() -> Self {
        Self::Answer(200, r#"{"data":{"1":"m1"}}"#.into())
    }

    pub(super) fn error(status: u16, error: &str, description: &str) -> Self {
        let body = format!(r#"{{"error":"{error}","exception":"x","error_description":"{description}"}}"#);
        Self::Answer(status, body)
    }

    pub(super) fn token(token: &str, expires_in: u64) -> Self {
        let body = format!(r#"{{"access_token":"{token}","expires_in":{expires_in},"application":"a"}}"#);
        Self::Answer(200, body)
    }
}

type Handler = dyn Fn(&Request, usize) -> Step + Send + Sync;

/// A server that listens until the test's process ends.
pub(super) struct Server {
    pub(super) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts a server that does what `handler` says for each request. The second argument is the number of earlier
    /// requests with the same path.
    pub(super) fn start(handler: impl Fn(&Request, usize) -> Step + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, handler): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
                std::thread::spawn(move || serve(stream, &log, &*handler));
            }
        });
        Self { url, requests }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the number of complete requests to a path behind the app's prefix.
    pub(super) fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| is_at(request, path)).count()
    }
}

fn is_at(request: &Request, path: &str) -> bool {
    request.target.split('?').next() == Some(&format!("/org/app{path}"))
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Request>>, handler: &Handler) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let before = {
            let mut log = log.lock().unwrap();
            let path = |request: &Request| request.target.split('?').next().map(str::to_owned);
            let before = log.iter().filter(|earlier| path(earlier) == path(&request)).count();
            log.push(request.clone());
            before
        };
        if !act(handler(&request, before), &mut reader, &mut writer) {
            return;
        }
    }
}

/// Does a step. Returns false if the connection has ended.
fn act(step: Step, reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> bool {
    let whole = |status: u16, header: &str, body: &str| {
        format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n{header}\r\n{body}", body.len())
    };
    match step {
        Step::Answer(status, body) => writer.write_all(whole(status, "", &body).as_bytes()).is_ok(),
        Step::AnswerWith(status, header, body) => {
            writer.write_all(whole(status, &format!("{header}\r\n"), &body).as_bytes()).is_ok()
        }
        Step::Chunked(status, body) => {
            let (one, two) = body.split_at(body.len() / 2);
            let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
            let text = format!(
                "HTTP/1.1 {status} x\r\ntransfer-encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
                chunk(one),
                chunk(two)
            );
            writer.write_all(text.as_bytes()).is_ok()
        }
        Step::Truncated(status, body) => {
            let longer = body.len() + 10;
            let text = format!("HTTP/1.1 {status} x\r\ncontent-length: {longer}\r\n\r\n{body}");
            let _ = writer.write_all(text.as_bytes());
            false
        }
        Step::AnswerAndClose(status, body) => {
            let _ = writer.write_all(whole(status, "", &body).as_bytes());
            false
        }
        Step::Raw(bytes) => {
            let _ = writer.write_all(bytes);
            false
        }
        Step::Close => false,
        Step::Reset => {
            // tokio has the option that makes a close a reset.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
            let _inside = runtime.enter();
            writer.set_nonblocking(true).unwrap();
            let socket = tokio::net::TcpStream::from_std(writer.try_clone().unwrap()).unwrap();
            socket.set_zero_linger().unwrap();
            false
        }
        Step::Hang => {
            // Waits until the client gives up.
            let _ = reader.read_to_end(&mut Vec::new());
            false
        }
    }
}

/// Reads a complete request. Returns None if the connection ends before that.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    let mut next = |reader: &mut BufReader<TcpStream>| {
        line.clear();
        (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = next(reader)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let header = next(reader)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// A normal service: every token is valid, and every send is accepted.
pub(super) fn willing(request: &Request, _before: usize) -> Step {
    if request.target.ends_with("/token") { Step::token(TOKEN, 3600) } else { Step::ok() }
}
