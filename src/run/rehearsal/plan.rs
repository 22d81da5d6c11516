//! The plan of a rehearsal: the recipients and messages of every broadcast, every single send, every recall, and every
//! call of `im.request` that changes something.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::client::RestCall;
use crate::core::Call;
use crate::delivery::RecallOptions;
use crate::run::send_policy::{RecallAsked, RecalledMessages};

use super::Rehearsal;

/// Characters of the hash that appear in a plan's name.
const SHOWN: usize = 24;

/// Identifies a single send: its app, call, recipients and message.
pub(super) type SendFingerprint = [u8; 16];

/// Returns the fingerprint of a single send. Its JSON must represent files by their content.
pub(super) fn fingerprint(app: &str, call: Call, json: &[u8]) -> SendFingerprint {
    fingerprint_of([app.as_bytes(), format!("\n{call}\n").as_bytes(), json])
}

fn fingerprint_of<const N: usize>(parts: [&[u8]; N]) -> SendFingerprint {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut fingerprint = SendFingerprint::default();
    for (to, from) in fingerprint.iter_mut().zip(digest) {
        *to = from;
    }
    fingerprint
}

/// Returns the fingerprint of a call of `im.request`: its app, method, path, query and body.
pub(super) fn of_request(app: &str, call: &RestCall) -> SendFingerprint {
    let RestCall { method, path, query, body, idempotent } = call;
    let body = body.as_deref().unwrap_or_default();
    // Debug texts are quoted, so no field runs into the next.
    let text = format!("{method}\n{path}\n{query:?}\n{idempotent}\n");
    fingerprint_of([app.as_bytes(), b"\nrequest\n", text.as_bytes(), body])
}

/// Returns the fingerprint of a recall: its app, whose messages it recalls, and its options.
pub(super) fn of_recall(app: &str, recall: &RecallAsked<'_>) -> SendFingerprint {
    let RecallAsked { of, options } = recall;
    let of = match of {
        RecalledMessages::Broadcast(name, run) => format!("{name:?} {run:?}"),
        RecalledMessages::Receipts(receipts) => {
            let mut to: Vec<&str> = receipts.iter().map(|(to, _)| to.as_str()).collect();
            to.sort_unstable();
            format!("{to:?}")
        }
    };
    let RecallOptions { kind, force, from, note, with_attachments, .. } = options;
    let options = format!("\n{kind}\n{force}\n{from:?}\n{note:?}\n{with_attachments}\n");
    fingerprint_of([app.as_bytes(), b"\nrecall\n", of.as_bytes(), options.as_bytes()])
}

/// A plan by name: the start of its clock, its random seed, its number of messages, and a hash of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsalPlan {
    /// The start since 1970, in whole seconds.
    pub start: Duration,
    /// The seed of `math.random`.
    pub seed: u32,
    /// The number of messages: the recipients of all broadcasts, and the single sends.
    pub messages: u64,
    /// The beginning of the hash, in hexadecimal.
    pub hash: String,
}

impl fmt::Display for RehearsalPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}-{:08x}-{}-{}", self.start.as_secs(), self.seed, self.messages, self.hash)
    }
}

impl FromStr for RehearsalPlan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().split('-');
        let mut part = || parts.next().unwrap_or_default();
        let (start, seed, messages, hash) = (part(), part(), part(), part());
        let plan = || {
            Some(Self {
                start: Duration::from_secs(u64::from_str_radix(start, 16).ok()?),
                seed: u32::from_str_radix(seed, 16).ok()?,
                messages: messages.parse().ok()?,
                hash: Some(hash)
                    .filter(|hash| hash.len() == SHOWN && hash.bytes().all(|b| b.is_ascii_hexdigit()))?
                    .to_ascii_lowercase(),
            })
        };
        plan().filter(|plan| plan.to_string() == text.trim().to_ascii_lowercase()).ok_or_else(|| {
            "it is not a plan; `mooncast rehearse FILE` prints one, with four parts joined by `-`".to_owned()
        })
    }
}

impl Rehearsal {
    /// Returns the plan of what was recorded. `seed` is the random seed of the rehearsal.
    pub fn plan(&self, seed: u32) -> RehearsalPlan {
        let guard = self.guard();
        let mut hasher = Sha256::new();
        for ((key, name, run), hash) in guard.broadcasts() {
            // No field can contain a line feed.
            hasher.update(format!("broadcast\n{key}\n{name}\n{run}\n{hash}\n"));
        }
        let mut singles = self.singles.borrow().fingerprints.clone();
        singles.sort_unstable();
        for single in &singles {
            hasher.update(single);
        }
        let mut requests = self.requests.borrow().clone();
        requests.sort_unstable();
        for request in &requests {
            hasher.update(request);
        }
        let mut hash = HEXLOWER.encode(&hasher.finalize());
        hash.truncate(SHOWN);
        let planned: u64 = self.broadcasts.borrow().iter().map(|seen| seen.plan.total).sum();
        RehearsalPlan {
            start: Duration::from_secs(self.start.as_secs()),
            seed,
            messages: planned + singles.len() as u64,
            hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_is_written_and_nothing_else_is() {
        let plan = RehearsalPlan {
            start: Duration::from_secs(1_780_000_000),
            seed: 7,
            messages: 720_000,
            hash: "0123456789abcdef01234567".to_owned(),
        };
        let text = plan.to_string();
        assert_eq!(text.parse(), Ok(plan));
        for bad in
            ["", "x", &text[1..], &text[..text.len() - 1], &format!("{text}-1"), &text.replace('-', "_")]
        {
            let read = bad.parse::<RehearsalPlan>();
            assert!(read.is_err() || read.unwrap().to_string() != text, "{bad}");
        }
    }
}
