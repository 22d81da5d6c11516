//! Runs of the command line. They are recorded as job runs that no daemon continues, waits for or counts as a run of a job.

use std::time::Duration;

use const_format::formatcp;

use super::columns::Millis;
use super::job_registry::is_taken;
use super::sql::sql;
use super::state::run::{INTERRUPTED, RUNNING};
use super::store::{Transaction, from_millis, millis};
use super::{CommandLineStart, Instance, JobState, Ledger, LedgerError, RunRequest};

/// The note on a run of the command line whose process died.
const PROCESS_DIED: &str = "its process ended before the run did";

/// An open run of the command line that no living instance holds.
const DEAD: &str =
    "finished_at IS NULL AND command_line IS NOT NULL AND owner NOT IN (SELECT id FROM instances)";

/// A run of the command line that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommandRun {
    /// The name under which the runs of its script are recorded.
    pub job: String,
    pub args: RunRequest,
    pub start: CommandLineStart,
    /// When it started, since 1970.
    pub started_at: Duration,
    /// What holds it to its rehearsed plan, as JSON.
    pub plan_guard: Option<String>,
}

/// A run that was held to its rehearsed plan and has not ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct InterruptedRun {
    #[sqlx(try_from = "Millis")]
    pub scheduled_at: Duration,
    /// [`JobState::Interrupted`], or [`JobState::Running`] if its process may be alive.
    pub state: JobState,
    /// What holds it to its plan, as JSON.
    pub plan_guard: String,
    not_rerunnable: i64,
}

impl InterruptedRun {
    /// Whether a second run would send some of its messages again.
    pub const fn is_rerunnable(&self) -> bool {
        self.not_rerunnable == 0
    }
}

impl Ledger {
    /// Records that a run begins. Returns its scheduled time, which no other run of that name has: the time of its start or
    /// a few milliseconds later.
    pub async fn begin_command_run(
        &self,
        instance: &Instance,
        run: &NewCommandRun,
    ) -> Result<Duration, LedgerError> {
        let row =
            RunRow { run, instance: instance.id(), state: JobState::Running, note: None, finished_at: None };
        self.insert_command_run(&row).await
    }

    /// Records a run that has ended. Returns its scheduled time, as [`Ledger::begin_command_run`] does.
    pub async fn record_command_run(
        &self,
        run: &NewCommandRun,
        state: JobState,
        note: Option<&str>,
    ) -> Result<Duration, LedgerError> {
        let finished_at = Some(self.store().now());
        self.insert_command_run(&RunRow { run, instance: 0, state, note, finished_at }).await
    }

    async fn insert_command_run(&self, row: &RunRow<'_>) -> Result<Duration, LedgerError> {
        let at = self.store().transaction(async |write| row.insert(write).await).await?;
        Ok(from_millis(at))
    }

