//! The state of a ledger after a restore from a backup. The restored ledger does not know what was sent after the
//! backup was taken, so no process may send from it until an operator accepts it.

use std::time::Duration;

use const_format::formatcp;

use super::sql::sql;
use super::state::recipient::IN_DOUBT;
use super::state::run::INTERRUPTED;
use super::state::stage::{BUILDING, READY};
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
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct UncertainBroadcast {
    pub name: String,
    pub run: String,
    /// Whether its plan was still being built. The next run of its script then builds it anew and sends all of it.
    pub building: bool,
    /// Recipients that are not sent to yet.
    #[sqlx(try_from = "i64")]
    pub pending: u64,
    /// Recipients that may have been sent to since the backup.
    #[sqlx(try_from = "i64")]
    pub in_doubt: u64,
}

/// Returns [`LedgerError::Restored`] while a restore is not accepted.
pub(super) async fn may_send(write: &mut Transaction<'_>) -> Result<(), LedgerError> {
    if !write.store.driver.reaches_service() {
        return Ok(());
    }
    let Some(restores) = pending(write).await? else { return Ok(()) };
    Err(LedgerError::Restored { path: write.store.path.clone(), taken_at: format_time(restores.taken_at) })
}

/// Formats an instant for people, in UTC.
pub(super) fn format_time(millis: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The restores that are not accepted.
#[derive(sqlx::FromRow)]
struct UnacceptedRestores {
    /// When the oldest backup was taken.
    taken_at: i64,
    /// When the last restore happened.
    restored_at: i64,
}

async fn pending(write: &mut Transaction<'_>) -> Result<Option<UnacceptedRestores>, LedgerError> {
    let question = sql("SELECT min(taken_at) AS taken_at, max(restored_at) AS restored_at FROM restores
            WHERE accepted_at IS NULL HAVING count(*) > 0");
    write.row(question).await
}

impl Ledger {
    /// Returns the restore that is not accepted yet, if there is one.
    pub async fn pending_restore(&self) -> Result<Option<PendingRestore>, LedgerError> {
        self.store().transaction(async |write| describe(write).await).await
    }

    /// Returns when the ledger was last restored, if no operator has accepted that yet.
    pub async fn restored_at(&self) -> Result<Option<Duration>, LedgerError> {
        let question =
            sql("SELECT max(restored_at) FROM restores WHERE accepted_at IS NULL HAVING count(*) > 0");
        let row: Option<(i64,)> = self.store().row_now(question).await?;
        Ok(row.map(|(at,)| from_millis(at)))
    }

    /// Accepts a restore: processes may send again. Scheduled times up to now are skipped; with `run_missed`, the
    /// `missed` option of each job decides instead. Returns whether there was a restore to accept.
    pub async fn accept_restore(&self, run_missed: bool) -> Result<bool, LedgerError> {
        let now = self.store().now();
        self.store()
            .transaction(async |write| {
                let statement =
                    sql("UPDATE restores SET accepted_at = ? WHERE accepted_at IS NULL").bind(now);
                let accepted = write.run(statement).await? > 0;
                if accepted && !run_missed {
                    let skipped =
                        sql("UPDATE jobs SET decided_until = ?1 WHERE decided_until < ?1").bind(now);
                    write.run(skipped).await?;
                }
                Ok(accepted)
            })
            .await
    }
}

async fn describe(write: &mut Transaction<'_>) -> Result<Option<PendingRestore>, LedgerError> {
    let Some(UnacceptedRestores { taken_at, restored_at }) = pending(write).await? else { return Ok(None) };
    let question = sql(formatcp!(
        "SELECT name, run, state = {BUILDING} AS building, n_pending AS pending, n_in_doubt AS in_doubt FROM broadcasts
            WHERE state IN ({BUILDING}, {READY}) AND NOT draft ORDER BY id"
    ));
    let broadcasts = write.rows(question).await?;
    let sends: Option<(i64,)> =
        write.row(sql(formatcp!("SELECT count(*) FROM sends WHERE state = {IN_DOUBT}"))).await?;
    let runs =
        sql(formatcp!("SELECT count(*) FROM job_runs WHERE state = {INTERRUPTED} AND finished_at = ?"))
            .bind(restored_at);
    let runs: Option<(i64,)> = write.row(runs).await?;
    let jobs = sql("SELECT name FROM jobs WHERE gone_at IS NULL AND next_at IS NOT NULL ORDER BY name");
    let jobs: Vec<(String,)> = write.rows(jobs).await?;
    Ok(Some(PendingRestore {
        taken_at: from_millis(taken_at),
        restored_at: from_millis(restored_at),
        broadcasts,
        sends: count(sends.unwrap_or_default().0),
        runs: count(runs.unwrap_or_default().0),
        jobs: jobs.into_iter().map(|(name,)| name).collect(),
    }))
}
