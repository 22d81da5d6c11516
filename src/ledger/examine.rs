//! Checks whether the content of a ledger is consistent.

use const_format::formatcp;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::message::counted as in_words;

use super::columns::recipient_counts;
use super::instance::lives;
use super::sql::sql;
use super::state::recipient::{CANCELLED, IN_DOUBT, PENDING, REJECTED, SENDING, SENT, SKIPPED};
use super::store::{Transaction, count};
use super::tables::TABLES;
use super::transfer::tables_with_stale_sequence;
use super::{BroadcastId, BroadcastStage, Ledger, LedgerError, RecipientCounts, RecipientState};

/// The most faults of one kind that are reported by name.
const NAMED: usize = 5;

/// The content of a ledger, and its inconsistencies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsistencyReport {
    /// The number of rows of each table.
    pub rows: Vec<(&'static str, u64)>,
    /// The inconsistencies, in words.
    pub faults: Vec<String>,
}

/// A broadcast under examination.
#[derive(sqlx::FromRow)]
struct ExaminedBroadcast {
    id: i64,
    /// As NAME/RUN.
    name: String,
    #[sqlx(rename = "state")]
    stage: BroadcastStage,
}

impl Ledger {
    /// Counts the rows of the ledger and looks for inconsistencies. Other processes may write meanwhile: each
    /// broadcast is read as it is at one instant.
    pub async fn examine(&self) -> Result<ConsistencyReport, LedgerError> {
        let mut found = ConsistencyReport::default();
        let mut read = self.store().read().await?;
        let question = sql("SELECT id, name || '/' || run AS name, state FROM broadcasts ORDER BY id");
        let broadcasts: Vec<ExaminedBroadcast> = read.rows(question).await?;
        let mut recipients = 0;
        for suspect in broadcasts {
            let id = suspect.id;
            let question = sql(COUNTED).bind(id);
            let Some(counted) = read.row::<CountsCheck>(question).await? else { continue };
            recipients += suspect.compare(&counted, &mut found.faults);
            let missing: Option<(i64,)> = read.row(sql(WITHOUT_MESSAGE).bind(id)).await?;
            let missing = missing.unwrap_or_default().0;
            if missing > 0 {
                found.faults.push(format!(
                    "{}: without a message: {}",
                    suspect.name,
                    in_words(missing, "recipient")
                ));
            }
            if counted.counted.sending > 0 {
                let abandoned = self
                    .store()
                    .transaction(async |write| {
                        write.store.driver.count_abandoned(write, BroadcastId(id)).await
                    })
                    .await?;
                if abandoned > 0 {
                    found.faults.push(format!(
                        "{}: {} in flight of a process that died; the next process that sends the broadcast marks them as in doubt",
                        suspect.name,
                        in_words(abandoned, "recipient")
                    ));
                }
            }
        }
        for table in ["recipients", "messages"] {
            let mut last = -1;
            let mut orphans = 0;
            // Steps from one broadcast's rows to the next: there are few broadcasts, and each has many rows.
            loop {
                let next = format!("SELECT min(broadcast) FROM {table} WHERE broadcast > ?");
                let Some((Some(next),)) = read.row::<(Option<i64>,)>(sql(next).bind(last)).await? else {
                    break;
                };
                let known: Option<(i64,)> =
                    read.row(sql("SELECT id FROM broadcasts WHERE id = ?").bind(next)).await?;
                // A broadcast that was created or pruned just now is no inconsistency.
                let still = sql(format!("SELECT min(broadcast) FROM {table} WHERE broadcast = ?")).bind(next);
                if known.is_none()
                    && read.row::<(Option<i64>,)>(still).await?.is_some_and(|(still,)| still.is_some())
                {
                    orphans += 1;
                    if orphans <= NAMED {
                        found.faults.push(format!("{table} of a broadcast {next} that does not exist"));
                    }
                }
                last = next;
            }
        }
        for (table, _) in TABLES {
            let rows = if *table == "recipients" {
                recipients
            } else {
                let rows: Option<(i64,)> = read.row(sql(format!("SELECT count(*) FROM {table}"))).await?;
                count(rows.unwrap_or_default().0)
            };
            found.rows.push((*table, rows));
        }
        read.done();
        found.faults.extend(self.store().transaction(async |write| rest(write).await).await?);
        Ok(found)
    }
}

