//! Recipients and single sends without an outcome, and how the service's records settle them.
//!
//! A recipient or send in doubt keeps the time of its latest intent in `updated_at`. A settlement names that time, so it
//! has no effect if the row has changed since it was read.

use std::collections::BTreeMap;
use std::time::Duration;

use const_format::formatcp;

use super::broadcast::{CountsDelta, apply, json};
use super::columns::{JsonText, Millis};
use super::sql::sql;
use super::state::recipient::IN_DOUBT;
use super::store::{count, millis};
use super::{
    AppId, BroadcastCommand, BroadcastId, BroadcastStage, Ledger, LedgerError, RecipientState, StoredSpec,
};

/// The end of the error of a doubt whose intent is older than its `updated_at`. No record settles it.
pub(super) const UNKNOWN_INTENT: &str = "the time of its request is not known";

/// The recipients that one write settles, so that other writers do not wait for long.
const BATCH: usize = 1000;

/// What an app has sent without an outcome.
#[derive(Debug, Default)]
pub struct Doubts {
    pub broadcasts: Vec<BroadcastDoubts>,
    pub sends: Vec<SendDoubt>,
}

/// The recipients of a broadcast without an outcome.
#[derive(Debug)]
pub struct BroadcastDoubts {
    pub id: BroadcastId,
    pub name: String,
    pub run: String,
    pub spec: StoredSpec,
    /// Whether the broadcast was cancelled or is being cancelled, so that nothing of it may become pending.
    pub cancelled: bool,
    pub recipients: Vec<RecipientDoubt>,
    /// The messages of these recipients without their groups, as JSON, by their number.
    pub messages: BTreeMap<i64, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecipientDoubt {
    pub seq: i64,
    pub group_id: String,
    /// The number of its message.
    pub message: i64,
    /// How many times it was tried. A recipient that is being sent to was tried once more.
    #[sqlx(try_from = "i64")]
    pub attempts: u32,
    /// In doubt, or being sent to.
    pub state: RecipientState,
    /// When its latest request was about to begin.
    #[sqlx(try_from = "Millis")]
    pub intent_at: Duration,
}

/// A single send without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SendDoubt {
    pub id: i64,
    /// Its groups and users, as JSON.
    pub recipients: String,
    /// For each of its groups: see [`NewSend::fingerprints`](super::NewSend::fingerprints).
    #[sqlx(try_from = "JsonText<Vec<String>>")]
    pub fingerprints: Vec<String>,
    /// (group id, message id) of each group that is known to have it.
    #[sqlx(try_from = "JsonText<Vec<(String, String)>>")]
    pub receipts: Vec<(String, String)>,
    /// In doubt, or being sent.
    pub state: RecipientState,
    /// When its latest request was about to begin.
    #[sqlx(try_from = "Millis")]
    pub intent_at: Duration,
}

/// What the records prove about a recipient in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientSettlement {
    pub seq: i64,
    /// [`RecipientDoubt::intent_at`].
    pub intent_at: Duration,
    /// The message's id and the service's time of it; `None` if the service did not accept it.
    pub message: Option<(String, Duration)>,
}

/// What the records prove about a single send in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendSettlement {
    pub id: i64,
    /// [`SendDoubt::intent_at`].
    pub intent_at: Duration,
    /// Sent; pending if no group has it, which frees its `once` key; in doubt if that is so for some groups.
    pub state: RecipientState,
    /// (group id, message id) of each group that has it.
    pub receipts: Vec<(String, String)>,
    /// Why it is not sent.
    pub error: Option<String>,
}

/// How many recipients a settlement moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SettledCounts {
    pub arrived: u64,
    pub absent: u64,
}

#[derive(sqlx::FromRow)]
struct DoubtfulBroadcastRow {
    id: i64,
    name: String,
    run: String,
    spec: String,
    state: BroadcastStage,
    command: BroadcastCommand,
}

