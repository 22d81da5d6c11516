//! Reads recipients back, for exports and for recalls.

use std::time::Duration;

use crate::ledger::sql::sql;
use crate::ledger::store::{count, from_millis, small};
use crate::ledger::{DeliveryState, Ledger, LedgerError};

use super::BroadcastId;

/// A recipient, as `runs export` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedRecipient {
    /// Its sequence number in the plan.
    pub seq: i64,
    pub group_id: String,
    /// The members of a targeted message; empty for the whole group.
    pub users: Vec<String>,
    pub state: DeliveryState,
    /// The service's id of the message, if it was sent.
    pub message_id: Option<String>,
    /// How many times it was tried.
    pub attempts: u32,
    /// Why it failed or is in doubt.
    pub error: Option<String>,
    /// When its state last changed.
    pub updated_at: Duration,
    /// Whether the message was recalled; `None` if no recall was requested.
    pub recalled: Option<bool>,
    /// The audience's own columns, if they were read ([`Ledger::export_pages`]).
    pub fields: Vec<(String, serde_json::Value)>,
}

/// The results of the recall requests of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecalledCounts {
    pub done: u64,
    /// Messages that the service refused to recall.
    pub refused: u64,
}

/// A sent message that can be recalled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecallableMessage {
    /// Its sequence number in the plan.
    pub seq: i64,
    pub group_id: String,
    pub message_id: String,
    /// When its outcome was recorded.
    pub sent_at: Duration,
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
        state: Option<DeliveryState>,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<ExportedRecipient>, LedgerError> {
        self.recipients_in(id, state.as_slice(), after_seq, limit).await
    }

    /// The same for recipients in any of some states; an empty list means all states.
    pub(super) async fn recipients_in(
        &self,
        id: BroadcastId,
        states: &[DeliveryState],
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<ExportedRecipient>, LedgerError> {
        type Row = (i64, String, String, i64, Option<String>, i64, Option<String>, i64, i64);
        let states_listed: Vec<i64> = states.iter().map(|state| state.number()).collect();
        let list = serde_json::to_string(&states_listed).map_err(|error| self.store().record(error))?;
        let question = sql(
            "SELECT seq, group_id, users, state, message_id, attempts, error, updated_at, recalled FROM recipients
                WHERE broadcast = ?1 AND seq > ?2 AND (?4 OR state IN (SELECT CAST(atom AS BIGINT) FROM json_each(?5))) ORDER BY seq LIMIT ?3",
        );
        let question = question.bind(id.0).bind(after_seq).bind(limit).bind(states.is_empty()).bind(list);
        let mut read = self.store().read().await?;
        let rows: Vec<Row> = read.rows(question).await?;
        read.done();
        let read = |(seq, group_id, users, state, message_id, attempts, error, updated_at, recalled): Row| {
            Ok(ExportedRecipient {
                seq,
                group_id,
                users: self.users(&users)?,
                state: DeliveryState::from_number(state).map_err(|detail| self.store().record(detail))?,
                message_id,
                attempts: small(attempts),
                error,
                updated_at: from_millis(updated_at),
                recalled: (recalled != 0).then_some(recalled == 1),
                fields: Vec::new(),
            })
        };
        rows.into_iter().map(read).collect()
    }

    /// Returns a page of messages that were sent and not recalled.
    pub async fn sent_receipts(
        &self,
        id: BroadcastId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<RecallableMessage>, LedgerError> {
        let question = sql("SELECT seq, group_id, message_id, updated_at FROM recipients
                WHERE broadcast = ? AND seq > ? AND state = 2 AND recalled <> 1 AND message_id IS NOT NULL
                ORDER BY seq LIMIT ?");
        let mut read = self.store().read().await?;
        let rows: Vec<(i64, String, String, i64)> =
            read.rows(question.bind(id.0).bind(after_seq).bind(limit)).await?;
        read.done();
        let read = |(seq, group_id, message_id, sent_at)| RecallableMessage {
            seq,
            group_id,
            message_id,
            sent_at: from_millis(sent_at),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Returns how many recalls of its messages succeeded and how many were refused.
    pub async fn recalled(&self, id: BroadcastId) -> Result<RecalledCounts, LedgerError> {
        let question = sql(
            "SELECT count(*) FILTER (WHERE recalled = 1), count(*) FILTER (WHERE recalled = 2) FROM recipients
                WHERE broadcast = ?",
        );
        let mut read = self.store().read().await?;
        let row: Option<(i64, i64)> = read.row(question.bind(id.0)).await?;
        read.done();
        let (done, refused) = row.unwrap_or_default();
        Ok(RecalledCounts { done: count(done), refused: count(refused) })
    }

    /// Records which messages were recalled (true), and which the service refused to recall (false).
    pub async fn mark_recalled(&self, id: BroadcastId, answers: &[(i64, bool)]) -> Result<(), LedgerError> {
        let list = |wanted: bool| {
            let seqs: Vec<i64> =
                answers.iter().filter(|(_, done)| *done == wanted).map(|(seq, _)| *seq).collect();
            serde_json::to_string(&seqs).map_err(|error| self.store().record(error))
        };
        let lists = [(1, list(true)?), (2, list(false)?)];
        let mut write = self.store().write().await?;
        let result = async {
            for (recalled, seqs) in lists {
                let statement = sql(
                    "UPDATE recipients SET recalled = ? WHERE broadcast = ? AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))",
                );
                write.run(statement.bind(recalled).bind(id.0).bind(seqs)).await?;
            }
            Ok(())
        }
        .await;
        write.end(result).await
    }
}