/// The recipients of a broadcast by state: as counted, and as stored.
struct CountsCheck {
    counted: RecipientCounts,
    stored: RecipientCounts,
    /// The sequence number that its next recipient gets.
    next_seq: i64,
}

impl<'r, R: Row> FromRow<'r, R> for CountsCheck
where
    for<'name> &'name str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            counted: recipient_counts(row, "c_")?,
            stored: recipient_counts(row, "n_")?,
            next_seq: row.try_get("next_seq")?,
        })
    }
}

const COUNTED: &str = formatcp!("SELECT
    count(CASE WHEN r.state = {PENDING} THEN 1 END) AS c_pending, count(CASE WHEN r.state = {SENDING} THEN 1 END) AS c_sending,
    count(CASE WHEN r.state = {SENT} THEN 1 END) AS c_sent, count(CASE WHEN r.state = {REJECTED} THEN 1 END) AS c_rejected,
    count(CASE WHEN r.state = {IN_DOUBT} THEN 1 END) AS c_in_doubt, count(CASE WHEN r.state = {SKIPPED} THEN 1 END) AS c_skipped,
    count(CASE WHEN r.state = {CANCELLED} THEN 1 END) AS c_cancelled,
    b.n_pending, b.n_sending, b.n_sent, b.n_rejected, b.n_in_doubt, b.n_skipped, b.n_cancelled, b.next_seq
    FROM broadcasts b LEFT JOIN recipients r ON r.broadcast = b.id WHERE b.id = ? GROUP BY b.id");

const WITHOUT_MESSAGE: &str =
    "SELECT count(*) FROM recipients r WHERE r.broadcast = ?1 AND r.message IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.broadcast = ?1 AND m.id = r.message)";

impl ExaminedBroadcast {
    /// Compares the counted rows with the stored counts; returns the number of recipients.
    fn compare(&self, of: &CountsCheck, faults: &mut Vec<String>) -> u64 {
        for state in RecipientState::ALL {
            let (counted, stored) = (of.counted.of(state), of.stored.of(state));
            if counted != stored {
                faults.push(format!(
                    "{}: the stored count of {} recipients is {stored}, and {counted} rows have this state",
                    self.name,
                    state.name().replace('_', " ")
                ));
            }
        }
        let (all, numbered) = (of.counted.total(), count(of.next_seq - 1));
        if all != numbered {
            faults.push(format!(
                "{}: the plan numbers {}, and {all} rows exist",
                self.name,
                in_words(numbered, "recipient")
            ));
        }
        let waiting = of.counted.pending + of.counted.sending;
        if self.stage.is_over() && waiting > 0 {
            faults.push(format!(
                "{}: it has ended with {} still pending or sending",
                self.name,
                in_words(waiting, "recipient")
            ));
        }
        all
    }
}

/// How many single sends an instance has in flight.
#[derive(sqlx::FromRow)]
struct SendsInFlight {
    #[sqlx(rename = "owner")]
    instance: i64,
    sends: i64,
}

/// Finds the inconsistencies outside of broadcasts.
async fn rest(write: &mut Transaction<'_>) -> Result<Vec<String>, LedgerError> {
    let mut faults = Vec::new();
    let question = sql(formatcp!(
        "SELECT owner, count(*) AS sends FROM sends WHERE state = {SENDING} GROUP BY owner ORDER BY owner"
    ));
    let in_flight: Vec<SendsInFlight> = write.rows(question).await?;
    let mut abandoned = 0;
    for of in in_flight {
        if !lives(write, of.instance).await? {
            abandoned += of.sends;
        }
    }
    if abandoned > 0 {
        faults.push(format!(
            "{} in flight of a process that died; the next process that sends marks them as in doubt",
            in_words(abandoned, "single send")
        ));
    }
    for table in tables_with_stale_sequence(write).await? {
        faults.push(format!(
            "{table}: the next row would get a number that is taken; set its sequence behind the highest"
        ));
    }
    Ok(faults)
}
