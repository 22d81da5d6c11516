//! `mooncast runs resume`

use std::rc::Rc;

use anyhow::{Context, bail};
use clap::Args;

use crate::clock::Clock;
use crate::config::Project;
use crate::daemon::COMMAND;
use crate::delivery::{ActiveBroadcast, DriveEnd, LEASE, StopSwitch};
use crate::ledger::{Broadcast, BroadcastCommand, BroadcastId, Ledger, LedgerError, OperatorDecision};
use crate::run::{Interrupt, InterruptSwitch, press_at_signals};
use crate::web::ask_to_replan;

use super::super::logging::LogFormat;
use super::super::next::FollowUpCommands;
use super::super::progress::{ProgressDisplay, ProgressSource, TerminalOutput};
use super::super::{AppArgs, Exit};
use super::which::BroadcastArgs;
use super::{app, show};

/// Lets it go on from its stored plan; where no process drives it, this one does, to its end.
#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// Go on with the stored plan, though its inputs changed: what it does without a flag, too
    #[arg(long = "continue", conflicts_with = "replan")]
    go_on: bool,
    /// Have the daemon run its script again, and send the rest by the new plan
    #[arg(long)]
    replan: bool,
    #[command(flatten)]
    app: AppArgs,
}

/// Hands a broadcast to the daemon, if one is alive. Returns the daemon's process id.
pub(in crate::cli) async fn handed_over(ledger: &Ledger, id: BroadcastId) -> anyhow::Result<Option<u64>> {
    let Some(daemon) = ledger.live_instances(COMMAND).await?.into_iter().next() else { return Ok(None) };
    ledger.hand_to_daemon(id).await?;
    Ok(Some(daemon.pid))
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

/// Waits until the broadcast ends. At the first interrupt, it waits only for what is in flight; at the second, it
/// stops at once.
async fn unless_interrupted<T>(
    driving: impl Future<Output = T>,
    finish: &StopSwitch,
    interrupt: &Interrupt,
) -> Option<T> {
    tokio::pin!(driving);
    tokio::select! {
        biased;
        driven = &mut driving => return Some(driven),
        () = interrupt.pressed(1) => finish.press(),
    }
    tokio::select! {
        biased;
        driven = &mut driving => Some(driven),
        () = interrupt.pressed(2) => None,
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
    let book = apps.book.as_ref().context("there is no ledger")?;
    clock.block_on(async {
        let open = book.open().await?;
        let found = resume.broadcast.find(&open.ledger).await?;
        if resume.replan {
            return replan(&open.ledger, &found).await;
        }
        let delivery = app::of(&apps, &found).await?;
        if !found.is_over() {
            open.ledger.decide(found.id, Some(OperatorDecision::Continue)).await?;
        }
        let asked = open.ledger.request_command(found.id, BroadcastCommand::Run, None).await;
        // The process that drives it may end it at any moment.
        if matches!(asked, Err(LedgerError::NotNow { .. })) && open.ledger.show(found.id).await?.is_over() {
            return nothing_left(&found);
        }
        asked?;
        let now = open.ledger.show(found.id).await?;
        if now.is_over() {
            return nothing_left(&found);
        }
        if now.driver.is_none()
            && let Some(pid) = handed_over(&open.ledger, found.id).await?
        {
            show::say(&format!("{}/{} goes on in the daemon (process {pid})", found.name, found.run))?;
            return Ok(Exit::Delivered);
        }
        // On a fleet's store, a living host that drives it continues it, unless the host has just died.
        let elsewhere = open.ledger.is_shared() && open.ledger.wait_for_driver_heartbeat(found.id).await?;
        if elsewhere {
            show::say(&format!("{}/{} goes on in the hosts that drive it", found.name, found.run))?;
            return Ok(Exit::Delivered);
        }
        let Some(lease) = open.ledger.claim(found.id, &open.owner, LEASE).await? else {
            show::say(&format!("{}/{} goes on in the process that drives it", found.name, found.run))?;
            return Ok(Exit::Delivered);
        };
        // Its last driver may have ended it in the meantime. No other process can end it from now on.
        if open.ledger.show(found.id).await?.is_over() {
            open.ledger.release(lease).await?;
            return nothing_left(&found);
        }
        let (switch, interrupt) = InterruptSwitch::new();
        let listening = tokio::task::spawn_local(press_at_signals(switch));
        let (finish, stop) = StopSwitch::new();
        let underway = Rc::new(ActiveBroadcast::new(&delivery, &found));
        let progress = ProgressDisplay::start(
            ResumeProgress(Rc::clone(&underway)),
            TerminalOutput::default(),
            clock.clone(),
            format,
        );
        let driving = delivery.drive(&open.ledger, lease, &found.spec, &stop, &underway.progress);
        let driven = Box::pin(unless_interrupted(driving, &finish, &interrupt)).await;
        progress.stop();
        listening.abort();
        delivery.release().await;
        book.close().await;
        let Some(driven) = driven.transpose()? else {
            show::say(
                "ended at once: what was in flight is in doubt, and the same command goes on with the others",
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

/// Asks the daemon for a new plan. The user must run a script that no daemon can run.
async fn replan(ledger: &Ledger, found: &Broadcast) -> anyhow::Result<Exit> {
    if ledger.live_instances(COMMAND).await?.is_empty() {
        let script = found.spec.script.as_ref().map_or("FILE", |mark| mark.path.as_str());
        bail!(
            "no daemon runs here that could run the script again; begin one (`mooncast serve`), or run the script by hand: mooncast run {script} --replan"
        );
    }
    show::say(&ask_to_replan(ledger, found).await?)?;
    Ok(Exit::Delivered)
}

fn nothing_left(found: &Broadcast) -> anyhow::Result<Exit> {
    show::say(&format!("{}/{} is over: nothing is left to send", found.name, found.run))?;
    Ok(Exit::Delivered)
}
