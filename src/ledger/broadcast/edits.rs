//! Reads what broadcasts that edit messages need: the sent messages, and their earlier edits.

use const_format::formatcp;

use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{SENDING, SENT};
use crate::ledger::{Ledger, LedgerError};

use super::{Broadcast, BroadcastId};

/// The most edits of one message (contract).
pub const EDITS_A_MESSAGE: usize = 10;

/// An edit of a sent message.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct MessageEdit {
    /// The id of the message that it edits.
    pub message_id: String,
    /// The edit as JSON.
    pub content: String,
}

impl Ledger {
    /// Returns the messages of the recipients `first` to `last` of a plan, as sequence number and JSON.
    pub async fn planned_messages(
        &self,
        id: BroadcastId,
        (first, last): (i64, i64),
    ) -> Result<Vec<(i64, String)>, LedgerError> {
        let question = sql("SELECT r.seq, m.content FROM recipients r
                JOIN messages m ON m.broadcast = r.broadcast AND m.id = r.message
                WHERE r.broadcast = ? AND r.seq BETWEEN ? AND ? ORDER BY r.seq");
        self.store().rows(question.bind(id.0).bind(first).bind(last)).await
    }

    /// Returns the edits of the messages of the recipients `first` to `last`, the oldest first. An edit in flight
    /// counts, and so does one by receipt.
    pub async fn edits_of(
        &self,
        id: BroadcastId,
        (first, last): (i64, i64),
    ) -> Result<Vec<MessageEdit>, LedgerError> {
        let question = sql(formatcp!(
            "WITH edited AS (SELECT message_id FROM recipients
                    WHERE broadcast = ?1 AND seq BETWEEN ?2 AND ?3 AND message_id IS NOT NULL)
                SELECT message_id, content FROM (
                    SELECT e.target AS message_id, m.content, e.updated_at FROM recipients e
                        JOIN messages m ON m.broadcast = e.broadcast AND m.id = e.message
                        WHERE e.broadcast IN (SELECT id FROM broadcasts WHERE corrects = ?1)
                            AND e.state IN ({SENDING}, {SENT}) AND e.target IN (SELECT message_id FROM edited)
                    UNION ALL SELECT message_id, content, updated_at FROM edits
                        WHERE app = (SELECT app FROM broadcasts WHERE id = ?1) AND state IN ({SENDING}, {SENT})
                            AND message_id IN (SELECT message_id FROM edited)) k
                ORDER BY updated_at"
        ));
        self.store().rows(question.bind(id.0).bind(first).bind(last)).await
    }

    /// Returns the newest broadcast that edits the messages of this one.
    pub async fn latest_edit(&self, id: BroadcastId) -> Result<Option<Broadcast>, LedgerError> {
        let question = sql("SELECT max(id) FROM broadcasts WHERE corrects = ?").bind(id.0);
        match self.store().row::<(Option<i64>,)>(question).await? {
            Some((Some(latest),)) => self.show(BroadcastId(latest)).await.map(Some),
            _ => Ok(None),
        }
    }
}
