//! The service's records of messages, and the reads of its history files.

use std::time::Duration;

use const_format::formatcp;

use super::broadcast::json;
use super::columns::{JsonText, Millis};
use super::sql::sql;
use super::state::recipient::SENT;
use super::store::{Transaction, from_millis, millis, stored};
use super::{AppId, Ledger, LedgerError};
use crate::core::{HistoryResult, HistoryZone};

/// The calls for history files that the service allows an app in [`CALL_WINDOW`] (contract).
const CALLS: i64 = 10;
const CALL_WINDOW: Duration = Duration::from_mins(1);

/// How long reads are kept: longer than the service keeps its files.
const READS_KEPT: Duration = Duration::from_hours(8 * 24);

/// The records that one statement takes.
const BATCH: usize = 500;

/// A record that the service keeps of a message.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct ServiceRecord {
    pub message_id: String,
    /// The service's time of the message.
    #[sqlx(try_from = "Millis")]
    pub at: Duration,
    /// In hexadecimal.
    pub fingerprint: String,
    /// The message's `ext.mooncast`.
    pub mark: Option<String>,
}

/// Where a record comes from: the numbers of `service_records.source`.
#[derive(Debug, Clone, Copy)]
pub(super) enum RecordSource {
    Callback = 0,
    History = 1,
}

/// The latest read of an hour's history file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct HistoryRead {
    /// When the hour began.
    #[sqlx(try_from = "Millis")]
    pub hour: Duration,
    /// When the service was asked for the file.
    #[sqlx(try_from = "Millis")]
    pub read_at: Duration,
    pub result: HistoryResult,
    /// The zone by which the file was asked for. None while it is asked for, and for reads of earlier versions.
    pub zone: Option<HistoryZone>,
    /// The number of lines in the file.
    pub lines: i64,
}

/// Whether the service may be asked for a history file now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryTurn {
    /// This process asks, and the time is recorded.
    Ask(Duration),
    /// It may be asked after this time.
    Wait(Duration),
}

impl Ledger {
    /// Records that this process asks the service for an hour's history file now. All processes together ask for at most
    /// 10 files in a minute, and for one file at most once.
    pub async fn claim_history_read(&self, app: AppId, hour: Duration) -> Result<HistoryTurn, LedgerError> {
        self.store().transaction(async |write| claim(write, app, hour).await).await
    }

    /// Stores the result of reading an hour's history file, and its `records`. A missing record proves that a
    /// message was not accepted only if the whole file was read, and `records` has every record that fits a
    /// message in doubt now.
    pub async fn finish_history_read(
        &self,
        app: AppId,
        read: HistoryRead,
        records: &[ServiceRecord],
    ) -> Result<(), LedgerError> {
        self.store()
            .transaction(async |write| {
                for batch in records.chunks(BATCH) {
                    let batch: Vec<&ServiceRecord> = batch.iter().collect();
                    insert_records(write, app, RecordSource::History, &batch).await?;
                }
                let statement = sql(
                    "UPDATE history_reads SET result = ?, lines = ?, zone = ? WHERE app = ? AND hour = ? AND read_at = ?",
                );
                let zone = read.zone.map(HistoryZone::number);
                let statement = statement.bind(read.result).bind(read.lines).bind(zone).bind(app.0);
                write.run(statement.bind(millis(read.hour)).bind(millis(read.read_at))).await.map(drop)
            })
            .await
    }

    /// Returns the latest read of each hour.
    pub async fn history_reads(&self, app: AppId) -> Result<Vec<HistoryRead>, LedgerError> {
        let question =
            sql("SELECT hour, read_at, result, zone, lines FROM history_reads WHERE app = ? ORDER BY hour");
        self.store().rows(question.bind(app.0)).await
    }

    /// Returns when the latest record of the app was stored.
    pub async fn last_record_at(&self) -> Result<Option<Duration>, LedgerError> {
        let row: Option<(Option<i64>,)> =
            self.store().row_now(sql("SELECT max(stored_at) FROM service_records")).await?;
        Ok(row.and_then(|(at,)| at).map(from_millis))
    }

    /// Returns the records with these fingerprints.
    pub async fn records_alike(
        &self,
        app: AppId,
        fingerprints: &[String],
    ) -> Result<Vec<ServiceRecord>, LedgerError> {
        self.records_by("fingerprint", app, fingerprints).await
    }

    /// Returns the records with these marks. This reads all records of the app.
    pub async fn records_marked(
        &self,
        app: AppId,
        marks: &[String],
    ) -> Result<Vec<ServiceRecord>, LedgerError> {
        self.records_by("mark", app, marks).await
    }

    /// Returns the records of messages with these ids.
    pub async fn records_of(&self, app: AppId, ids: &[String]) -> Result<Vec<ServiceRecord>, LedgerError> {
        self.records_by("message_id", app, ids).await
    }

