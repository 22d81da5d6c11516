//! Claims of job runs: many at once in few statements.
//!
//! Each statement travels to the connection's thread and back. On a machine whose cores are all busy, each trip waits
//! for a core. One statement for each of a hundred jobs would begin the last job a second late.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::broadcast::json;
use super::jobs::{DecidedUntil, EndedRun, JobClaim, JobRunAction, NewJobRun};
use super::sql::sql;
use super::state::run::RUNNING;
use super::store::{Transaction, millis};
use super::{JobState, LedgerError};

/// Whether a run `r` was not started by an event.
pub(super) const NOT_OF_EVENT: &str = "NOT EXISTS (SELECT 1 FROM hook_requests q
    WHERE q.job = r.job AND q.scheduled_at = r.scheduled_at AND q.head LIKE 'event %')";

/// Claims runs; returns the result of each.
pub(super) async fn claim(
    write: &mut Transaction<'_>,
    runs: &[NewJobRun],
    instance: i64,
) -> Result<Vec<JobClaim>, LedgerError> {
    let elsewhere = run_elsewhere(write, runs, instance).await?;
    let now = write.store.now();
    let new: Vec<_> =
        runs.iter().map(|run| InitialRunState::of(run, elsewhere.contains(run.job.as_str()))).collect();
    let rows: Vec<_> = runs.iter().zip(&new).map(|(run, new)| new.row(run, now)).collect();
    let statement = sql(
        "INSERT INTO job_runs (job, scheduled_at, state, attempt, entries, note, finished_at, version, rerun, timeout, args, owner, started_at)
            SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT),
                CAST(value ->> 3 AS BIGINT), value ->> 4, CAST(value ->> 5 AS BIGINT), value ->> 6,
                CAST(value ->> 7 AS BOOLEAN), CAST(value ->> 8 AS BIGINT), value ->> 9, ?1, ?2 FROM json_each(?3) WHERE true
            ON CONFLICT DO NOTHING RETURNING job, scheduled_at",
    );
    let statement = statement.bind(instance).bind(now).bind(json(write, &rows)?);
    let inserted: Vec<(String, i64)> = write.rows(statement).await?;
    let inserted: BTreeSet<_> = inserted.iter().map(|(job, at)| (job.as_str(), *at)).collect();
    let is_new = |run: &NewJobRun| inserted.contains(&(run.job.as_str(), millis(run.scheduled_at)));
    let old = if runs.iter().all(is_new) { BTreeMap::new() } else { states(write, runs).await? };
    let claimed = runs.iter().zip(&new).map(|(run, new)| {
        if is_new(run) {
            return Ok(match new.state {
                JobState::Running => JobClaim::Claimed { attempt: 1 },
                JobState::Waiting => JobClaim::Waits,
                over => JobClaim::Over(over),
            });
        }
        let state = old.get(&(run.job.clone(), millis(run.scheduled_at)));
        let state = state.ok_or_else(|| write.store.record("a job run that was not claimed"))?;
        Ok(match *state {
            JobState::Running | JobState::Waiting => JobClaim::Running,
            over => JobClaim::Over(over),
        })
    });
    claimed.collect()
}

/// The row that a claim writes if no other process has the scheduled time.
struct InitialRunState {
    state: JobState,
    note: Option<String>,
}

impl InitialRunState {
    fn of(run: &NewJobRun, runs_elsewhere: bool) -> Self {
        let (state, note) = match &run.entry {
            JobRunAction::Run { or_skip: true } if runs_elsewhere => {
                let why = "a run of an earlier scheduled time is still active in another process";
                (JobState::Skipped, Some(why.to_owned()))
            }
            JobRunAction::Run { .. } if runs_elsewhere => (JobState::Waiting, None),
            JobRunAction::Run { .. } => (JobState::Running, None),
            JobRunAction::Wait => (JobState::Waiting, None),
            JobRunAction::Skip(why) => (JobState::Skipped, Some(why.clone())),
        };
        Self { state, note }
    }

