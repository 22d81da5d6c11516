//! The groups that a plan will send to.

use const_format::formatcp;

use super::BroadcastId;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::PENDING;
use crate::ledger::{Ledger, LedgerError};

/// A group of a plan.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PlannedGroup {
    pub seq: i64,
    pub group_id: String,
    /// Whether its message asks for receipts.
    pub asks_receipts: bool,
}

impl Ledger {
    /// Returns the pending recipients of a plan after this sequence number, in their order, at most `limit`.
    pub async fn planned_groups(
        &self,
        id: BroadcastId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<PlannedGroup>, LedgerError> {
        // In a text of the message, the quotes of this pattern would stand behind a backslash.
        let question = sql(formatcp!(
            "SELECT r.seq, r.group_id, coalesce(m.content LIKE '%\"need_group_ack\":true%', FALSE) AS asks_receipts
                FROM recipients r LEFT JOIN messages m ON m.broadcast = r.broadcast AND m.id = r.message
                WHERE r.broadcast = ? AND r.seq > ? AND r.state = {PENDING} ORDER BY r.seq LIMIT ?"
        ));
        self.store().rows(question.bind(id.0).bind(after_seq).bind(limit)).await
    }
}
