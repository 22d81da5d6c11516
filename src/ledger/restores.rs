//! The state of a ledger after a restore from a backup. The restored ledger does not know what was sent after the
//! backup was taken, so no process may send from it until an operator accepts it.

use std::time::Duration;

use super::sql::sql;
use super::store::{Transaction, count, from_millis};
use super::{Ledger, LedgerError};

/// A restore that is not accepted yet, and what is uncertain because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRestore {
    /// When the backup was taken. Messages sent after this instant are not in the ledger.
    pub taken_at: Duration,
    pub restored_at: Duration,
    /// Broadcasts that were unfinished when the backup was taken.
    pub broadcasts: Vec<UncertainBroadcast>,
    /// Single sends in doubt.
    pub sends: u64,
    /// Runs of jobs, hooks and scripts that had not ended when the backup was taken; they are interrupted now.
    pub runs: u64,
    /// The jobs with a schedule. Their scheduled times since the backup are skipped unless the operator asks for them.
    pub jobs: Vec<String>,
}

/// A broadcast that was unfinished when the backup was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncertainBroadcast {
    pub name: String,
    pub run: String,
    /// Whether its plan was still being built. The next run of its script then builds it anew and sends all of it.
    pub building: bool,
    /// Recipients that are not sent to yet.
    pub pending: u64,
    /// Recipients that may have been sent to since the backup.
    pub in_doubt: u64,
}

/// Returns [`LedgerError::Restored`] while a restore is not accepted.
pub(super) async fn may_send(write: &mut Transaction<'_>) -> Result<(), LedgerError> {
    // Messages of a scratch ledger never reach a service.
    if write.store.driver.is_temporary() {
        return Ok(());
    }
    let Some((taken_at, _)) = pending(write).await? else { return Ok(()) };
    Err(LedgerError::Restored { path: write.store.path.clone(), taken_at: instant(taken_at) })
}

/// Formats an instant for people, in UTC.
pub(super) fn instant(millis: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Of the restores that are not accepted: when the oldest backup was taken, and when the last restore happened.
async fn pending(write: &mut Transaction<'_>) -> Result<Option<(i64, i64)>, LedgerError> {
    let question = sql("SELECT min(taken_at), max(restored_at) FROM restores WHERE accepted_at IS NULL");
    let row: Option<(Option<i64>, Option<i64>)> = write.row(question).await?;
    Ok(row.and_then(|(taken, restored)| taken.zip(restored)))
}

impl Ledger {
    /// Returns the restore that is not accepted yet, if there is one.
    pub async fn pending_restore(&self) -> Result<Option<PendingRestore>, LedgerError> {
        let mut write = self.store().write().await?;
        let found = describe(&mut write).await;
        write.end(found).await
    }

    /// Accepts a restore: processes may send again. Scheduled times up to now are skipped; with `run_missed`, the
    /// `missed` option of each job decides instead. Returns whether there was a restore to accept.
    pub async fn accept_restore(&self, run_missed: bool) -> Result<bool, LedgerError> {
        let mut write = self.store().write().await?;
        let now = write.store.now();
        let result = async {
            let statement = sql("UPDATE restores SET accepted_at = ? WHERE accepted_at IS NULL").bind(now);
            let accepted = write.run(statement).await? > 0;
            if accepted && !run_missed {
                let skipped = sql("UPDATE jobs SET decided_until = ?1 WHERE decided_until < ?1").bind(now);
                write.run(skipped).await?;
            }
            Ok(accepted)
        }
        .await;
        write.end(result).await
    }
}

async fn describe(write: &mut Transaction<'_>) -> Result<Option<PendingRestore>, LedgerError> {
    type UncertainBroadcastRow = (String, String, i64, i64, i64);
    let Some((taken_at, restored_at)) = pending(write).await? else { return Ok(None) };
    let question = sql("SELECT name, run, state, n_pending, n_in_doubt FROM broadcasts
            WHERE state IN (0, 1) AND NOT draft ORDER BY id");
    let broadcasts: Vec<UncertainBroadcastRow> = write.rows(question).await?;
    let sends: Option<(i64,)> = write.row(sql("SELECT count(*) FROM sends WHERE state = 4")).await?;
    let runs = sql("SELECT count(*) FROM job_runs WHERE state = 3 AND finished_at = ?").bind(restored_at);
    let runs: Option<(i64,)> = write.row(runs).await?;
    let jobs = sql("SELECT name FROM jobs WHERE gone_at IS NULL AND next_at IS NOT NULL ORDER BY name");
    let jobs: Vec<(String,)> = write.rows(jobs).await?;
    Ok(Some(PendingRestore {
        taken_at: from_millis(taken_at),
        restored_at: from_millis(restored_at),
        broadcasts: broadcasts
            .into_iter()
            .map(|(name, run, state, pending, in_doubt)| UncertainBroadcast {
                name,
                run,
                building: state == 0,
                pending: count(pending),
                in_doubt: count(in_doubt),
            })
            .collect(),
        sends: count(sends.unwrap_or_default().0),
        runs: count(runs.unwrap_or_default().0),
        jobs: jobs.into_iter().map(|(name,)| name).collect(),
    }))
}
