//! Recovers from a dead daemon: its broadcasts continue from where they stopped, then its runs are run again.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::BroadcastSummary;
use crate::ledger::{
    Broadcast, BroadcastId, BroadcastStage, EndedRun, JobState, LedgerError, OrphanedRun, SendRow,
    StoredModule, StoredScript,
};
use crate::protocol::{JobInput, LuaSource};
use crate::run::{ModuleSnapshot, ProjectInputs};
use crate::schedule::{run_name, run_of_id};

use super::runner::{self, ClaimedRun};
use super::version::ScriptVersion;
use super::{Daemon, DaemonEvent, DaemonSetup, figures};

/// How long the id of a hook's delivery is remembered.
const DELIVERIES: Duration = Duration::from_hours(30 * 24);

/// The most sends in doubt that one alert counts.
const MOST_ABANDONED: u32 = 100;

const NO_SCRIPT: &str = "its process died, and the ledger no longer has its script";

impl DaemonSetup {
    /// Reports how a broadcast ended. If the daemon crashes first, the next start reports it.
    pub(super) async fn report_end(&self, id: BroadcastId, report: BroadcastSummary) {
        let (name, run) = (report.name.clone(), report.run.clone());
        let event = if report.all_delivered() {
            DaemonEvent::BroadcastFinished { report }
        } else {
            let found = self.ledger.show(id).await.ok();
            let is_cancelled = |found: &Broadcast| found.stage == BroadcastStage::Cancelled;
            let cancelled = found.filter(is_cancelled).and_then(|found| found.command_note);
            DaemonEvent::BroadcastUndelivered { report, cancelled }
        };
        self.report(event).await;
        if let Err(error) = self.ledger.mark_ending_reported(id).await {
            tracing::warn!(
                name,
                run,
                "cannot record in the ledger that the end of this broadcast was reported; the next start reports it again: {error}"
            );
        }
    }
}

impl Daemon {
    /// Reports the ends of broadcasts whose daemon died before it could report them.
    pub(super) async fn report_unreported_ends(&self) {
        let ledger = &self.setup.ledger;
        let reported = async {
            for id in ledger.unreported_endings().await? {
                let broadcast = ledger.show(id).await?;
                let report = broadcast.report.as_deref().and_then(|report| serde_json::from_str(report).ok());
                let unknown = || BroadcastSummary::new(&broadcast, &broadcast.counts, 0, Duration::ZERO);
                self.setup.report_end(id, report.unwrap_or_else(unknown)).await;
            }
            Ok::<_, LedgerError>(())
        };
        if let Err(error) = reported.await {
            tracing::error!("cannot report how broadcasts ended: {error}");
        }
    }