impl Ledger {
    /// Returns how many recipients and single sends of an app are in doubt. This is cheap: it reads no recipients.
    pub async fn count_doubts(&self, app: AppId) -> Result<u64, LedgerError> {
        let question = sql(formatcp!(
            "SELECT CAST(coalesce((SELECT sum(n_in_doubt) FROM broadcasts WHERE app = ?1 AND NOT draft), 0)
                + (SELECT count(*) FROM sends WHERE app = ?1 AND state = {IN_DOUBT}) AS BIGINT)"
        ));
        let row: Option<(i64,)> = self.store().row_now(question.bind(app.0)).await?;
        Ok(count(row.unwrap_or_default().0))
    }

    /// Returns the messages of an app that are in doubt, except rows whose intent is not known. With
    /// `under_way`, also those that are being sent.
    pub async fn doubts(&self, app: AppId, under_way: bool) -> Result<Doubts, LedgerError> {
        let mut doubts = Doubts::default();
        let question = sql("SELECT id, name, run, spec, state, command FROM broadcasts
                WHERE app = ? AND NOT draft AND (n_in_doubt > 0 OR (? AND n_sending > 0)) ORDER BY id");
        let rows: Vec<DoubtfulBroadcastRow> = self.store().rows(question.bind(app.0).bind(under_way)).await?;
        for row in rows {
            let spec = serde_json::from_str(&row.spec).map_err(|error| self.store().record(error))?;
            let mut broadcast = BroadcastDoubts {
                id: BroadcastId(row.id),
                name: row.name,
                run: row.run,
                spec,
                cancelled: row.state == BroadcastStage::Cancelled || row.command == BroadcastCommand::Cancel,
                recipients: Vec::new(),
                messages: BTreeMap::new(),
            };
            self.read_recipients(&mut broadcast, under_way).await?;
            self.read_messages(&mut broadcast).await?;
            doubts.broadcasts.push(broadcast);
        }
        doubts.sends = self.send_doubts(app, under_way).await?;
        Ok(doubts)
    }

    /// Returns the single sends of an app that are in doubt, as [`Ledger::doubts`] does.
    pub async fn send_doubts(&self, app: AppId, under_way: bool) -> Result<Vec<SendDoubt>, LedgerError> {
        let mut sends = Vec::new();
        // The states are literals, so that SQLite can use its partial indexes.
        for state in if under_way { &["4", "1"][..] } else { &["4"] } {
            let question = sql(format!(
                "SELECT id, recipients, fingerprints, receipts, state, updated_at AS intent_at FROM sends
                    WHERE app = ? AND state = {state} AND fingerprints IS NOT NULL AND {} ORDER BY id",
                has_intent()
            ));
            sends.extend(self.store().rows::<SendDoubt>(question.bind(app.0)).await?);
        }
        Ok(sends)
    }

    async fn read_recipients(
        &self,
        broadcast: &mut BroadcastDoubts,
        under_way: bool,
    ) -> Result<(), LedgerError> {
        for state in if under_way { &["4", "1"][..] } else { &["4"] } {
            let question = sql(format!(
                "SELECT seq, group_id, message, attempts, state, updated_at AS intent_at FROM recipients
                    WHERE broadcast = ? AND state = {state} AND message IS NOT NULL AND {} ORDER BY seq",
                has_intent()
            ));
            let found: Vec<RecipientDoubt> = self.store().rows(question.bind(broadcast.id.0)).await?;
            broadcast.recipients.extend(found);
        }
        Ok(())
    }

    async fn read_messages(&self, broadcast: &mut BroadcastDoubts) -> Result<(), LedgerError> {
        let mut numbers: Vec<i64> = broadcast.recipients.iter().map(|one| one.message).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for numbers in numbers.chunks(BATCH) {
            let list = serde_json::to_string(numbers).map_err(|error| self.store().record(error))?;
            let question = sql(
                "SELECT id, content FROM messages WHERE broadcast = ? AND id IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))",
            );
            let found: Vec<(i64, String)> =
                self.store().rows(question.bind(broadcast.id.0).bind(list)).await?;
            broadcast.messages.extend(found);
        }
        Ok(())
    }

    /// Settles recipients in doubt of a broadcast: those that arrived as sent, the others as `absent`. A recipient that is
    /// no longer in doubt, or was tried again since, stays as it is.
    ///
    /// # Errors
    ///
    /// An error if the store fails. Some recipients may be settled then; it is safe to repeat the call.
    pub async fn settle_by_records(
        &self,
        id: BroadcastId,
        settled: &[RecipientSettlement],
        absent: RecipientState,
    ) -> Result<SettledCounts, LedgerError> {
        let mut counts = SettledCounts::default();
        for batch in settled.chunks(BATCH) {
            let (arrived, lacking): (Vec<_>, Vec<_>) = batch.iter().partition(|one| one.message.is_some());
            for (batch, to) in [(arrived, RecipientState::Sent), (lacking, absent)] {
                if batch.is_empty() {
                    continue;
                }
                let moved = self.settle_batch(id, &batch, to).await?;
                if batch.iter().all(|one| one.message.is_some()) {
                    counts.arrived += moved;
                } else {
                    counts.absent += moved;
                }
            }
        }
        Ok(counts)
    }

    async fn settle_batch(
        &self,
        id: BroadcastId,
        batch: &[&RecipientSettlement],
        to: RecipientState,
    ) -> Result<u64, LedgerError> {
        // As in `moves::settle_text`, an UPDATE with a FROM would read every recipient for each entry of the list.
        const TEXT: &str = formatcp!("INSERT INTO recipients (broadcast, seq, state, updated_at, group_id, users, message_id, error)
                SELECT ?1, CAST(value ->> 0 AS BIGINT), ?2, CAST(value ->> 2 AS BIGINT), '', '', value ->> 3, ?3
                    FROM json_each(?4) WHERE EXISTS (SELECT 1 FROM recipients WHERE broadcast = ?1
                        AND seq = CAST(value ->> 0 AS BIGINT) AND state = {IN_DOUBT} AND updated_at = CAST(value ->> 1 AS BIGINT))
                ON CONFLICT (broadcast, seq) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at,
                    message_id = excluded.message_id, error = excluded.error");
        self.store()
            .transaction(async |write| {
                let now = write.store.now();
                let rows: Vec<_> = batch
                    .iter()
                    .map(|one| {
                        let at = one.message.as_ref().map_or(now, |(_, at)| millis(*at));
                        (one.seq, millis(one.intent_at), at, one.message.as_ref().map(|(id, _)| id))
                    })
                    .collect();
                let error = (to == RecipientState::Cancelled).then_some("the service did not accept it");
                let statement = sql(TEXT).bind(id.0).bind(to).bind(error).bind(json(write, &rows)?);
                let moved = write.run(statement).await?;
                let mut delta = CountsDelta::default();
                delta.moved(RecipientState::InDoubt, to, moved);
                if moved > 0 {
                    let seqs = || batch.iter().map(|one| one.seq);
                    if to == RecipientState::Pending
                        && let (Some(first), Some(last)) = (seqs().min(), seqs().max())
                    {
                        write.store.driver.reopen_ranges(write, id, first - 1, last).await?;
                    }
                    apply(write, id, None, &delta).await?;
                    let last = sql("UPDATE broadcasts SET reconciled = 1 WHERE id = ? AND n_in_doubt = 0");
                    write.run(last.bind(id.0)).await?;
                }
                Ok(moved)
            })
            .await
    }

    /// Returns the broadcasts without a doubt whose last one the service's records settled, if that is not reported yet; see
    /// [`Ledger::mark_reconciled_reported`].
    pub async fn unreported_reconciled(&self) -> Result<Vec<BroadcastId>, LedgerError> {
        let question = sql("SELECT id FROM broadcasts WHERE reconciled <> 0 AND n_in_doubt = 0 ORDER BY id");
        let found: Vec<(i64,)> = self.store().rows_now(question).await?;
        Ok(found.into_iter().map(|(id,)| BroadcastId(id)).collect())
    }

    /// Records that it was reported that the doubts of a broadcast are settled.
    pub async fn mark_reconciled_reported(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let statement = sql("UPDATE broadcasts SET reconciled = 0 WHERE id = ?");
        self.change(statement.bind(id.0)).await.map(drop)
    }

    /// Settles a single send in doubt. Returns whether it was in doubt and not tried again since.
    pub async fn settle_send_by_records(&self, settled: &SendSettlement) -> Result<bool, LedgerError> {
        let receipts =
            serde_json::to_string(&settled.receipts).map_err(|error| self.store().record(error))?;
        let in_doubt = settled.state == RecipientState::InDoubt;
        // A pending send has no instance: its key is free.
        let statement = sql(formatcp!(
            "UPDATE sends SET state = ?1, receipts = ?2, error = ?3,
                updated_at = CASE WHEN ?4 THEN updated_at ELSE ?5 END, owner = CASE WHEN ?6 THEN 0 ELSE owner END
                WHERE id = ?7 AND state = {IN_DOUBT} AND updated_at = ?8"
        ))
        .bind(settled.state)
        .bind(receipts)
        .bind(&settled.error)
        .bind(in_doubt)
        .bind(self.store().now())
        .bind(settled.state == RecipientState::Pending)
        .bind(settled.id)
        .bind(millis(settled.intent_at));
        Ok(self.change(statement).await? > 0)
    }
}

/// The condition on a row that its `updated_at` is the time of its intent.
fn has_intent() -> String {
    format!("(error IS NULL OR error NOT LIKE '%{UNKNOWN_INTENT}')")
}