    /// Records how a run ended, also if its process counted as dead meanwhile.
    pub async fn finish_command_run(
        &self,
        job: &str,
        scheduled_at: Duration,
        state: JobState,
        note: Option<&str>,
    ) -> Result<(), LedgerError> {
        let statement = sql(formatcp!(
            "UPDATE job_runs SET state = ?, note = ?, finished_at = ? WHERE job = ? AND scheduled_at = ?
                AND command_line IS NOT NULL AND state IN ({RUNNING}, {INTERRUPTED})"
        ));
        let statement = statement.bind(state).bind(note).bind(self.store().now());
        let statement = statement.bind(job).bind(millis(scheduled_at));
        // The plan was carried out. Earlier runs that followed it must not be continued either.
        let over = sql("UPDATE job_runs SET plan_guard = NULL WHERE job = ?1 AND command_line IS NOT NULL
                AND plan_guard IS NOT NULL AND args = (SELECT args FROM job_runs WHERE job = ?1 AND scheduled_at = ?2)");
        let over = (state != JobState::Interrupted).then(|| over.bind(job).bind(millis(scheduled_at)));
        self.store()
            .transaction(async |write| {
                write.run(statement).await?;
                match over {
                    Some(over) => write.run(over).await.map(drop),
                    None => Ok(()),
                }
            })
            .await
    }

    /// Returns the latest run with this name and this request, if it followed a rehearsed plan and has not
    /// ended by itself.
    pub async fn interrupted_command_run(
        &self,
        job: &str,
        asked: &RunRequest,
    ) -> Result<Option<InterruptedRun>, LedgerError> {
        let args = serde_json::to_string(asked).map_err(|error| self.store().record(error))?;
        let question = sql("SELECT scheduled_at, state, plan_guard,
                CAST(CASE WHEN not_rerunnable THEN 1 ELSE 0 END AS BIGINT) AS not_rerunnable FROM job_runs
                WHERE job = ? AND args = ? AND command_line IS NOT NULL AND plan_guard IS NOT NULL
                ORDER BY scheduled_at DESC LIMIT 1");
        self.store().row_now(question.bind(job).bind(args)).await
    }

    /// Finds out whether the processes of open runs are dead, before the runs are shown. If the ledger cannot be written, the
    /// runs are shown as they are.
    pub async fn reap_dead_command_runs(&self) {
        let question = "SELECT count(*) FROM job_runs WHERE finished_at IS NULL AND command_line IS NOT NULL";
        let open = self.store().row_now::<(i64,)>(sql(question)).await;
        if !matches!(open, Ok(Some((1..,)))) {
            return;
        }
        if let Err(error) = self.reap_dead().await {
            tracing::debug!("cannot find out which runs of the command line are over: {error}");
        }
    }

    /// Marks the runs whose process is dead as interrupted. They do not run again.
    pub(super) async fn interrupt_dead_command_runs(&self) -> Result<(), LedgerError> {
        let question = sql(formatcp!("SELECT count(*) FROM job_runs WHERE {DEAD}"));
        let dead: Option<(i64,)> = self.store().row_now(question).await?;
        if dead.unwrap_or_default().0 == 0 {
            return Ok(());
        }
        let statement = sql(formatcp!(
            "UPDATE job_runs SET state = {INTERRUPTED}, note = ?, finished_at = ? WHERE {DEAD}"
        ));
        self.change(statement.bind(PROCESS_DIED).bind(self.store().now())).await.map(drop)
    }
}

/// The row of a run that is recorded.
struct RunRow<'a> {
    run: &'a NewCommandRun,
    instance: i64,
    state: JobState,
    note: Option<&'a str>,
    finished_at: Option<i64>,
}

impl RunRow<'_> {
    /// Inserts the row; returns its scheduled time.
    async fn insert(&self, write: &mut Transaction<'_>) -> Result<i64, LedgerError> {
        let NewCommandRun { job, args, start, started_at, plan_guard } = self.run;
        // What never opened the ledger sent nothing.
        let guard = plan_guard.as_deref().filter(|_| self.finished_at.is_none());
        let json = |result: serde_json::Result<String>| result.map_err(|error| write.store.record(error));
        let (args, start) = (json(serde_json::to_string(args))?, json(serde_json::to_string(start))?);
        let mut at = millis(*started_at);
        loop {
            if !is_taken(write, job, at).await? {
                let statement = sql(
                    "INSERT INTO job_runs (job, scheduled_at, state, attempt, owner, note, started_at, finished_at, args, command_line, plan_guard)
                        VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING scheduled_at",
                );
                let statement =
                    statement.bind(job).bind(at).bind(self.state).bind(self.instance).bind(self.note);
                let statement = statement.bind(millis(*started_at)).bind(self.finished_at);
                let statement = statement.bind(&args).bind(&start).bind(guard);
                if write.row::<(i64,)>(statement).await?.is_some() {
                    return Ok(at);
                }
            }
            at += 1;
        }
    }
}
