//! Records how runs end.

use tokio::sync::oneshot;

use crate::ledger::{EndedRun, JobState, OutputStream};
use crate::protocol::JobInput;
use crate::run::{RunEnd, RunError, RunOutcome};
use crate::schedule::run_name;

use super::super::alerts::ALERT_HEADER;
use super::super::figures;
use super::super::{DaemonEvent, DaemonSetup};
use super::{AGAIN, ActiveRun, ClaimedRun, RunQueue};

impl RunQueue {
    /// Records how a run ended. A run that ended only because the daemon stops is left to the next daemon.
    pub(super) async fn ended(
        &self,
        task: &ClaimedRun,
        active_run: &ActiveRun,
        attempt: u32,
        ended: &RunEnd,
    ) {
        if active_run.lost.get() {
            return;
        }
        let (job, run) = (task.job.clone(), run_name(task.scheduled_at));
        let counts = active_run.services.get().map(|services| services.tally.counts()).unwrap_or_default();
        let cut_short = |failed: &RunError| matches!(failed, RunError::Script(error) if error.kind.as_deref() == Some("cancelled"));
        let outcome = match (active_run.cancelled.get(), ended) {
            (Some(why), RunEnd::Failed(_) | RunEnd::Interrupted) => RunOutcome::cancelled(why),
            (None, RunEnd::Interrupted) => return self.cut_short(task, active_run).await,
            (None, RunEnd::Failed(failed)) if self.stopping.is_cancelled() && cut_short(failed) => {
                return self.cut_short(task, active_run).await;
            }
            _ => RunOutcome::of(ended, active_run.services.get(), attempt == 1),
        };
        if let Some(record) = &active_run.record {
            outcome.write_to(record);
            record.close().await;
        }
        let RunOutcome { state, note, .. } = outcome;
        figures::run_ended(&job, state);
        let note_text = note.as_deref().unwrap_or_default();
        match state {
            JobState::Done => tracing::info!(job, run, "run finished"),
            JobState::AlreadySent => tracing::info!(job, run, "run finished: {note_text}"),
            JobState::Undelivered => tracing::warn!(job, run, "run finished, but {note_text}"),
            JobState::Cancelled => tracing::warn!(job, run, "run cancelled: {note_text}"),
            _ => tracing::error!(job, run, "run failed: {note_text}"),
        }
        // Raised before the end is recorded in the ledger: a crash in between repeats the alert instead of losing
        // it.
        let tells = !active_run.of_alert.get();
        if !tells && (state == JobState::Failed || !counts.all_delivered()) {
            tracing::error!(
                job,
                run,
                "a run that handles an alert failed or did not deliver all its messages; no alert is raised for it"
            );
        }
        if state == JobState::Failed && tells {
            let why = note.clone().unwrap_or_default();
            let (job, script, run) = (job.clone(), task.script.name.clone(), run.clone());
            self.setup.report(DaemonEvent::RunFailed { job, script, run, why }).await;
        }
        if !counts.all_delivered() && tells {
            let (recipients, in_doubt) = (counts.rejected + counts.not_sent, counts.in_doubt);
            let calls = counts.requests_in_doubt;
            let cancelled = note.clone().filter(|_| state == JobState::Cancelled);
            let event = DaemonEvent::RunUndelivered { job, run, recipients, in_doubt, calls, cancelled };
            self.setup.report(event).await;
        }
        let note = match (active_run.event.get(), note) {
            (Some(event), Some(why)) => Some(format!("{event}: {why}")),
            (event, note) => note.or_else(|| event.cloned()),
        };
        self.record_end(task, state, note.as_deref()).await;
    }

    /// Leaves a run to the next daemon, and records in the ledger that this daemon did not crash during it.
    async fn cut_short(&self, task: &ClaimedRun, active_run: &ActiveRun) {
        let DaemonSetup { ledger, instance, .. } = &*self.setup;
        let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
        tracing::warn!(
            job,
            run,
            "run interrupted, because the daemon is shutting down; the next daemon continues it"
        );
        if let Some(record) = &active_run.record {
            record.say(
                OutputStream::Host,
                "interrupted, because the daemon is shutting down; the next daemon continues it",
            );
            record.close().await;
        }
        if let Err(error) = ledger.mark_run_interrupted(job, task.scheduled_at, instance).await {
            tracing::warn!(
                job,
                run,
                "cannot record in the ledger that the daemon shut down during this run: {error}"
            );
        }
    }

    /// Records how a run ended. Runs that end at the same time share a commit.
    pub(super) async fn record_end(&self, task: &ClaimedRun, state: JobState, note: Option<&str>) {
        let (written, wait) = oneshot::channel();
        let note = note.map(str::to_owned);
        let run = EndedRun { job: task.job.clone(), scheduled_at: task.scheduled_at, state, note };
        self.endings.borrow_mut().push((run, written));
        if !self.writing.replace(true) {
            self.write_endings().await;
            self.writing.set(false);
        }
        // The sender was dropped, so the end is written.
        let _ = wait.await;
    }

    async fn write_endings(&self) {
        let DaemonSetup { ledger, instance, clock, .. } = &*self.setup;
        loop {
            let (runs, written): (Vec<EndedRun>, Vec<_>) = self.endings.borrow_mut().drain(..).unzip();
            if runs.is_empty() {
                return;
            }
            while let Err(error) = ledger.finish_job_runs(instance, &runs).await {
                let count = runs.len();
                tracing::error!(count, "cannot record finished runs in the ledger, retrying: {error}");
                clock.sleep(AGAIN).await;
            }
            for written in written {
                // The receiver still exists.
                let _ = written.send(());
            }
        }
    }
}

/// Whether an input is an alert that a Mooncast daemon posted.
pub(in super::super) fn is_alert(input: &JobInput) -> bool {
    let JobInput::Request(request) = input else { return false };
    request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(ALERT_HEADER))
}
