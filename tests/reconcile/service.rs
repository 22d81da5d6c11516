//! A service that records what it accepted and serves it as history files.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use mooncast::Clock;
use serde_json::{Value, json};

use crate::support::service::{Request, Service, json as answer};

/// How the service treats a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Accepted and answered.
    Well,
    /// Accepted, and the answer is an error.
    AcceptedSilently,
    /// Not accepted, and the answer is the same error.
    Lost,
    /// Answered as accepted, and then stopped by moderation: it has no record.
    Moderated,
}

/// Decides about the n-th message, from 0.
pub trait Plan: Fn(u64, &Value) -> Fate + Send + Sync + 'static {}

impl<F: Fn(u64, &Value) -> Fate + Send + Sync + 'static> Plan for F {}

/// How history files are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Files {
    /// Complete an hour after their hour.
    #[default]
    Good,
    /// The service has none.
    Missing,
    /// The file of another time zone.
    OtherZone,
    /// The file ends half-way.
    CutOff,
    /// A line is no record.
    BadLine,
    /// Each record has another text than what was sent.
    Altered,
}

#[derive(Debug, Clone)]
struct Accepted {
    id: String,
    at_ms: i64,
    group: String,
    message: Value,
}

#[derive(Default)]
struct Log {
    accepted: Vec<Accepted>,
    files: Files,
    /// The hours that were asked for, with the time.
    asked: Vec<(String, Duration)>,
}

pub struct HistoryService {
    service: Arc<Service>,
    log: Arc<Mutex<Log>>,
}

impl HistoryService {
    pub fn start(clock: &Clock, plan: impl Plan) -> Self {
        let log: Arc<Mutex<Log>> = Arc::default();
        let (kept, clock, number) = (Arc::clone(&log), clock.clone(), AtomicU64::new(0));
        let address: Arc<std::sync::OnceLock<String>> = Arc::default();
        let own = Arc::clone(&address);
        let service = Service::answering(move |_, request| {
            let mut log = kept.lock().unwrap();
            let now = clock.unix_time();
            if let Some(hour) = request.path.strip_prefix("/org/app/chatmessages/") {
                log.asked.push((hour.to_owned(), now));
                return log.address(hour, now, own.get().unwrap());
            }
            if let Some(hour) = request.path.strip_prefix("/files/") {
                assert_eq!(request.header("authorization"), None, "a file is fetched without a token");
                return file_answer(&log.file(hour));
            }
            let message = request.json();
            let number = number.fetch_add(1, Ordering::Relaxed);
            let fate = plan(number, &message);
            let mut receipts = serde_json::Map::new();
            if fate != Fate::Lost {
                for group in message["to"].as_array().unwrap() {
                    let group = group.as_str().unwrap().to_owned();
                    let id = format!("{}", 1_000_000_000 + log.accepted.len());
                    receipts.insert(group.clone(), id.clone().into());
                    if fate == Fate::Moderated {
                        receipts.insert(group.clone(), format!("2{group}").into());
                        continue;
                    }
                    let at_ms = i64::try_from(now.as_millis()).unwrap();
                    log.accepted.push(Accepted { id, at_ms, group, message: message.clone() });
                }
            }
            match fate {
                Fate::Well | Fate::Moderated => answer(200, &json!({ "data": receipts }).to_string()),
                _ => answer(502, "<html>bad gateway</html>"),
            }
        });
        address.set(service.url()).unwrap();
        Self { service: Arc::new(service), log }
    }

    pub fn url(&self) -> String {
        self.service.url()
    }

    pub fn serve(&self, files: Files) {
        self.log.lock().unwrap().files = files;
    }

    /// How often each group's message was accepted.
    pub fn copies(&self) -> BTreeMap<String, usize> {
        let mut copies = BTreeMap::new();
        for one in &self.log.lock().unwrap().accepted {
            *copies.entry(one.group.clone()).or_default() += 1;
        }
        copies
    }

    /// The accepted messages in order.
    pub fn accepted(&self) -> Vec<Value> {
        self.log.lock().unwrap().accepted.iter().map(|one| one.message.clone()).collect()
    }

    /// The hours that were asked for, with the time.
    pub fn asked(&self) -> Vec<(String, Duration)> {
        self.log.lock().unwrap().asked.clone()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.service.requests()
    }
}

impl Log {
    fn address(&self, hour: &str, now: Duration, url: &str) -> Vec<u8> {
        let complete = start_ms(hour) + 2 * 3_600_000;
        if self.files == Files::Missing || i64::try_from(now.as_millis()).unwrap() < complete {
            return answer(404, r#"{"error":"storage_object_not_found"}"#);
        }
        answer(200, &json!({ "data": [{ "url": format!("{url}/files/{hour}") }] }).to_string())
    }

    fn file(&self, hour: &str) -> Vec<u8> {
        let shift = if self.files == Files::OtherZone { 8 * 3_600_000 } else { 0 };
        let start = start_ms(hour) + shift;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        writeln!(
            gzip,
            "{}",
            line(
                "7",
                start + 1000,
                "77",
                &json!({ "from": "x", "type": "txt", "body": { "msg": "another's" } })
            )
        )
        .unwrap();
        for one in self.accepted.iter().filter(|one| (start..start + 3_600_000).contains(&one.at_ms)) {
            let mut message = one.message.clone();
            if self.files == Files::Altered {
                message["body"]["msg"] = "***".into();
            }
            writeln!(gzip, "{}", line(&one.id, one.at_ms, &one.group, &message)).unwrap();
        }
        if self.files == Files::BadLine {
            writeln!(gzip, "{{\"msg_id\":").unwrap();
        }
        let mut bytes = gzip.finish().unwrap();
        if self.files == Files::CutOff {
            bytes.truncate(bytes.len() - 9);
        }
        bytes
    }
}

pub fn line(id: &str, at_ms: i64, group: &str, message: &Value) -> Value {
    let mut body = message["body"].clone();
    body["type"] = message["type"].clone();
    let ext = message.get("ext").cloned().unwrap_or_else(|| json!({}));
    let from = message.get("from").cloned().unwrap_or_else(|| json!("admin"));
    json!({
        "msg_id": id, "timestamp": at_ms, "direction": "outgoing", "chat_type": "groupchat",
        "from": "org#app_x", "to": "org#app_y@conference",
        "payload": { "bodies": [body], "ext": ext, "from": from, "to": group },
    })
}

/// When an hour written `yyyyMMddHH` in UTC began, in milliseconds since 1970.
pub fn start_ms(hour: &str) -> i64 {
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M", format!("{hour}00")).unwrap();
    time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond()
}

pub fn file_answer(file: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\nContent-Length: {}\r\n\r\n",
        file.len()
    );
    [head.as_bytes(), file].concat()
}