    /// Reports the broadcasts that wait for an approval, each plan once.
    pub(super) async fn report_awaiting(&self) {
        let found = match self.setup.ledger.awaiting_approval().await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!("cannot read which broadcasts wait for an approval: {error}");
                return;
            }
        };
        let page = self.setup.registry.settings().serve.public_url.clone().unwrap_or_default();
        let is_awaited = |id: &BroadcastId| found.iter().any(|one| one.id == *id);
        self.awaiting.borrow_mut().retain(|id, _| is_awaited(id));
        for broadcast in found {
            let hash = broadcast.approval_hash.clone().unwrap_or_default();
            let before = self.awaiting.borrow_mut().insert(broadcast.id, hash.clone());
            if before.as_ref() == Some(&hash) {
                continue;
            }
            let event = DaemonEvent::AwaitingApproval {
                name: broadcast.name.clone(),
                run: broadcast.run.clone(),
                page: format!("{page}/broadcasts/{}", broadcast.id.0),
                hash,
                recipients: broadcast.recipients(),
                begun_by: broadcast.begun_by.iter().map(|person| person.name.clone()).collect(),
            };
            self.setup.report(event).await;
        }
    }

    /// Continues the broadcasts that were handed to the daemon and have no living process.
    pub(super) async fn resume_broadcasts(&self) {
        let DaemonSetup { ledger, instance, apps, clock, .. } = &*self.setup;
        let inputs = self.inputs();
        let resumed = async {
            for id in ledger.handed_to_daemon().await? {
                self.supervisor.adopt(ledger, instance, apps, clock, id, &inputs).await?;
            }
            Ok::<_, LedgerError>(())
        };
        if let Err(error) = resumed.await {
            tracing::error!("cannot resume broadcasts: {error}");
        }
    }

    /// Returns a function that returns the inputs of a script now. They come from the folder in which the daemon started,
    /// even if it was moved.
    pub fn inputs(&self) -> impl Fn(&str) -> Option<ProjectInputs> + 'static {
        let registry = self.setup.registry.clone();
        move |script| {
            let here = registry.loader().held.current().ok()?;
            ProjectInputs::of(&here, &registry.settings(), script).ok()
        }
    }

    /// Runs again the runs whose process died, or reports why that is not possible.
    pub(super) async fn rerun_orphans(&self) {
        let DaemonSetup { ledger, instance, .. } = &*self.setup;
        let orphans = match ledger.take_over_job_runs(instance).await {
            Ok(orphans) => orphans,
            Err(error) => {
                tracing::error!("cannot take over the unfinished runs of dead processes: {error}");
                return;
            }
        };
        for orphan in orphans {
            let (job, run) = (orphan.job.clone(), run_name(orphan.scheduled_at));
            let version = match ledger.version(&orphan.version).await {
                _ if let Some(why) = orphan.why.clone() => {
                    figures::run_ended(&job, JobState::Interrupted);
                    tracing::error!(job, run, "run interrupted and not run again: {why}");
                    if !self.takes_alert(&orphan.job, orphan.scheduled_at).await {
                        self.setup.report(DaemonEvent::RunInterrupted { job, run, why }).await;
                    }
                    continue;
                }
                Ok(version) => version,
                Err(error) => {
                    tracing::error!(job, run, "cannot read the run's script from the ledger: {error}");
                    None
                }
            };
            // If this is unknown, the run counts as one with an input, which waits longer for its job.
            let input = ledger.hook_request(&orphan.job, orphan.scheduled_at).await;
            let has_input = orphan.args.is_none() && !matches!(input, Ok(None));
            let input = input.ok().flatten().and_then(|(head, body)| JobInput::of_parts(&head, body).ok());
            let group = input.as_ref().and_then(JobInput::group).map(str::to_owned);
            match version.and_then(|version| task(&self.setup, &orphan, version, has_input, group)) {
                Some(task) => {
                    tracing::warn!(
                        job,
                        run,
                        attempt = orphan.attempt + 1,
                        "run queued again after an interruption"
                    );
                    self.runner.queue(task);
                }
                None => self.give_up(&orphan).await,
            }
        }
    }

    /// Reports the single sends and calls that are in doubt because their process ended, be it a daemon or a command: each
    /// once, by the number of the newest. The ledger remembers that.
    pub(super) async fn report_abandoned(&self) {
        let ledger = &self.setup.ledger;
        let found = async {
            if !self.setup.roles.schedule {
                // Otherwise the runs of dead processes were taken over before.
                ledger.reap_dead().await?;
            }
            ledger.sends_in_doubt(None, MOST_ABANDONED).await
        };
        let found = match found.await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!("cannot read which sends are in doubt: {error}");
                return;
            }
        };
        let mut abandoned: Vec<SendRow> = found.into_iter().filter(SendRow::is_abandoned).collect();
        let Some(newest) = abandoned.first().map(|send| send.id) else { return };
        if newest <= self.abandoned.replace(newest) {
            return;
        }
        let mut of_alerts = BTreeSet::new();
        for send in &abandoned {
            if let Some((job, at)) = send.job_run.as_deref().and_then(run_of_id)
                && self.takes_alert(job, at).await
            {
                of_alerts.insert(send.id);
            }
        }
        abandoned.retain(|send| !of_alerts.contains(&send.id));
        let calls = abandoned.iter().filter(|send| send.is_request()).count() as u64;
        let sends = abandoned.len() as u64 - calls;
        if let Some(newest) = abandoned.first().map(|send| send.id) {
            self.setup.report(DaemonEvent::SendsAbandoned { newest, sends, calls }).await;
        }
    }

    /// Whether a run handles an alert of this daemon. No alert is raised for such a run.
    async fn takes_alert(&self, job: &str, scheduled_at: Duration) -> bool {
        let request = self.setup.ledger.hook_request(job, scheduled_at).await;
        let Ok(Some((head, body))) = request else { return false };
        JobInput::of_parts(&head, body).is_ok_and(|input| runner::is_alert(&input))
    }

    async fn give_up(&self, orphan: &OrphanedRun) {
        let DaemonSetup { ledger, instance, .. } = &*self.setup;
        let (job, run) = (orphan.job.clone(), run_name(orphan.scheduled_at));
        figures::run_ended(&job, JobState::Interrupted);
        tracing::error!(job, run, "run interrupted and not run again: {NO_SCRIPT}");
        // Raised before the end is recorded: a crash in between repeats the alert instead of losing it.
        self.setup
            .report(DaemonEvent::RunInterrupted {
                job: job.clone(),
                run: run.clone(),
                why: NO_SCRIPT.to_owned(),
            })
            .await;
        let ended = EndedRun {
            job: job.clone(),
            scheduled_at: orphan.scheduled_at,
            state: JobState::Interrupted,
            note: Some(NO_SCRIPT.to_owned()),
        };
        if let Err(error) = ledger.finish_job_runs(instance, &[ended]).await {
            tracing::error!(job, run, "cannot record in the ledger that the run was interrupted: {error}");
        }
    }

    /// Deletes the stored scripts of finished runs, the ids of old deliveries, old callbacks and old output.
    pub(super) async fn prune_versions(&self) {
        let jobs = self.setup.registry.jobs();
        let mut keep: Vec<String> = jobs.iter().map(|registered| registered.version.hash.clone()).collect();
        keep.dedup();
        if let Err(error) = self.setup.ledger.prune_versions(&keep).await {
            tracing::warn!("cannot delete the stored scripts of finished runs: {error}");
        }
        let before = self.setup.clock.unix_time().saturating_sub(DELIVERIES);
        if let Err(error) = self.setup.ledger.prune_deliveries(before).await {
            tracing::warn!("cannot delete the ids of old deliveries: {error}");
        }
        let scripts = self.setup.registry.settings().scripts;
        let before = self.setup.clock.unix_time().saturating_sub(scripts.keep_output);
        if let Err(error) = self.setup.ledger.prune_output(before, scripts.keep_output_size).await {
            tracing::warn!("cannot delete the old output of runs: {error}");
        }
        let keep_audit = self.setup.registry.settings().serve.keep_audit;
        let before = self.setup.clock.unix_time().saturating_sub(keep_audit);
        if let Err(error) = self.setup.ledger.prune_audit(before).await {
            tracing::warn!("cannot delete old entries of the audit: {error}");
        }
        if let Err(error) = self.setup.ledger.prune_callbacks().await {
            tracing::warn!("cannot delete old callbacks and records of messages: {error}");
        }
    }
}

