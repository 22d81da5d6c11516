//! `mooncast runs`: shows and controls broadcasts, during and after a run, through the ledger.

mod app;
mod approve;
mod edit;
mod export;
mod message;
mod prune;
mod recall;
mod records;
mod resume;
pub(super) mod sends;
mod show;
mod which;

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Project, Settings};
use crate::control::{self, BroadcastView, OutlookView, ReadersView, standing};
use crate::ledger::{Broadcast, BroadcastFilter, Ledger, LedgerLocation, Settlement};

use super::next::FollowUpCommands;
use super::{Exit, GlobalArgs, actor, apps};
pub(super) use resume::inputs_of;
pub(super) use show::{format_time, local_text};
use which::BroadcastArgs;

/// Lists and controls broadcasts, also while another process sends them.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Use the simulator's ledger
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// List broadcasts, the newest first, and single sends that are in doubt
    List {
        /// List only unfinished broadcasts
        #[arg(long)]
        unfinished: bool,
    },
    /// Show the state of a broadcast, and why it waits
    Show {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    /// Pause a broadcast until you resume it
    Pause {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    Resume(resume::ResumeArgs),
    Approve(approve::ApproveArgs),
    Reject(approve::RejectArgs),
    /// Cancel a broadcast: pending recipients get no message
    Cancel {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    /// Make the recipients that the service refused pending again
    Retry {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    Settle(sends::SettleArgs),
    Verify(records::VerifyArgs),
    Recall(recall::RecallArgs),
    Edit(edit::EditArgs),
    Export(export::ExportArgs),
    Message(message::MessageArgs),
    Prune(prune::PruneArgs),
}

pub(super) fn run(args: RunsArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    // The broadcasts of a project that sends to the simulator are in the simulator's ledger.
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let simulator = args.simulator || settings.simulator;
    let next = FollowUpCommands::new(global, &project, simulator);
    match args.command {
        RunsCommand::Resume(args) => resume::run(args, &project, simulator, global.log_format, &next),
        RunsCommand::Recall(args) => recall::run(args, &project, simulator),
        RunsCommand::Verify(args) => records::verify(args, &project, simulator),
        RunsCommand::Settle(args) if args.uses_records() => records::run(args, &project, simulator, &next),
        RunsCommand::Edit(args) => edit::run(&args, global, &project, simulator),
        command => {
            let location = ledger_location(&project, &settings, simulator)?;
            let clock = Clock::real();
            clock.block_on(async {
                let ledger = Ledger::open_at(&location, clock.clone()).await?;
                dispatch(command, &ledger, &clock, &next).await
            })?
        }
    }
}

/// The location of an existing ledger. A command that only reads must not create one.
pub(super) fn ledger_location(
    project: &Project,
    settings: &Settings,
    simulator: bool,
) -> anyhow::Result<LedgerLocation> {
    let location = apps::location(project, settings, simulator);
    if let Some(file) = location.missing_file() {
        bail!("nothing was sent from {} yet: {} does not exist", project.root.display(), file.display());
    }
    Ok(location)
}

async fn dispatch(
    command: RunsCommand,
    ledger: &Ledger,
    clock: &Clock,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    match command {
        RunsCommand::List { unfinished } => {
            let found = ledger.list(&BroadcastFilter { unfinished, ..BroadcastFilter::default() }).await?;
            show::list(&found, next)?;
            sends::list(ledger, clock, next).await?;
        }
        RunsCommand::Show { broadcast } => {
            let found = broadcast.find(ledger).await?;
            show_one(ledger, &found, clock, next).await?;
        }
        RunsCommand::Pause { broadcast } => {
            let found = broadcast.find(ledger).await?;
            let audit = actor::act("broadcast.pause", found.full_name());
            let done = ledger.audited(audit, control::pause(ledger, &found)).await?;
            show::say(&next.after(&done, &found))?;
        }
        RunsCommand::Approve(args) => approve::approve(args, ledger, next).await?,
        RunsCommand::Reject(args) => approve::reject(args, ledger, next).await?,
        RunsCommand::Cancel { broadcast } => {
            let found = broadcast.find(ledger).await?;
            let audit = actor::act("broadcast.cancel", found.full_name());
            let done = ledger.audited(audit, Box::pin(control::cancel(ledger, &found))).await?;
            show::say(&next.after(&done, &found))?;
        }
        RunsCommand::Retry { broadcast } => {
            let found = broadcast.find(ledger).await?;
            let audit = actor::act("broadcast.retry", found.full_name());
            let done = ledger.audited(audit, control::retry(ledger, &found)).await?;
            show::say(&next.after(&done, &found))?;
        }
        RunsCommand::Settle(args) => match args.of()? {
            sends::SettleTarget::Sends(numbers) => sends::settle(ledger, &numbers, args.how.as_sent).await?,
            sends::SettleTarget::Broadcast(which) => {
                let found = which.find(ledger).await?;
                let how = if args.how.as_sent { Settlement::AsSent } else { Settlement::Again };
                let act = format!("broadcast.{}", settle_word(args.how.as_sent));
                let audit = actor::act(&act, found.full_name());
                let done = ledger.audited(audit, control::settle(ledger, &found, how)).await?;
                show::say(&next.after(&done, &found))?;
            }
        },
        RunsCommand::Export(export) => export::run(&export, ledger).await?,
        RunsCommand::Message(args) => return message::run(&args, ledger).await,
        RunsCommand::Prune(args) => return prune::run(&args, ledger, clock).await,
        // These need an app, and are handled before the ledger is opened alone.
        RunsCommand::Resume(_) | RunsCommand::Recall(_) | RunsCommand::Verify(_) | RunsCommand::Edit(_) => {}
    }
    Ok(Exit::Delivered)
}

/// A settlement's name in the audit.
const fn settle_word(as_sent: bool) -> &'static str {
    if as_sent { "settle_as_sent" } else { "settle_again" }
}

/// Shows the details of one broadcast in its current state.
async fn show_one(
    ledger: &Ledger,
    found: &Broadcast,
    clock: &Clock,
    next: &FollowUpCommands,
) -> anyhow::Result<()> {
    let view = standing(ledger, std::slice::from_ref(found), clock.unix_time()).await?.pop();
    let view = view.unwrap_or_else(|| BroadcastView::from(found));
    let readers = ReadersView::read(ledger, found, clock.unix_time()).await?;
    let outlook = OutlookView::read(ledger, found, None).await?;
    show::one(found, &view, ledger.recalled(found.id).await?, readers.as_ref(), outlook.as_ref(), next)
}
