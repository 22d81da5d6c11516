//! Claims runs in the ledger before they begin: runs of jobs, and runs of scripts that an operator requested.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::ledger::{DecidedUntil, JobClaim, JobRunAction, JobState, LedgerError, NewJobRun, RunRequest};
use crate::schedule::{OverlapPolicy, RunVerdict, run_name, runs_of};

use super::registry::LoadedJob;
use super::runner::{ClaimedRun, RunKey};
use super::scheduler::DueJob;
use super::version::ScriptVersion;
use super::{AGAIN, Daemon, DaemonSetup, figures, recover};

pub(super) struct RunToClaim {
    version: Rc<ScriptVersion>,
    task: ClaimedRun,
    run: NewJobRun,
}

impl RunToClaim {
    /// A run of a job; `group` is the group of the event that it is for.
    pub(super) fn of_job(
        registered: &LoadedJob,
        scheduled_at: Duration,
        entry: JobRunAction,
        group: Option<String>,
    ) -> Self {
        let LoadedJob { job, version } = registered;
        let run = NewJobRun {
            job: job.name.clone(),
            scheduled_at,
            entry,
            version: version.hash.clone(),
            rerun: job.rerun,
            timeout: job.timeout,
            args: None,
        };
        Self::new(version, run, job.has_inputs(), group)
    }

    /// A run of a script with arguments.
    fn of_script(
        version: &Rc<ScriptVersion>,
        scheduled_at: Duration,
        entry: JobRunAction,
        args: RunRequest,
    ) -> Self {
        let run = NewJobRun {
            job: runs_of(version.name()),
            scheduled_at,
            entry,
            version: version.hash.clone(),
            rerun: false,
            timeout: None,
            args: Some(args),
        };
        Self::new(version, run, false, None)
    }

    fn new(version: &Rc<ScriptVersion>, run: NewJobRun, has_input: bool, group: Option<String>) -> Self {
        Self { version: Rc::clone(version), task: ClaimedRun::new(version, &run, has_input, group), run }
    }
}

impl Daemon {
    /// Decides about all due scheduled times, and starts the runs.
    pub(super) async fn claim_due(&self) {
        let due = self.scheduler.borrow_mut().due(self.setup.clock.unix_time());
        if due.is_empty() {
            return;
        }
        let runs = self.entries(&due).await;
        let decided: Vec<DecidedUntil> = due
            .iter()
            .map(|due| DecidedUntil {
                job: due.name().to_owned(),
                until: due.until(),
                next: due.decision.next,
            })
            .collect();
        let claimed = self.claim(&runs, &decided).await;
        let mut scheduler = self.scheduler.borrow_mut();
        for due in due {
            match &claimed {
                Ok(_) => scheduler.settle(due.name(), due.until(), due.decision.wake),
                Err(_) => scheduler.settle(due.name(), due.last, Some(self.setup.clock.unix_time() + AGAIN)),
            }
        }
        if let Err(error) = claimed {
            tracing::error!("cannot claim runs in the ledger, so no runs start: {error}");
        }
    }

    /// The action for each due scheduled time.
    async fn entries(&self, due: &[DueJob]) -> Vec<RunToClaim> {
        let mut runs = Vec::new();
        let mut taken = 0;
        for due in due.iter().filter(|due| !due.paused) {
            let mut first = true;
            for verdict in &due.decision.verdicts {
                let (at, entry) = match verdict {
                    RunVerdict::Skip(skipped) => {
                        let (job, first, last) =
                            (due.name(), run_name(skipped.first), run_name(skipped.last));
                        let (count, why) = (skipped.count, skipped.why.words());
                        tracing::warn!(job, first, last, count, "scheduled times skipped: {why}");
                        let times = if count == 1 {
                            format!("1 scheduled time, {first}")
                        } else {
                            format!("{count} scheduled times from {first} on")
                        };
                        (skipped.last, JobRunAction::Skip(format!("{times}: {why}")))
                    }
                    RunVerdict::Run(at) if std::mem::take(&mut first) => {
                        let job = &due.registered.job;
                        (*at, self.runner.entry(&RunKey::of_job(&job.name), job.overlap, taken).await)
                    }
                    // If several times of a job are due, the later runs wait for the first, whatever `overlap`
                    // says.
                    RunVerdict::Run(at) => (*at, JobRunAction::Wait),
                };
                taken += usize::from(matches!(entry, JobRunAction::Run { .. }));
                runs.push(RunToClaim::of_job(&due.registered, at, entry, None));
            }
        }
        runs
    }

    /// Claims a requested run of a job, and starts or queues it. `group` is the group of the event that requested the run,
    /// if an event did. Returns false if the fleet has another version of the script active, so that another host must
    /// run it.
    pub(super) async fn claim_one(
        &self,
        registered: &LoadedJob,
        at: Duration,
        group: Option<String>,
    ) -> Result<bool, LedgerError> {
        let job = &registered.job;
        let key = RunKey { job: job.name.clone(), group: group.clone() };
        let entry = self.runner.entry(&key, job.overlap, 0).await;
        self.claim(&[RunToClaim::of_job(registered, at, entry, group)], &[]).await
    }

    /// Starts a requested run of a script. Runs of one script are executed one after the other.
    pub(super) async fn claim_script(
        &self,
        version: &Rc<ScriptVersion>,
        at: Duration,
        args: RunRequest,
    ) -> Result<bool, LedgerError> {
        let entry =
            self.runner.entry(&RunKey::of_job(&runs_of(version.name())), OverlapPolicy::Queue, 0).await;
        self.claim(&[RunToClaim::of_script(version, at, entry, args)], &[]).await
    }

    /// Claims runs and starts those that this host runs. Returns false if another host must claim at least one of
    /// them.
    pub(super) async fn claim(
        &self,
        runs: &[RunToClaim],
        decided: &[DecidedUntil],
    ) -> Result<bool, LedgerError> {
        let DaemonSetup { ledger, instance, .. } = &*self.setup;
        let mut versions = BTreeMap::new();
        for RunToClaim { version, .. } in runs {
            versions.entry(version.hash.as_str()).or_insert_with(|| recover::stored(version));
        }
        let versions: Vec<_> = versions.into_values().collect();
        let new: Vec<NewJobRun> = runs.iter().map(|claiming| claiming.run.clone()).collect();
        let claims = ledger.claim_job_runs(instance, &new, &versions, decided).await?;
        let mut here = true;
        for (claim, RunToClaim { task, run, .. }) in claims.into_iter().zip(runs) {
            let (task, job, at) = (task.clone(), run.job.as_str(), run_name(run.scheduled_at));
            match (claim, &run.entry) {
                (JobClaim::Claimed { attempt }, _) => self.runner.start(task, attempt),
                (JobClaim::Waits, _) => self.runner.queue(task),
                (JobClaim::Over(_), JobRunAction::Skip(why)) => {
                    figures::run_ended(job, JobState::Skipped);
                    tracing::info!(job, run = at, "run skipped: {why}");
                }
                (JobClaim::Running | JobClaim::Over(_), _) => {
                    tracing::debug!(job, run = at, "another process claimed this scheduled time");
                }
                (JobClaim::Elsewhere, _) => {
                    here = false;
                    tracing::warn!(
                        job,
                        run = at,
                        "the fleet has another version of this job's script active; a host with that version runs this"
                    );
                }
            }
        }
        Ok(here)
    }
}