    fn row(&self, run: &NewJobRun, now: i64) -> impl serde::Serialize {
        let attempt = u32::from(self.state == JobState::Running);
        let finished_at = (self.state == JobState::Skipped).then_some(now);
        let (at, timeout) = (millis(run.scheduled_at), run.timeout.map(millis));
        let (state, rerun) = (self.state.number(), u8::from(run.rerun));
        (
            run.job.clone(),
            at,
            state,
            attempt,
            self.note.clone(),
            finished_at,
            run.version.clone(),
            rerun,
            timeout,
            // JSON text inside the JSON list, as the column stores it.
            run.args.as_ref().map(|args| serde_json::json!(args).to_string()),
        )
    }
}

/// The jobs of which another process runs a scheduled time. The run of a dead process counts until it is taken over,
/// because it continues before a later scheduled time begins. Runs of events do not count: [`Ledger::job_control`] orders
/// them by group.
///
/// [`Ledger::job_control`]: super::Ledger::job_control
async fn run_elsewhere(
    write: &mut Transaction<'_>,
    runs: &[NewJobRun],
    instance: i64,
) -> Result<BTreeSet<String>, LedgerError> {
    let jobs: BTreeSet<&str> = runs.iter().map(|run| run.job.as_str()).collect();
    let question = sql(formatcp!(
        "SELECT DISTINCT job FROM job_runs r WHERE job IN (SELECT atom FROM json_each(?))
            AND finished_at IS NULL AND state = {RUNNING} AND owner <> ? AND command_line IS NULL AND {NOT_OF_EVENT}"
    ));
    let busy: Vec<(String,)> = write.rows(question.bind(json(write, &jobs)?).bind(instance)).await?;
    Ok(busy.into_iter().map(|(job,)| job).collect())
}

/// A run that is already claimed.
#[derive(sqlx::FromRow)]
struct ClaimedRunRow {
    job: String,
    scheduled_at: i64,
    state: JobState,
}

/// Returns the states of runs that are already claimed.
async fn states(
    write: &mut Transaction<'_>,
    runs: &[NewJobRun],
) -> Result<BTreeMap<(String, i64), JobState>, LedgerError> {
    let keys: Vec<_> = runs.iter().map(|run| (run.job.as_str(), millis(run.scheduled_at))).collect();
    let question = sql("SELECT r.job, r.scheduled_at, r.state FROM json_each(?) k CROSS JOIN job_runs r
            ON r.job = k.value ->> 0 AND r.scheduled_at = CAST(k.value ->> 1 AS BIGINT)");
    let rows: Vec<ClaimedRunRow> = write.rows(question.bind(json(write, &keys)?)).await?;
    Ok(rows.into_iter().map(|run| ((run.job, run.scheduled_at), run.state)).collect())
}

/// Records up to which time jobs are decided.
pub(super) async fn decide(write: &mut Transaction<'_>, decided: &[DecidedUntil]) -> Result<(), LedgerError> {
    if decided.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = decided
        .iter()
        .map(|decided| (&decided.job, millis(decided.until), decided.next.map(millis)))
        .collect();
    let statement = sql(
        "UPDATE jobs SET decided_until = CAST(d.value ->> 1 AS BIGINT), next_at = CAST(d.value ->> 2 AS BIGINT) FROM json_each(?) d
            WHERE jobs.name = d.value ->> 0 AND jobs.decided_until <= CAST(d.value ->> 1 AS BIGINT)",
    );
    let rows = json(write, &rows)?;
    write.run(statement.bind(rows)).await.map(drop)
}

/// Records how runs ended; returns how many of them this instance still held.
pub(super) async fn finish(
    write: &mut Transaction<'_>,
    runs: &[EndedRun],
    instance: i64,
) -> Result<u64, LedgerError> {
    let rows: Vec<_> =
        runs.iter().map(|run| (&run.job, millis(run.scheduled_at), run.state.number(), &run.note)).collect();
    let statement = sql(
        "UPDATE job_runs SET state = CAST(e.value ->> 2 AS BIGINT), note = e.value ->> 3, finished_at = ?1, plan_guard = NULL
            FROM json_each(?2) e
            WHERE job_runs.job = e.value ->> 0 AND job_runs.scheduled_at = CAST(e.value ->> 1 AS BIGINT)
            AND job_runs.owner = ?3 AND job_runs.finished_at IS NULL",
    );
    let (now, rows) = (write.store.now(), json(write, &rows)?);
    write.run(statement.bind(now).bind(rows).bind(instance)).await
}