    async fn records_by(
        &self,
        column: &str,
        app: AppId,
        values: &[String],
    ) -> Result<Vec<ServiceRecord>, LedgerError> {
        let mut found = Vec::new();
        for batch in values.chunks(BATCH) {
            let list = serde_json::to_string(batch).map_err(|error| self.store().record(error))?;
            let question = sql(format!(
                "SELECT message_id, at, fingerprint, mark FROM service_records
                    WHERE app = ? AND {column} IN (SELECT atom FROM json_each(?))"
            ));
            found.extend(self.store().rows::<ServiceRecord>(question.bind(app.0).bind(list)).await?);
        }
        Ok(found)
    }

    /// Returns which of these message ids belong to messages of the app whose outcome is known. Only messages of
    /// broadcasts and sends that were under way between `from` and `until` are looked at.
    pub async fn known_messages(
        &self,
        app: AppId,
        ids: &[String],
        from: Duration,
        until: Duration,
    ) -> Result<Vec<String>, LedgerError> {
        let mut known = Vec::new();
        for batch in ids.chunks(BATCH) {
            let list = serde_json::to_string(batch).map_err(|error| self.store().record(error))?;
            let question = sql(formatcp!(
                "SELECT r.message_id FROM broadcasts b CROSS JOIN recipients r ON r.broadcast = b.id
                    WHERE b.app = ?1 AND b.created_at <= ?2 AND (b.finished_at IS NULL OR b.finished_at >= ?3)
                        AND r.state = {SENT} AND r.message_id IN (SELECT atom FROM json_each(?4))"
            ));
            let question = question.bind(app.0).bind(millis(until)).bind(millis(from)).bind(list);
            let found: Vec<(String,)> = self.store().rows(question).await?;
            known.extend(found.into_iter().map(|(id,)| id));
        }
        let question = sql("SELECT receipts FROM sends WHERE app = ? AND updated_at >= ? AND created_at <= ?
                AND receipts IS NOT NULL");
        let question = question.bind(app.0).bind(millis(from)).bind(millis(until));
        for ReceiptsRow { receipts } in self.store().rows::<ReceiptsRow>(question).await? {
            known.extend(receipts.into_iter().map(|(_, id)| id).filter(|id| ids.contains(id)));
        }
        Ok(known)
    }
}

#[derive(sqlx::FromRow)]
struct ReceiptsRow {
    #[sqlx(try_from = "JsonText<Vec<(String, String)>>")]
    receipts: Vec<(String, String)>,
}

/// When a history file was read last.
#[derive(sqlx::FromRow)]
struct LatestRead {
    hour: i64,
    read_at: i64,
}

async fn claim(write: &mut Transaction<'_>, app: AppId, hour: Duration) -> Result<HistoryTurn, LedgerError> {
    let now = write.store.now();
    let window = millis(CALL_WINDOW);
    let old = sql("DELETE FROM history_reads WHERE app = ? AND hour < ?");
    write.run(old.bind(app.0).bind(now - millis(READS_KEPT))).await?;
    // A read in the future shows that the clock was set back; it does not count.
    let question =
        sql("SELECT hour, read_at FROM history_reads WHERE app = ? AND read_at > ? AND read_at <= ?
            ORDER BY read_at");
    let lately: Vec<LatestRead> = write.rows(question.bind(app.0).bind(now - window).bind(now)).await?;
    let same = lately.iter().find(|read| read.hour == millis(hour));
    let full = lately.first().filter(|_| stored(lately.len() as u64) >= CALLS);
    if let Some(read) = same.or(full) {
        return Ok(HistoryTurn::Wait(from_millis(read.read_at + window - now)));
    }
    let statement = sql("INSERT INTO history_reads (app, hour, read_at, result, lines) VALUES (?, ?, ?, ?, 0)
            ON CONFLICT (app, hour) DO UPDATE SET read_at = excluded.read_at, result = excluded.result, lines = 0, zone = NULL");
    write.run(statement.bind(app.0).bind(millis(hour)).bind(now).bind(HistoryResult::Asked)).await?;
    Ok(HistoryTurn::Ask(from_millis(now)))
}

/// Inserts records of messages. A message that has a record keeps it.
pub(super) async fn insert_records(
    write: &mut Transaction<'_>,
    app: AppId,
    source: RecordSource,
    records: &[&ServiceRecord],
) -> Result<(), LedgerError> {
    if records.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        records.iter().map(|one| (&one.message_id, millis(one.at), &one.fingerprint, &one.mark)).collect();
    let statement =
        sql("INSERT INTO service_records (app, message_id, at, fingerprint, mark, source, stored_at)
            SELECT CAST(?1 AS BIGINT), value ->> 0, CAST(value ->> 1 AS BIGINT), value ->> 2, value ->> 3,
                CAST(?2 AS BIGINT), CAST(?3 AS BIGINT) FROM json_each(?4) WHERE true ON CONFLICT DO NOTHING");
    let statement = statement.bind(app.0).bind(source as i64).bind(write.store.now());
    write.run(statement.bind(json(write, &rows)?)).await.map(drop)
}
