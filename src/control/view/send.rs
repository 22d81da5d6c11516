//! Single sends that are in doubt.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::utc;
use crate::ledger::SendRow;

/// The maximum number of groups that a line names.
const NAMED: usize = 3;

/// A single send as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendView {
    /// Its number.
    pub id: i64,
    /// Its `once` key.
    pub once: Option<String>,
    /// The groups that it goes to.
    pub groups: Vec<String>,
    /// The members of a targeted message; empty for whole groups.
    pub users: Vec<String>,
    /// Which script, job or command sent it.
    pub origin: String,
    /// `pending`, `sending`, `sent`, `rejected`, `in_doubt` or `cancelled`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it is in doubt.
    pub error: Option<String>,
    /// The groups of which the service gave a message id.
    pub receipts: Vec<SendReceipt>,
    /// When it was begun.
    pub created_at: String,
    /// When its state changed last.
    pub updated_at: String,
}

/// A message that the service has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendReceipt {
    /// The group.
    pub group_id: String,
    /// The service's id of the message.
    pub message_id: String,
}

/// Recipients in the form that the ledger stores.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredRecipients {
    Groups(Vec<String>),
    Members { to: Vec<String>, users: Vec<String> },
}

impl From<&SendRow> for SendView {
    fn from(send: &SendRow) -> Self {
        let (groups, users) = match serde_json::from_str(&send.recipients) {
            Ok(StoredRecipients::Groups(groups)) => (groups, Vec::new()),
            Ok(StoredRecipients::Members { to, users }) => (to, users),
            Err(_) => (Vec::new(), Vec::new()),
        };
        let receipt = |(group_id, message_id): &(String, String)| SendReceipt {
            group_id: group_id.clone(),
            message_id: message_id.clone(),
        };
        Self {
            id: send.id,
            once: send.once.clone(),
            groups,
            users,
            origin: send.origin.clone(),
            state: send.state.name().to_owned(),
            attempts: send.attempts,
            error: send.error.clone(),
            receipts: send.receipts.iter().map(receipt).collect(),
            created_at: utc(send.created_at),
            updated_at: utc(send.updated_at),
        }
    }
}

impl SendView {
    /// The groups as one line.
    pub fn to(&self) -> String {
        let mut to = self.groups.iter().take(NAMED).cloned().collect::<Vec<_>>().join(",");
        if self.groups.len() > NAMED {
            // Writing to a `String` cannot fail.
            let _ = write!(to, " and {} more", self.groups.len() - NAMED);
        }
        to
    }

    /// A sentence about how the send was settled.
    pub fn settled(&self, as_sent: bool) -> String {
        let id = self.id;
        match (as_sent, &self.once, self.receipts.is_empty()) {
            (true, Some(key), true) => format!(
                "single send {id} counts as sent; no receipts are known, so the next call with once = \"{key}\" gives none"
            ),
            (true, Some(key), false) => {
                format!(
                    "single send {id} counts as sent; the next call with once = \"{key}\" gives its receipts"
                )
            }
            (true, None, _) => format!("single send {id} counts as sent"),
            (false, Some(key), _) => {
                format!(
                    "single send {id} counts as not sent; the next call with once = \"{key}\" sends it again"
                )
            }
            (false, None, _) => {
                format!(
                    "single send {id} counts as not sent; run its script ({}) to send it again",
                    self.origin
                )
            }
        }
    }
}
