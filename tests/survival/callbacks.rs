//! The callbacks of the server: one for each accepted message, some lost and some doubled.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::random::Random;

/// Posts callbacks one after another on a thread.
#[derive(Debug)]
pub(super) struct Callbacks {
    queue: Sender<(String, Value)>,
    poster: JoinHandle<BTreeSet<String>>,
}

impl Callbacks {
    pub(super) fn start(address: &str, secret: &str) -> Self {
        let (queue, posts) = channel::<(String, Value)>();
        let (address, secret) = (address.to_owned(), secret.to_owned());
        let poster = std::thread::spawn(move || {
            let mut delivered = BTreeSet::new();
            for (group, mut event) in posts {
                let signed = format!("{}{secret}{}", event["callId"].as_str().unwrap(), event["timestamp"]);
                let digest: [u8; 16] = Md5::digest(signed.as_bytes()).into();
                event["security"] = data_encoding::HEXLOWER.encode(&digest).into();
                // As the service does, each is tried once more.
                if (0..2).any(|_| post(&address, &event.to_string()) == Some(200)) {
                    delivered.insert(group);
                }
            }
            delivered
        });
        Self { queue, poster }
    }

    /// Posts the callback of a message, or loses it, or posts it twice.
    pub(super) fn post(&self, (at, id, group, message): &(i64, String, String, Value), random: &Random) {
        let copies = match random.below(100) {
            0..5 => 0,
            5..10 => 2,
            _ => 1,
        };
        let mut body = message["body"].clone();
        body["type"] = message["type"].clone();
        let event = json!({
            "callId": format!("org#app_{id}"), "eventType": "chat", "timestamp": at, "chat_type": "groupchat",
            "group_id": group, "from": message["from"].as_str().unwrap_or("admin"), "to": group, "msg_id": id,
            "payload": { "bodies": [body], "ext": message.get("ext").cloned().unwrap_or_else(|| json!({})) },
            "securityVersion": "1.0.0", "appkey": "org#app", "host": "here", "content_type": "chat:group:text",
        });
        for _ in 0..copies {
            self.queue.send((group.clone(), event.clone())).unwrap();
        }
    }

    /// Waits until all are posted. Returns the groups whose callback was delivered.
    pub(super) fn delivered(self) -> BTreeSet<String> {
        drop(self.queue);
        self.poster.join().unwrap()
    }
}

fn post(address: &str, body: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST /callbacks/default HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
