//! Cancels the waiting runs of jobs that no script declares any more.

use std::time::Duration;

use crate::ledger::JobState;
use crate::schedule::run_name;

use super::super::DaemonSetup;
use super::super::figures;
use super::{ClaimedRun, RunQueue};

/// How long a job must be gone before its waiting runs are cancelled. Runs for requests and
/// events wait longer, because these were accepted.
const REMOVED: Duration = Duration::from_secs(10);
const REMOVED_INPUT: Duration = Duration::from_hours(24);
/// The note of a run that is cancelled because its job is gone.
const NO_JOB: &str = "no script declares the job now";

impl RunQueue {
    /// Whether no script on any living host of the fleet declares the run's job.
    pub(super) fn is_removed(&self, task: &ClaimedRun) -> bool {
        self.is_gone_here(task) && (task.args.is_some() || !self.elsewhere.borrow().contains(&task.job))
    }

    /// Whether no script of this host declares the run's job. A job whose script fails to load at the moment is not
    /// gone.
    fn is_gone_here(&self, task: &ClaimedRun) -> bool {
        let registry = &self.setup.registry;
        match &task.args {
            Some(_) => registry.script(&task.script.name).is_none() && !registry.knows(&task.path),
            None => registry.find(&task.job).is_none() && !registry.is_refused(&task.path),
        }
    }

    /// Asks the ledger which of the jobs that are gone here another living host has. Returns false if the ledger
    /// cannot tell.
    async fn ask_the_others(&self) -> bool {
        let DaemonSetup { ledger, instance, .. } = &*self.setup;
        let jobs: Vec<String> = {
            let (waiting, held) = (self.waiting.borrow(), self.held.borrow());
            let gone = waiting.iter().chain(held.iter()).filter(|task| self.is_gone_here(task));
            gone.map(|task| task.job.clone()).collect()
        };
        match ledger.jobs_elsewhere(instance, &jobs).await {
            Ok(found) => {
                self.elsewhere.replace(found);
                true
            }
            Err(error) => {
                tracing::error!(
                    "cannot read from the ledger whether another host still has the removed jobs; their queued runs stay queued until it can be read: {error}"
                );
                false
            }
        }
    }

    /// Cancels the waiting runs of removed jobs, once a job has been gone for a while: a script is briefly absent
    /// while it is replaced.
    pub(in super::super) async fn end_removed(&self) {
        if !self.ask_the_others().await {
            return;
        }
        let now = self.setup.clock.now();
        let waiting: Vec<ClaimedRun> = self.waiting.borrow().iter().cloned().collect();
        let gone: Vec<ClaimedRun> =
            waiting.into_iter().filter(|task| !task.entered && self.is_removed(task)).collect();
        let due: Vec<ClaimedRun> = {
            let mut removed = self.removed.borrow_mut();
            removed.retain(|job, _| gone.iter().any(|task| task.job == *job));
            gone.into_iter()
                .filter(|task| {
                    let since = *removed.entry(task.job.clone()).or_insert(now);
                    let patience = if task.has_input { REMOVED_INPUT } else { REMOVED };
                    now.saturating_since(since) >= patience
                })
                .collect()
        };
        for task in due {
            let is_same_run =
                |other: &ClaimedRun| other.job == task.job && other.scheduled_at == task.scheduled_at;
            self.waiting.borrow_mut().retain(|other| !is_same_run(other));
            let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
            figures::run_ended(job, JobState::Cancelled);
            tracing::warn!(job, run, "queued run cancelled: {NO_JOB}");
            self.record_end(&task, JobState::Cancelled, Some(NO_JOB)).await;
        }
    }
}
