//! Applies the commands that operators write to the ledger: pause, resume, run now, cancel.

use std::time::Duration;

use crate::ledger::{JobCommand, LedgerError, PendingJobCommand};
use crate::schedule::{run_name, script_of};

use super::{Daemon, DaemonSetup};

/// How long a command is kept for another process, which may have the run to cancel, or the script.
const KEPT: Duration = Duration::from_secs(10);

/// How long a hook's request is kept while no script declares the hook.
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
        for wished in control.commands {
            // A hook's request waits while its hook is paused.
            if wished.by_request && held.contains(&wished.job) {
                continue;
            }
            self.apply(wished).await?;
        }
        Ok(())
    }

    async fn apply(&self, wished: PendingJobCommand) -> Result<(), LedgerError> {
        let DaemonSetup { ledger, clock, registry, .. } = &*self.setup;
        let job = wished.job.as_str();
        // Another process may be able to apply a command that this one cannot.
        let old = clock.unix_time().saturating_sub(wished.asked_at) >= KEPT;
        match (wished.command, &wished.args) {
            (JobCommand::Run, Some(args)) => {
                let at = wished.scheduled_at.unwrap_or_else(|| clock.unix_time());
                if let Some(version) = script_of(job).and_then(|script| registry.script(script)) {
                    tracing::info!(job, run = run_name(at), "run requested");
                    self.claim_script(&version, at, args.clone()).await?;
                } else if ledger.is_shared() && !old {
                    return Ok(());
                } else {
                    tracing::error!(job, "run request dropped: the script is not loaded");
                }
            }
            (JobCommand::Run, None) => {
                let at = wished.scheduled_at.unwrap_or_else(|| clock.unix_time());
                if let Some(registered) = registry.find(job) {
                    tracing::info!(job, run = run_name(at), "run requested");
                    if !self.claim_one(&registered, at).await? {
                        return Ok(());
                    }
                } else if ledger.is_shared() && !old {
                    return Ok(());
                } else if wished.by_request {
                    // The script may fail to load at the moment. The request was accepted, so it is kept for a
                    // while.
                    if clock.unix_time().saturating_sub(wished.asked_at) < UNDECLARED {
                        return Ok(());
                    }
                    let run = run_name(at);
                    tracing::error!(
                        job,
                        run,
                        "hook request dropped: no script has declared its hook for a day"
                    );
                    ledger.drop_hook_request(job, at).await?;
                } else {
                    tracing::warn!(job, "run request dropped: no script declares the job");
                }
            }
            (JobCommand::Cancel, _) => {
                let ended = self.runner.cancel(job, BY_HAND).await;
                if ended == 0 && !old {
                    return Ok(());
                }
            }
        }
        ledger.delete_job_command(wished.id).await
    }
}