/// Converts a version to the form that the ledger stores.
pub(super) fn stored(version: &ScriptVersion) -> StoredScript {
    let part = |module: &str, source: &LuaSource| StoredModule {
        module: module.to_owned(),
        path: source.name.clone(),
        text: source.text.clone(),
    };
    let modules = version.modules.iter().map(|(name, source)| part(name, source));
    let parts = std::iter::once(part("", &version.script)).chain(modules).collect();
    StoredScript { hash: version.hash.clone(), parts }
}

/// Restores a run with the bytes it began with. `None` if the stored version has no script.
fn task(
    setup: &Rc<DaemonSetup>,
    orphan: &OrphanedRun,
    version: StoredScript,
    has_input: bool,
    group: Option<String>,
) -> Option<ClaimedRun> {
    let mut script = None;
    let mut modules = ModuleSnapshot::new();
    for part in version.parts {
        let source = LuaSource { name: part.path, text: part.text };
        if part.module.is_empty() {
            script = Some(source);
        } else {
            modules.insert(part.module, source);
        }
    }
    let script = script?;
    Some(ClaimedRun {
        job: orphan.job.clone(),
        scheduled_at: orphan.scheduled_at,
        path: setup.project.root.join(&script.name),
        script,
        modules: Arc::new(modules),
        timeout: orphan.timeout,
        has_input,
        group,
        args: orphan.args.clone(),
        entered: orphan.attempt > 0,
    })
}

/// How often stored versions are pruned.
pub(super) const PRUNE: Duration = Duration::from_hours(1);
