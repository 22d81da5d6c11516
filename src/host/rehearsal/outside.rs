//! What would change something elsewhere: requests to other services, recalls. It is listed and not done.

use bytes::Bytes;

use serde::Serialize;

use crate::delivery::BroadcastRecallSummary;
use crate::ledger::Broadcast;
use crate::protocol::{HostResponse, HttpRequest, HttpValue, HttpValuePart};

use super::Rehearsal;

/// The most that are listed.
const MOST: usize = 1000;

/// The header that tells a script's author why an answer is empty.
const HEADER: &str = "x-mooncast-rehearsal";

/// Something that was asked for and not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedEffect {
    /// `POST https://api.example.com/orders`, or `recall`.
    pub what: String,
    /// Bytes of its body, as far as they are known without secrets.
    pub bytes: u64,
}

impl Rehearsal {
    /// Lists a request that was granted, and answers it as one that went well.
    pub(in super::super) fn http(&self, request: &HttpRequest) -> HostResponse {
        let bytes = request.body.as_ref().map_or(0, known_bytes);
        let url = request.url.split(['?', '#']).next().unwrap_or_default();
        self.list(SkippedEffect { what: format!("{} {url}", request.method), bytes });
        HostResponse::Response {
            status: 200,
            headers: vec![
                ("content-type".to_owned(), Bytes::from_static(b"application/json")),
                (HEADER.to_owned(), Bytes::from_static(b"not sent")),
            ],
            body: Bytes::from_static(b"{}"),
        }
    }

    /// Lists a recall, and answers it as one that went well.
    pub(in super::super) fn recall(&self, receipts: &[(String, String)]) -> HostResponse {
        self.list(SkippedEffect { what: format!("recall of {} messages", receipts.len()), bytes: 0 });
        let answer = serde_json::json!({ "recalled": receipts.len(), "failed": [] });
        HostResponse::Json(answer.to_string().into())
    }

    /// Lists the recall of a broadcast, and tells what would come of it.
    pub(in super::super) fn recall_broadcast(&self, broadcast: &Broadcast) -> BroadcastRecallSummary {
        let sent = broadcast.counts.sent;
        let what = format!("recall of broadcast {} (run {}): {sent} messages", broadcast.name, broadcast.run);
        self.list(SkippedEffect { what, bytes: 0 });
        BroadcastRecallSummary { recalled: sent, ..BroadcastRecallSummary::default() }
    }

    fn list(&self, not_sent: SkippedEffect) {
        let mut outside = self.outside.borrow_mut();
        if outside.len() < MOST {
            outside.push(not_sent);
        }
    }
}

fn known_bytes(value: &HttpValue) -> u64 {
    let known =
        |part: &HttpValuePart| if let HttpValuePart::Text(text) = part { text.len() as u64 } else { 0 };
    value.0.iter().map(known).sum()
}
