//! Applies the commands that operators write to the ledger: pause, resume, run now, cancel.

use std::time::Duration;

use crate::ledger::{JobCommand, LedgerError, PendingJobCommand};
use crate::schedule::{run_name, script_of};

use super::{Daemon, DaemonSetup};

/// How long a command is kept for another process, which may have the run to cancel, or the script.
const KEPT: Duration = Duration::from_secs(10);

/// How long a hook's request or an event is kept while no script declares the job.
const UNDECLARED: Duration = Duration::from_hours(24);

/// The note of a run that an operator cancelled.
const BY_HAND: &str = "cancelled by `mooncast jobs cancel`";

impl Daemon {
    /// Reads and applies the pending commands.
    pub(super) async fn poll_commands(&self) {
        if let Err(error) = self.apply_commands().await {
            tracing::error!("cannot read or apply the commands for jobs: {error}");
        }
    }

    async fn apply_commands(&self) -> Result<(), LedgerError> {
        let DaemonSetup { ledger, clock, .. } = &*self.setup;
        let control = ledger.job_control().await?;
        let held = control.paused.clone();
        self.runner.pause(held.iter().cloned().collect());
        let changed = self.scheduler.borrow_mut().pause(control.paused, clock.unix_time());
        for (job, paused) in changed {
            let what = if paused {
                "job paused: its scheduled times are skipped until it is resumed"
            } else {
                "job resumed"
            };
            tracing::info!(job, "{what}");
        }
        for command in control.commands {
            // A hook's request or an event waits while its job is paused.
            if command.by_request && held.contains(&command.job) {
                continue;
            }
            self.apply(command).await?;
        }
        Ok(())
    }

    async fn apply(&self, command: PendingJobCommand) -> Result<(), LedgerError> {
        let DaemonSetup { ledger, clock, registry, .. } = &*self.setup;
        let job = command.job.as_str();
        // Another process may be able to apply a command that this one cannot.
        let age = clock.unix_time().saturating_sub(command.requested_at);
        let is_left_to_others = age < ledger.wait_for_other_hosts(KEPT);
        match (command.command, &command.args) {
            (JobCommand::Run, Some(args)) => {
                let at = command.scheduled_at.unwrap_or_else(|| clock.unix_time());
                if let Some(version) = script_of(job).and_then(|script| registry.script(script)) {
                    tracing::info!(job, run = run_name(at), "run requested");
                    self.claim_script(&version, at, args.clone()).await?;
                } else if is_left_to_others {
                    return Ok(());
                } else {
                    tracing::error!(job, "run request dropped: the script is not loaded");
                }
            }
            (JobCommand::Run, None) => {
                let at = command.scheduled_at.unwrap_or_else(|| clock.unix_time());
                if command.event_group.is_some() && !self.runner.takes_event(job) {
                    return Ok(());
                }
                if let Some(registered) = registry.find(job) {
                    tracing::info!(job, run = run_name(at), "run requested");
                    if !self.claim_one(&registered, at, command.event_group).await? {
                        return Ok(());
                    }
                } else if is_left_to_others {
                    return Ok(());
                } else if command.by_request {
                    // The script may fail to load at the moment. The request was accepted, so it is kept for a
                    // while.
                    if age < UNDECLARED {
                        return Ok(());
                    }
                    let run = run_name(at);
                    tracing::error!(job, run, "request dropped: no script has declared its job for a day");
                    ledger.drop_hook_request(job, at).await?;
                } else {
                    tracing::warn!(job, "run request dropped: no script declares the job");
                }
            }
            (JobCommand::Cancel, _) => {
                let dropped = ledger.drop_waiting_events(job, command.id).await?;
                if dropped > 0 {
                    tracing::warn!(job, dropped, "waiting events dropped: {BY_HAND}");
                }
                let ended = self.runner.cancel(job, BY_HAND).await;
                if ended == 0 && dropped == 0 && age < KEPT {
                    return Ok(());
                }
            }
        }
        ledger.delete_job_command(command.id).await
    }
}
