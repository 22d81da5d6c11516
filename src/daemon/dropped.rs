//! Records scheduled times that are dropped because a job's schedule changed. Each gets a row of the job and a log
//! line.

use std::time::Duration;

use crate::ledger::{JobRunAction, LedgerError, PreviousSchedule};
use crate::schedule::run_name;

use super::Daemon;
use super::claim::RunToClaim;
use super::registry::LoadedJob;

/// Records two kinds of dropped times: a time of the old schedule that had come and was not decided, and the time
/// of an `at` that lies before the last decided time.
pub(super) async fn note(
    daemon: &Daemon,
    jobs: &[LoadedJob],
    old: Vec<PreviousSchedule>,
    now: Duration,
) -> Result<(), LedgerError> {
    let mut runs = Vec::new();
    for PreviousSchedule { job, times, decided_until, next_at } in old {
        let Some(registered) = jobs.iter().find(|one| one.job.name == job) else { continue };
        let new = registered.job.times();
        if let Some(at) = next_at.filter(|at| *at <= now && *at > decided_until) {
            let why = format!("the schedule was changed from {times} to {new} before this run started");
            runs.push(left_out(registered, at, why));
        }
        let at = registered.job.next_after(Duration::ZERO).filter(|_| registered.job.is_at());
        if let Some(at) = at.filter(|at| *at <= decided_until) {
            let why = format!(
                "the schedule was changed from {times} to a time that is not after {}; the times up to then were already handled, so the job does not run; to run it, give it another `name`",
                run_name(decided_until)
            );
            runs.push(left_out(registered, at, why));
        }
    }
    if !runs.is_empty() {
        daemon.claim(&runs, &[]).await?;
    }
    Ok(())
}

fn left_out(registered: &LoadedJob, at: Duration, why: String) -> RunToClaim {
    let (job, run) = (registered.job.name.as_str(), run_name(at));
    tracing::warn!(job, run, "scheduled time skipped: {why}");
    RunToClaim::of_job(registered, at, JobRunAction::Skip(why), None)
}
