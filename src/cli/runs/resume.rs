//! `mooncast runs resume`

use std::rc::Rc;

use anyhow::{Context, bail};
use clap::Args;

use crate::clock::Clock;
use crate::config::{Environment, Project, Settings};
use crate::control::{self, ActionResult, ControlError};
use crate::delivery::{ActiveBroadcast, DriveEnd, LEASE};
use crate::ledger::{Broadcast, BroadcastStage, Ledger};
use crate::run::{Interrupt, ProjectInputs, cancel_at_signals, undecided_changes};

use super::super::logging::LogFormat;
use super::super::next::FollowUpCommands;
use super::super::progress::{ProgressDisplay, ProgressSource, TerminalOutput};
use super::super::{AppArgs, Exit, actor};
use super::which::BroadcastArgs;
use super::{app, show};

/// Resume a broadcast. If no other process sends it, this command sends it to its end.
///
/// If the script, its modules, its files or its audience changed since the plan, nothing is sent, and the status is 2:
/// choose `--continue` or `--replan`.
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// Continue with the stored plan, even if the inputs changed
    #[arg(long = "continue", conflicts_with = "replan")]
    go_on: bool,
    /// Have the daemon run its script again, and send the rest by the new plan
    #[arg(long)]
    replan: bool,
    #[command(flatten)]
    app: AppArgs,
}

struct ResumeProgress(Rc<ActiveBroadcast>);

impl ProgressSource for ResumeProgress {
    fn broadcasts(&self) -> Vec<Rc<ActiveBroadcast>> {
        vec![Rc::clone(&self.0)]
    }

    fn others(&self) -> Option<String> {
        None
    }
}

/// Resumes a broadcast, and drives it if no other process does.
pub(super) fn run(
    resume: ResumeArgs,
    project: &Project,
    simulator: bool,
    format: LogFormat,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    let clock = Clock::real();
    let apps = app::apps(project, resume.app.into(), simulator, &clock)?;
    let ledger = apps.ledger.as_ref().context("there is no ledger")?;
    clock.block_on(async {
        let open = ledger.open().await?;
        let found = resume.broadcast.find(&open.ledger).await?;
        if resume.replan {
            let audit = actor::act("broadcast.replan", found.full_name());
            let done = open.ledger.audited(audit, control::replan(&open.ledger, &found)).await?;
            show::say(&done.message)?;
            return Ok(Exit::Delivered);
        }
        let delivery = control::app_of(&apps.deliveries, &found).await?;
        if found.is_over() {
            return nothing_left(&found);
        }
        if found.stage == BroadcastStage::Building && found.driver.is_none() {
            bail!("{}: {}", found.full_name(), show::INCOMPLETE);
        }
        let resumed = match go_on(&open.ledger, &found, project, resume.go_on).await {
            // The process that drives it may end it at any moment.
            Err(_) if open.ledger.show(found.id).await?.is_over() => return nothing_left(&found),
            other => other?,
        };
        // A driver on another host may have died a moment ago.
        let goes_on = match found.driver {
            Some(_) => open.ledger.wait_for_driver_heartbeat(found.id).await?,
            None => !resumed.needs_driver,
        };
        if goes_on {
            show::say(&resumed.message)?;
            return Ok(Exit::Delivered);
        }
        let Some(lease) = open.ledger.claim(found.id, &open.instance, LEASE).await? else {
            show::say(&format!("{} continues in the process that sends it", found.full_name()))?;
            return Ok(Exit::Delivered);
        };
        // Its last driver may have ended it in the meantime. No other process can end it from now on.
        if open.ledger.show(found.id).await?.is_over() {
            open.ledger.release(lease).await?;
            return nothing_left(&found);
        }
        let interrupt = Interrupt::default();
        let listening = tokio::task::spawn_local(cancel_at_signals(interrupt.clone()));
        let underway = Rc::new(ActiveBroadcast::new(delivery, &found));
        let progress = ProgressDisplay::start(
            ResumeProgress(Rc::clone(&underway)),
            TerminalOutput::default(),
            clock.clone(),
            format,
        );
        let driving = delivery.resume(&open.ledger, lease, &found.spec, &interrupt.finish, &underway.progress);
        let driven = Box::pin(interrupt.end.run_until_cancelled(driving)).await;
        progress.stop();
        listening.abort();
        delivery.release().await;
        ledger.close().await;
        let Some(driven) = driven.transpose()? else {
            show::say(
                "stopped at once: the sends in flight are in doubt; the same command continues with the other recipients",
            )?;
            return Ok(Exit::Interrupted);
        };
        super::show_one(&open.ledger, &open.ledger.show(found.id).await?, &clock, next).await?;
        Ok(match driven.end {
            DriveEnd::Stopped => Exit::Interrupted,
            DriveEnd::Paused(_) => Exit::Undelivered,
            DriveEnd::Finished | DriveEnd::Cancelled => {
                let report = driven.report;
                let all = report.rejected + report.in_doubt + report.cancelled == 0;
                if all { Exit::Delivered } else { Exit::Undelivered }
            }
        })
    })?
}

/// Lets the broadcast go on: with its stored plan as it is, or only if its inputs are those of its plan.
async fn go_on(
    ledger: &Ledger,
    found: &Broadcast,
    project: &Project,
    as_stored: bool,
) -> Result<ActionResult, ControlError> {
    if as_stored {
        let audit = actor::act("broadcast.continue", found.full_name());
        return ledger.audited(audit, control::continue_as_stored(ledger, found)).await;
    }
    let audit = actor::act("broadcast.resume", found.full_name());
    let changed = undecided_changes(found, inputs_of(project, found).as_ref()).await;
    ledger.audited(audit, control::resume(ledger, found, &changed)).await
}

/// The inputs of a broadcast's script now.
pub(in super::super) fn inputs_of(project: &Project, found: &Broadcast) -> Option<ProjectInputs> {
    let settings = Settings::load_offline(project, &Environment::of_process()).ok()?;
    let script = found.spec.script.as_ref().map(|script| script.path.as_str()).unwrap_or_default();
    ProjectInputs::of(project, &settings, script).ok()
}

fn nothing_left(found: &Broadcast) -> anyhow::Result<Exit> {
    show::say(&format!("{} is finished: nothing is left to send", found.full_name()))?;
    Ok(Exit::Delivered)
}
