//! The daemon's API and its protection, from outside: hand-written HTTP to the real binary.

mod api;
mod attacks;
mod guard;
mod openapi;
mod rehearsals;
pub mod roles;
mod scripts;
mod tls;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::Serving;
use crate::support::service::Service;
use crate::support::{Project, Ran};

/// The longest wait for an answer. A healthy machine never needs it, however loaded it is.
const GUARD: Duration = Duration::from_mins(1);

/// A daemon on the simulator, with the read token and the operator's token.
pub struct Site {
    pub project: Project,
    pub serving: Serving,
    pub address: String,
    pub operate: String,
    pub read: String,
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The lines before the body, in lower case.
    pub head: String,
    pub body: String,
}

impl Site {
    /// Starts a daemon with this script as `scripts/main.lua`.
    pub fn start(script: &str) -> Self {
        Self::of(Project::with_script(script))
    }

    pub fn of(project: Project) -> Self {
        let (operate, read) = tokens(&project);
        let (serving, address) = serve(&project);
        Self { project, serving, address, operate, read }
    }

    /// Starts a daemon that sends to a service.
    pub fn against(service: &Service, script: &str) -> Self {
        let project = Project::with_script(script);
        let shown = project.mooncast(&["tokens", "renew"]).exits(0).stdout;
        let (operate, read) = (token_in(&shown, "operate"), token_in(&shown, "read"));
        let (serving, address) =
            listening(project.command_against(service, &["serve", "--listen", "127.0.0.1:0"]));
        Self { project, serving, address, operate, read }
    }

    /// Starts a daemon for a project that has already sent to a service.
    pub fn of_against(project: Project, service: &Service) -> Self {
        let shown = project.mooncast(&["tokens", "renew"]).exits(0).stdout;
        let (operate, read) = (token_in(&shown, "operate"), token_in(&shown, "read"));
        let (serving, address) =
            listening(project.command_against(service, &["serve", "--listen", "127.0.0.1:0"]));
        Self { project, serving, address, operate, read }
    }

    /// Kills the daemon and starts it again.
    pub fn restart(self) -> Self {
        let Self { project, serving, operate, read, .. } = self;
        serving.kill();
        let (serving, address) = serve(&project);
        Self { project, serving, address, operate, read }
    }

    /// Makes a request with the operator's token: `GET /jobs`, below `/api/v1`.
    pub fn ask(&self, what: &str) -> Answer {
        self.ask_with(what, &[("authorization", &format!("Bearer {}", self.operate))], b"")
    }

    /// [`Self::ask`] with other headers and a body.
    pub fn ask_with(&self, what: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let (method, path) = what.split_once(' ').unwrap();
        request(&self.address, &format!("{method} /api/v1{path}"), headers, body)
    }

    /// Returns the JSON of an answer with status 200.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let answer = self.ask(&format!("GET {path}"));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Posts JSON with the operator's token.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.operate);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.ask_with(&format!("POST {path}"), &headers, body.to_string().as_bytes())
    }

    /// Repeats a request after each event until the condition holds.
    #[track_caller]
    pub fn until(&self, path: &str, so: impl Fn(&Value) -> bool) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        let (address, token) = (&self.address, &self.operate);
        let head = format!(
            "GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut bytes = [0; 8192];
        for _ in 0..600 {
            let value = self.json(path);
            if so(&value) {
                return value;
            }
            assert!(stream.read(&mut bytes).unwrap() > 0, "the events end");
        }
        panic!("{path} never was so: {}", self.json(path));
    }

    /// Returns the daemon's memory in kilobytes.
    pub fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.serving.child().id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Answer {
    /// Parses a complete answer.
    pub fn of(bytes: &[u8]) -> Self {
        let split = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        let split = split.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..split]).to_lowercase();
        let mut body = bytes[split + 4..].to_vec();
        if head.contains("transfer-encoding: chunked") {
            body = whole(&body);
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: String::from_utf8(body).unwrap() }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// Asserts a refusal in the API's format and returns it.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let json = self.json();
        assert_eq!(json.as_object().unwrap().len(), 1, "{self:?}");
        json["error"].as_str().unwrap().to_owned()
    }
}

/// Joins the chunks of a body.
fn whole(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|part| part == b"\r\n").unwrap();
        let length = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).unwrap(), 16).unwrap();
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 4 + length..];
    }
}

/// Makes one request on its own connection. Without a `host` header it is for the address.
pub fn request(address: &str, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut text = format!("{head} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.extend(["host: ", address, "\r\n"]);
    }
    let said = headers.iter().any(|(name, _)| *name == "content-length");
    if !said && (!body.is_empty() || head.starts_with("POST")) {
        text.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    raw(address, &[(text + "\r\n").as_bytes(), body].concat())
}

/// Sends exactly these bytes on their own connection and returns the answer.
pub fn raw(address: &str, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    // A refused client need not send everything.
    let _ = stream.write_all(bytes);
    Answer::of(&rest(&mut stream))
}

/// Returns everything that still arrives on a connection.
pub fn rest(stream: &mut impl Read) -> Vec<u8> {
    let (mut all, mut part) = (Vec::new(), [0; 8192]);
    // A peer that was not read to its end resets the connection after its answer.
    while let Ok(read) = stream.read(&mut part) {
        if read == 0 {
            break;
        }
        all.extend_from_slice(&part[..read]);
    }
    all
}

/// Makes both tokens anew: the operator's and the read token.
pub fn tokens(project: &Project) -> (String, String) {
    let shown = project.mooncast(&["tokens", "--simulator", "renew"]).exits(0).stdout;
    (token_in(&shown, "operate"), token_in(&shown, "read"))
}

/// Returns the token of a role in the shown text.
pub fn token_in(shown: &str, role: &str) -> String {
    let line = shown.lines().find(|line| line.trim_start().starts_with(role)).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Starts a daemon that listens, and returns its address.
pub fn serve(project: &Project) -> (Serving, String) {
    listening(project.command(&["serve", "--simulator", "--listen", "127.0.0.1:0"]))
}

/// Starts a daemon and returns the address that it listens at.
pub fn listening(command: Command) -> (Serving, String) {
    let serving = Serving::start(command);
    let logged = serving.logged();
    let line = logged.iter().find(|line| line.contains("listening: the page is at")).unwrap();
    let address = line.split("address=").nth(1).unwrap().split(' ').next().unwrap().trim_matches('"');
    let address = address.to_owned();
    (serving, address)
}

/// Starts a daemon with this line in `[serve]`, which it must refuse.
pub fn refused(settings: &str) -> Ran {
    let project = Project::with_script("").file("mooncast.toml", format!("[serve]\n{settings}\n"));
    project.mooncast(&["serve", "--simulator"])
}
