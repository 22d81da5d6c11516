//! The planned message of one recipient.

use crate::ledger::columns::JsonText;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::PENDING;
use crate::ledger::{Ledger, LedgerError, RecipientState};

use super::BroadcastId;

/// A recipient and the message that it got or will get.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecipientMessage {
    /// Its sequence number in the plan.
    pub seq: i64,
    pub group_id: String,
    /// The members of a targeted message; empty for the whole group.
    #[sqlx(try_from = "JsonText<Vec<String>>")]
    pub users: Vec<String>,
    pub state: RecipientState,
    /// The service's id of the message, if it was sent.
    pub message_id: Option<String>,
    /// The message as JSON. It can hold share-secrets. `None` for a skipped recipient.
    pub content: Option<String>,
}

const SELECT: &str = "SELECT r.seq, r.group_id, r.users, r.state, r.message_id, m.content FROM recipients r
    LEFT JOIN messages m ON m.broadcast = r.broadcast AND m.id = r.message WHERE r.broadcast = ?";

impl Ledger {
    /// Returns the messages of a broadcast to a group, user or room, at most `limit`, in the plan's order. A targeted
    /// broadcast can have several to one group.
    pub async fn messages_to(
        &self,
        id: BroadcastId,
        group_id: &str,
        limit: u32,
    ) -> Result<Vec<RecipientMessage>, LedgerError> {
        let question = sql(format!("{SELECT} AND r.group_id = ? ORDER BY r.seq LIMIT ?"));
        self.store().rows(question.bind(id.0).bind(group_id).bind(limit)).await
    }

    /// Returns the first pending recipients of a plan, or the last ones in the order from the end.
    pub async fn pending_samples(
        &self,
        id: BroadcastId,
        last: bool,
        limit: u32,
    ) -> Result<Vec<RecipientMessage>, LedgerError> {
        let order = if last { "DESC" } else { "ASC" };
        let question = sql(format!("{SELECT} AND r.state = {PENDING} ORDER BY r.seq {order} LIMIT ?"));
        self.store().rows(question.bind(id.0).bind(limit)).await
    }

    /// Returns the first pending recipient of the largest message of a plan.
    pub async fn largest_pending(&self, id: BroadcastId) -> Result<Option<RecipientMessage>, LedgerError> {
        let question = sql(format!(
            "{SELECT} AND r.state = {PENDING} AND r.message =
                (SELECT id FROM messages WHERE broadcast = ? ORDER BY size DESC, id LIMIT 1) ORDER BY r.seq LIMIT 1"
        ));
        self.store().row(question.bind(id.0).bind(id.0)).await
    }

    /// Returns the recipient of a broadcast with this sequence number.
    pub async fn message_at(
        &self,
        id: BroadcastId,
        seq: i64,
    ) -> Result<Option<RecipientMessage>, LedgerError> {
        let question = sql(format!("{SELECT} AND r.seq = ?"));
        self.store().row(question.bind(id.0).bind(seq)).await
    }
}
