//! Job runs whose process died.

use std::time::Duration;

use const_format::formatcp;
use sqlx::FromRow;

use super::columns::JsonText;
use super::instance::lives;
use super::sql::sql;
use super::state::stage::{FINISHED, READY};
use super::store::{Transaction, from_millis, small};
use super::{Instance, JobState, Ledger, LedgerError, RunRequest};

/// A run whose process died before the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanedRun {
    /// The job's name.
    pub job: String,
    /// The time that the run was scheduled for.
    pub scheduled_at: Duration,
    /// How many times it was begun.
    pub attempt: u32,
    /// Why it is interrupted for good. `None` means that the finder holds it now, and that it waits to be begun.
    pub why: Option<String>,
    /// The hash of the script's version.
    pub version: String,
    /// The most real time that it may take; `None` for no limit.
    pub timeout: Option<Duration>,
    /// Its arguments, if it is a requested run of a script.
    pub args: Option<RunRequest>,
}

/// The note on an orphaned run that does not run again because of what it had sent.
const NOT_RERUNNABLE: &str = "its process died, and it had sent messages outside of broadcasts and without `once`: a \
 second run might send them twice (with `rerun = true` the job runs again all the same)";

/// A run during which its host died this often does not run again, because the run may be what kills the host.
const MOST_DEATHS: i64 = 2;

/// The most broadcasts that a note names.
const NAMED: i64 = 5;

/// The note on a run that does not run a third time. It says what of it goes on, and how to run it again by hand.
fn died(job: &str, is_script: bool, broadcasts: &[String]) -> String {
    if !is_script && !broadcasts.is_empty() {
        return format!(
            "its host died twice during this run, so the run does not start a third time; its broadcasts go on \
             without it: {}. Find out why the host died (see its log and memory). `mooncast jobs trigger '{job}'` \
             would run the job anew, as another run that sends to all recipients again",
            broadcasts.join(", ")
        );
    }
    // The name of a script's run is a word, a space and the script.
    let again = match job.split_once(' ').filter(|_| is_script) {
        Some((_, script)) => format!("`mooncast jobs run-script '{script}'` runs the script anew"),
        None => format!("`mooncast jobs trigger '{job}'` runs the job anew"),
    };
    format!(
        "its host died twice during this run, so the run does not start a third time; find out why the host \
         died (see its log and memory), then start it by hand: {again}"
    )
}

/// An unfinished run of another instance, as it is stored.
#[derive(FromRow)]
struct OpenRunRow {
    job: String,
    scheduled_at: i64,
    attempt: i64,
    #[sqlx(rename = "owner")]
    instance: i64,
    state: JobState,
    /// Whether it does not run again because of what it had sent.
    stays: bool,
    entries: i64,
    version: Option<String>,
    timeout: Option<i64>,
    #[sqlx(try_from = "JsonText<Option<RunRequest>>")]
    args: Option<RunRequest>,
}

impl Ledger {
    /// Takes over the runs whose process died. Runs that may run again wait under `instance` from now on; the others are
    /// interrupted. The earliest scheduled times come first.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    pub async fn take_over_job_runs(&self, instance: &Instance) -> Result<Vec<OrphanedRun>, LedgerError> {
        let mut read = self.store().read().await?;
        let question = sql("SELECT count(*) FROM job_runs WHERE finished_at IS NULL AND owner <> ?");
        let others: Option<(i64,)> = read.row(question.bind(instance.id())).await?;
        read.done();
        if others.unwrap_or_default().0 == 0 {
            return Ok(Vec::new());
        }
        // Reaping makes sure that an instance that was only silent does not continue beside the rerun.
        self.reap_dead().await?;
        self.store().transaction(async |write| self.orphans(write, instance.id()).await).await
    }

    async fn orphans(
        &self,
        write: &mut Transaction<'_>,
        instance: i64,
    ) -> Result<Vec<OrphanedRun>, LedgerError> {
        let question = sql(
            "SELECT job, scheduled_at, attempt, owner, state, not_rerunnable AND NOT rerun AS stays, entries, version, timeout, args FROM job_runs
                WHERE finished_at IS NULL AND owner <> ? AND command_line IS NULL ORDER BY scheduled_at, job",
        );
        let rows: Vec<OpenRunRow> = write.rows(question.bind(instance)).await?;
        let mut orphans = Vec::new();
        for row in rows {
            if lives(write, row.instance).await? {
                continue;
            }
            let ran = row.state == JobState::Running;
            let note = if ran && row.entries >= MOST_DEATHS {
                let planned = planned_broadcasts(write, &row).await?;
                Some(died(&row.job, row.args.is_some(), &planned))
            } else {
                (ran && row.stays).then(|| NOT_RERUNNABLE.to_owned())
            };
            let waits = note.is_none();
            let now = write.store.now();
            let state = if waits { JobState::Waiting } else { JobState::Interrupted };
            let statement = sql(
                "UPDATE job_runs SET owner = ?, state = ?, note = ?, finished_at = ? WHERE job = ? AND scheduled_at = ?",
            );
            let statement = statement
                .bind(instance)
                .bind(state)
                .bind(note.clone())
                .bind((!waits).then_some(now))
                .bind(&row.job)
                .bind(row.scheduled_at);
            write.run(statement).await?;
            orphans.push(OrphanedRun {
                job: row.job,
                scheduled_at: from_millis(row.scheduled_at),
                attempt: small(row.attempt),
                why: note,
                version: row.version.unwrap_or_default(),
                timeout: row.timeout.map(from_millis),
                args: row.args,
            });
        }
        Ok(orphans)
    }
}

/// The broadcasts of a run, as NAME/RUN, whose plan is fixed. A daemon sends them to their end, whatever becomes of the run.
async fn planned_broadcasts(
    write: &mut Transaction<'_>,
    run: &OpenRunRow,
) -> Result<Vec<String>, LedgerError> {
    let question = sql(formatcp!(
        "SELECT b.name || '/' || b.run FROM run_broadcasts l JOIN broadcasts b ON b.id = l.broadcast
            WHERE l.job = ? AND l.scheduled_at = ? AND b.plan IS NOT NULL AND b.state IN ({READY}, {FINISHED})
            ORDER BY b.id LIMIT {NAMED}"
    ));
    let rows: Vec<(String,)> = write.rows(question.bind(&run.job).bind(run.scheduled_at)).await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}
