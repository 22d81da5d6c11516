//! Single sends that are in doubt.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::broadcast::DoubtsView;
use super::group_id;
use crate::core::utc;
use crate::core::{Call, UserScope};
use crate::language::Reason;
use crate::ledger::{AppId, Ledger, LedgerError, RecipientState, SendRow};
use crate::reconcile::look_at_sends;

/// The maximum number of groups that a line names.
const NAMED: usize = 3;

/// A single send and its current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendView {
    /// Its number.
    pub id: i64,
    /// Its `once` key.
    pub once: Option<String>,
    /// What its recipients are: `group`, `user` or `room`; `announce` for an announcement, and `request` for a call of
    /// `im.request`, which has none.
    pub kind: String,
    /// The call of `im.request`: its method and its path. Null for a message.
    #[serde(default)]
    pub request: Option<String>,
    /// Its recipients: groups, users or rooms. Of an announcement `all` or `online`.
    pub recipients: Vec<String>,
    /// The same, if they are groups; otherwise empty.
    pub groups: Vec<String>,
    /// The members of a targeted message; empty for whole groups.
    pub users: Vec<String>,
    /// The script, job or command that sent it.
    pub origin: String,
    /// The id of the job run that made it, if one did.
    #[serde(default)]
    pub job_run: Option<String>,
    /// Its state. A single send is never `skipped`.
    pub state: RecipientState,
    /// The number of attempts.
    pub attempts: u32,
    /// Why it is in doubt.
    pub error: Option<String>,
    /// The code and the parameters of the error, if Mooncast wrote it.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// The messages for which the service returned an id.
    pub receipts: Vec<SendReceipt>,
    /// When it started.
    pub created_at: String,
    /// When its state last changed; in doubt, when its latest request began.
    pub updated_at: String,
    /// If it is in doubt, what the message to each of its groups waits for.
    pub doubts: Option<DoubtsView>,
}

/// A message that the service accepted.
#[expect(clippy::struct_field_names, reason = "readers of the API know the fields by these names")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SendReceipt {
    /// The group, user or room.
    pub recipient_id: String,
    /// The same as `recipient_id`, if it is a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The service's id of the message.
    pub message_id: String,
}

/// Recipients in the form that the ledger stores.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredRecipients {
    Groups(Vec<String>),
    Kind { kind: Call, to: Vec<String> },
    Members { to: Vec<String>, users: Vec<String> },
    Request { request: String },
}

impl From<&SendRow> for SendView {
    fn from(send: &SendRow) -> Self {
        let (mut call, mut recipients, mut users, mut request) = (Call::Group, Vec::new(), Vec::new(), None);
        match serde_json::from_str(&send.recipients) {
            Ok(StoredRecipients::Groups(to)) => recipients = to,
            Ok(StoredRecipients::Kind { kind, to }) => (call, recipients) = (kind, to),
            Ok(StoredRecipients::Members { to, users: members }) => (recipients, users) = (to, members),
            Ok(StoredRecipients::Request { request: asked }) => request = Some(asked),
            Err(_) => {}
        }
        let receipt = |(recipient_id, message_id): &(String, String)| SendReceipt {
            recipient_id: recipient_id.clone(),
            group_id: group_id(call, recipient_id),
            message_id: message_id.clone(),
        };
        Self {
            id: send.id,
            once: send.once.clone(),
            kind: request.as_ref().map_or(call.name(), |_| "request").to_owned(),
            request,
            groups: recipients.iter().filter_map(|id| group_id(call, id)).collect(),
            recipients,
            users,
            origin: send.origin.clone(),
            job_run: send.job_run.clone(),
            state: send.state,
            attempts: send.attempts,
            error: send.error.clone(),
            reason: send.error.as_deref().and_then(Reason::of),
            receipts: send.receipts.iter().map(receipt).collect(),
            created_at: utc(send.created_at),
            updated_at: utc(send.updated_at),
            doubts: None,
        }
    }
}

/// The current views of some single sends, from the ledger. Those in doubt say what they wait for.
pub async fn send_views(
    ledger: &Ledger,
    sends: &[SendRow],
    now: Duration,
) -> Result<Vec<SendView>, LedgerError> {
    let is_in_doubt = |send: &&SendRow| send.state == RecipientState::InDoubt;
    let apps: BTreeSet<AppId> = sends.iter().filter(is_in_doubt).map(|send| send.app).collect();
    let mut outlook = BTreeMap::new();
    for app in apps {
        outlook.extend(look_at_sends(ledger, app, now).await?.sends);
    }
    let view = |send: &SendRow| SendView {
        doubts: outlook.get(&send.id).copied().map(DoubtsView::from),
        ..SendView::from(send)
    };
    Ok(sends.iter().map(view).collect())
}

impl SendView {
    /// The recipients, or the call, as one line.
    pub fn to(&self) -> String {
        if let Some(request) = &self.request {
            return request.clone();
        }
        if self.kind == Call::Announce.name()
            && let Some(scope) = self.recipients.first().and_then(|scope| UserScope::from_name(scope))
        {
            return scope.users().to_owned();
        }
        let mut to = self.recipients.iter().take(NAMED).cloned().collect::<Vec<_>>().join(",");
        if self.recipients.len() > NAMED {
            // Writing to a `String` cannot fail.
            let _ = write!(to, " and {} more", self.recipients.len() - NAMED);
        }
        to
    }

    /// A sentence about how the send was settled.
    pub fn settled(&self, as_sent: bool) -> String {
        let id = self.id;
        if let Some(request) = &self.request {
            let then = if as_sent {
                "made".to_owned()
            } else {
                format!("not made; run its script ({}) to make it again", self.origin)
            };
            return format!("call {id} ({request}) counts as {then}");
        }
        match (as_sent, &self.once, self.receipts.is_empty()) {
            (true, Some(key), true) => format!(
                "single send {id} counts as sent; its receipts are unknown, so the next call with once = \"{key}\" returns none"
            ),
            (true, Some(key), false) => {
                format!(
                    "single send {id} counts as sent; the next call with once = \"{key}\" returns its receipts"
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
