//! Checks whether the content of a ledger is consistent.

use crate::message::counted as in_words;

use super::instance::lives;
use super::sql::sql;
use super::store::{Transaction, count};
use super::tables::TABLES;
use super::transfer::tables_with_stale_sequence;
use super::{BroadcastId, BroadcastStage, Ledger, LedgerError};

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
struct ExaminedBroadcast {
    name: String,
    stage: i64,
}

impl Ledger {
    /// Counts the rows of the ledger and looks for inconsistencies. Other processes may write meanwhile: each
    /// broadcast is read as it is at one instant.
    pub async fn examine(&self) -> Result<ConsistencyReport, LedgerError> {
        let mut found = ConsistencyReport::default();
        let mut read = self.store().read().await?;
        let question = sql("SELECT id, name, run, state FROM broadcasts ORDER BY id");
        let broadcasts: Vec<(i64, String, String, i64)> = read.rows(question).await?;
        let mut recipients = 0;
        for (id, name, run, stage) in broadcasts {
            let suspect = ExaminedBroadcast { name: format!("{name}/{run}"), stage };
            let question = sql(COUNTED).bind(id);
            let Some(counted) = read.row::<CountsCheckRow>(question).await? else { continue };
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
            if counted.1 > 0 {
                let mut write = self.store().write().await?;
                let abandoned = write.store.driver.count_abandoned(&mut write, BroadcastId(id)).await;
                let abandoned = write.end(abandoned).await?;
                if abandoned > 0 {
                    found.faults.push(format!(
                        "{}: {} in flight of a process that died; the next process that drives it settles them as in doubt",
                        suspect.name,
                        in_words(abandoned, "recipient")
                    ));
                }
            }
        }
        for table in ["recipients", "messages"] {
            let mut last = -1;
            let mut strays = 0;
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
                    strays += 1;
                    if strays <= NAMED {
                        found.faults.push(format!("{table} of a broadcast {next} that does not exist"));
                    }
                }
                last = next;
            }
        }
        for table in TABLES {
            let rows = if table.name == "recipients" {
                recipients
            } else {
                let rows: Option<(i64,)> =
                    read.row(sql(format!("SELECT count(*) FROM {}", table.name))).await?;
                count(rows.unwrap_or_default().0)
            };
            found.rows.push((table.name, rows));
        }
        read.done();
        let mut write = self.store().write().await?;
        let rest = rest(&mut write).await;
        found.faults.extend(write.end(rest).await?);
        Ok(found)
    }
}

/// Rows by state, the broadcast's stored count of each state, and the sequence number that its next recipient would
/// get.
type CountsCheckRow = (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64);

const COUNTED: &str = "SELECT
    count(CASE WHEN r.state = 0 THEN 1 END), count(CASE WHEN r.state = 1 THEN 1 END),
    count(CASE WHEN r.state = 2 THEN 1 END), count(CASE WHEN r.state = 3 THEN 1 END),
    count(CASE WHEN r.state = 4 THEN 1 END), count(CASE WHEN r.state = 5 THEN 1 END),
    count(CASE WHEN r.state = 6 THEN 1 END),
    b.n_pending, b.n_sending, b.n_sent, b.n_rejected, b.n_in_doubt, b.n_skipped, b.n_cancelled, b.next_seq
    FROM broadcasts b LEFT JOIN recipients r ON r.broadcast = b.id WHERE b.id = ? GROUP BY b.id";

const WITHOUT_MESSAGE: &str =
    "SELECT count(*) FROM recipients r WHERE r.broadcast = ?1 AND r.message IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.broadcast = ?1 AND m.id = r.message)";

impl ExaminedBroadcast {
    /// Compares the counted rows with the stored counts; returns the number of recipients.
    fn compare(&self, of: &CountsCheckRow, faults: &mut Vec<String>) -> u64 {
        let counted = [of.0, of.1, of.2, of.3, of.4, of.5, of.6];
        let said = [of.7, of.8, of.9, of.10, of.11, of.12, of.13];
        let states = ["pending", "sending", "sent", "rejected", "in doubt", "skipped", "cancelled"];
        for ((state, counted), said) in states.iter().zip(counted).zip(said) {
            if counted != said {
                faults.push(format!(
                    "{}: the stored count of {state} recipients is {said}, and {counted} \
                 rows have this state",
                    self.name
                ));
            }
        }
        let all: i64 = counted.iter().sum();
        if all != of.14 - 1 {
            faults.push(format!(
                "{}: the plan numbers {}, and {all} rows exist",
                self.name,
                in_words(of.14 - 1, "recipient")
            ));
        }
        let over = [BroadcastStage::Finished, BroadcastStage::Cancelled]
            .iter()
            .any(|stage| stage.number() == self.stage);
        if over && counted[0] + counted[1] > 0 {
            let waiting = counted[0] + counted[1];
            faults.push(format!(
                "{}: it has ended, and {} still pending or sending",
                self.name,
                in_words(waiting, "recipient")
            ));
        }
        count(all)
    }
}

/// Finds the inconsistencies outside of broadcasts.
async fn rest(write: &mut Transaction<'_>) -> Result<Vec<String>, LedgerError> {
    let mut faults = Vec::new();
    let question = sql("SELECT owner, count(*) FROM sends WHERE state = 1 GROUP BY owner ORDER BY owner");
    let in_flight: Vec<(i64, i64)> = write.rows(question).await?;
    let mut abandoned = 0;
    for (owner, sends) in in_flight {
        if !lives(write, owner).await? {
            abandoned += sends;
        }
    }
    if abandoned > 0 {
        faults.push(format!(
            "{} in flight of a process that died; the next process that sends settles them as in doubt",
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
