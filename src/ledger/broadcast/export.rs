//! Reads recipients back, for exports and for recalls.

use std::time::Duration;

use const_format::formatcp;

use crate::ledger::columns::{JsonText, Millis};
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::SENT;
use crate::ledger::{Ledger, LedgerError, RecipientState};

use super::{BroadcastId, VerifiedState};

/// A recipient, as `runs export` returns it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ExportedRecipient {
    /// Its sequence number in the plan.
    pub seq: i64,
    pub group_id: String,
    /// The members of a targeted message; empty for the whole group.
    #[sqlx(try_from = "JsonText<Vec<String>>")]
    pub users: Vec<String>,
    pub state: RecipientState,
    /// The service's id of the message, if it was sent.
    pub message_id: Option<String>,
    /// How many times it was tried.
    #[sqlx(try_from = "i64")]
    pub attempts: u32,
    /// Why it failed or is in doubt.
    pub error: Option<String>,
    /// When its state last changed; in doubt, when its latest request began.
    #[sqlx(try_from = "Millis")]
    pub updated_at: Duration,
    /// What the latest verification showed of the message.
    #[sqlx(try_from = "i64")]
    pub verified: VerifiedState,
    /// Whether the message was recalled; `None` if no recall was requested.
    pub recalled: Option<bool>,
    /// The members that have read the message, by the service's read receipts.
    #[sqlx(try_from = "i64")]
    pub readers: u64,
    /// The audience's own columns, if they were read ([`Ledger::export_pages`]).
    #[sqlx(skip)]
    pub fields: Vec<(String, serde_json::Value)>,
}

/// The results of the recall requests of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct RecalledCounts {
    #[sqlx(try_from = "i64")]
    pub done: u64,
    /// Messages that the service refused to recall.
    #[sqlx(try_from = "i64")]
    pub refused: u64,
}

/// A sent message that can be recalled.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecallableMessage {
    /// Its sequence number in the plan.
    pub seq: i64,
    pub group_id: String,
    pub message_id: String,
    /// When its outcome was recorded.
    #[sqlx(try_from = "Millis")]
    pub sent_at: Duration,
    /// What the latest verification showed of it.
    #[sqlx(try_from = "i64")]
    pub verified: VerifiedState,
}

impl Ledger {
    /// Returns a page of recipients in order: those after `after_seq`, at most `limit`.
    pub async fn export(
        &self,
        id: BroadcastId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<ExportedRecipient>, LedgerError> {
        self.recipients(id, None, after_seq, limit).await
    }

    /// The same, only for recipients in one state if `state` is given.
    pub async fn recipients(
        &self,
        id: BroadcastId,
        state: Option<RecipientState>,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<ExportedRecipient>, LedgerError> {
        self.recipients_in(id, state.as_slice(), after_seq, limit).await
    }

    /// The same for recipients in any of some states; an empty list means all states.
    pub(super) async fn recipients_in(
        &self,
        id: BroadcastId,
        states: &[RecipientState],
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<ExportedRecipient>, LedgerError> {
        let states_listed: Vec<i64> = states.iter().map(|state| state.number()).collect();
        let list = serde_json::to_string(&states_listed).map_err(|error| self.store().record(error))?;
        let question = sql(
            "SELECT seq, group_id, users, state, message_id, attempts, error, updated_at, verified,
                CASE recalled WHEN 1 THEN true WHEN 2 THEN false END AS recalled,
                (SELECT count(*) FROM read_receipts c WHERE c.app = (SELECT app FROM broadcasts WHERE id = ?1)
                    AND c.message_id = recipients.message_id) AS readers FROM recipients
                WHERE broadcast = ?1 AND seq > ?2 AND (?4 OR state IN (SELECT CAST(atom AS BIGINT) FROM json_each(?5))) ORDER BY seq LIMIT ?3",
        );
        let question = question.bind(id.0).bind(after_seq).bind(limit).bind(states.is_empty()).bind(list);
        self.store().rows(question).await
    }

    /// Returns a page of messages that were sent and not recalled.
    pub async fn sent_receipts(
        &self,
        id: BroadcastId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<RecallableMessage>, LedgerError> {
        let question = sql(formatcp!(
            "SELECT seq, group_id, message_id, updated_at AS sent_at, verified FROM recipients
                WHERE broadcast = ? AND seq > ? AND state = {SENT} AND recalled <> 1 AND message_id IS NOT NULL
                ORDER BY seq LIMIT ?"
        ));
        self.store().rows(question.bind(id.0).bind(after_seq).bind(limit)).await
    }

    /// Returns how many recalls of its messages succeeded and how many were refused.
    pub async fn recalled(&self, id: BroadcastId) -> Result<RecalledCounts, LedgerError> {
        let question = sql(
            "SELECT count(*) FILTER (WHERE recalled = 1) AS done, count(*) FILTER (WHERE recalled = 2) AS refused FROM recipients
                WHERE broadcast = ?",
        );
        Ok(self.store().row(question.bind(id.0)).await?.unwrap_or_default())
    }

    /// Records which messages were recalled (true), and which the service refused to recall (false).
    pub async fn mark_recalled(&self, id: BroadcastId, answers: &[(i64, bool)]) -> Result<(), LedgerError> {
        let list = |wanted: bool| {
            let seqs: Vec<i64> =
                answers.iter().filter(|(_, done)| *done == wanted).map(|(seq, _)| *seq).collect();
            serde_json::to_string(&seqs).map_err(|error| self.store().record(error))
        };
        let lists = [(1, list(true)?), (2, list(false)?)];
        self.store().transaction(async |write| {
            for (recalled, seqs) in lists {
                let statement = sql(
                    "UPDATE recipients SET recalled = ? WHERE broadcast = ? AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))",
                );
                write.run(statement.bind(recalled).bind(id.0).bind(seqs)).await?;
            }
            Ok(())
        }).await
    }
}
