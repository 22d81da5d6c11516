//! Effects outside the program, such as requests to other services and recalls: a rehearsal lists them and skips
//! them.

use bytes::Bytes;

use serde::Serialize;

use crate::delivery::BroadcastRecallSummary;
use crate::ledger::Broadcast;
use crate::protocol::{HostResponse, HttpRequest, HttpValue, HttpValuePart};

use super::Rehearsal;

/// The most effects that are listed.
const MOST: usize = 1000;

/// The header that tells the author of the script why a response is empty.
const HEADER: &str = "x-mooncast-rehearsal";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedEffect {
    /// What was requested: for example `POST https://api.example.com/orders`, or a recall.
    pub what: String,
    /// Bytes of the request's body, without its secrets; 0 for a recall.
    pub bytes: u64,
}

impl Rehearsal {
    /// Lists a granted request, and answers as if it had succeeded.
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

    /// Lists a recall, and answers as if it had succeeded.
    pub(in super::super) fn recall(&self, receipts: &[(String, String)]) -> HostResponse {
        self.list(SkippedEffect { what: format!("recall of {} messages", receipts.len()), bytes: 0 });
        let answer = serde_json::json!({ "recalled": receipts.len(), "failed": [] });
        HostResponse::Json(answer.to_string().into())
    }

    /// Lists the recall of a broadcast, and returns the result that it would have.
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
