//! `mooncast runs`: shows and controls broadcasts, during and after a run, through the ledger.

mod app;
mod export;
mod prune;
mod recall;
mod resume;
mod sends;
mod show;
mod which;

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Project, Settings};
use crate::control::{self, BroadcastView, standing};
use crate::ledger::{Broadcast, BroadcastFilter, Ledger, LedgerLocation, Settlement};

use super::next::FollowUpCommands;
use super::{Exit, GlobalArgs, apps};
pub(super) use show::{instant, local_text};
use which::BroadcastArgs;

/// Looks at broadcasts and steers them, also while another process sends them.
#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Those that were sent to the simulator
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: RunsCommand,
}

#[derive(Debug, Subcommand)]
enum RunsCommand {
    /// List broadcasts, the newest first, and single sends that are in doubt
    List {
        /// Only those that are not over
        #[arg(long)]
        unfinished: bool,
    },
    /// Show how a broadcast stands, and what it waits for
    Show {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    /// Let it wait until it is resumed
    Pause {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    Resume(resume::ResumeArgs),
    /// Send to nobody who is still pending
    Cancel {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    /// Make those that the service refused pending again
    Retry {
        #[command(flatten)]
        broadcast: BroadcastArgs,
    },
    Settle(sends::SettleArgs),
    Recall(recall::RecallArgs),
    Export(export::ExportArgs),
    Prune(prune::PruneArgs),
}

pub(super) fn run(args: RunsArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    // The broadcasts of a project that sends to the simulator are in the simulator's ledger.
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let simulator = args.simulator || settings.simulator;
    let next = FollowUpCommands::new(global, &project, simulator);
    match args.command {
        RunsCommand::Resume(asked) => resume::run(asked, &project, simulator, global.log_format, &next),
        RunsCommand::Recall(asked) => recall::run(asked, &project, simulator),
        command => {
            let place = ledger_place(&project, &settings, simulator)?;
            let clock = Clock::real();
            clock.block_on(async {
                let ledger = Ledger::open_at(&place, clock.clone()).await?;
                steer(command, &ledger, &clock, &next).await
            })?
        }
    }
}

/// The location of an existing ledger. A command that only reads must not create one.
pub(super) fn ledger_place(
    project: &Project,
    settings: &Settings,
    simulator: bool,
) -> anyhow::Result<LedgerLocation> {
    let place = apps::place(project, settings, simulator);
    if let Some(file) = place.missing_file() {
        bail!("nothing was sent from {} yet: there is no {}", project.root.display(), file.display());
    }
    Ok(place)
}

async fn steer(
    command: RunsCommand,
    ledger: &Ledger,
    clock: &Clock,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    match command {
        RunsCommand::List { unfinished } => {
            let found = ledger.list(&BroadcastFilter { unfinished, ..BroadcastFilter::default() }).await?;
            show::list(&found, next)?;
            sends::list(ledger, next).await?;
        }
        RunsCommand::Show { broadcast } => {
            let found = broadcast.find(ledger).await?;
            show_one(ledger, &found, clock, next).await?;
        }
        RunsCommand::Pause { broadcast } => {
            let found = broadcast.find(ledger).await?;
            show::say(&next.after(&control::pause(ledger, &found).await?, &found))?;
        }
        RunsCommand::Cancel { broadcast } => {
            let found = broadcast.find(ledger).await?;
            show::say(&next.after(&control::cancel(ledger, &found).await?, &found))?;
        }
        RunsCommand::Retry { broadcast } => {
            let found = broadcast.find(ledger).await?;
            show::say(&next.after(&control::retry(ledger, &found).await?, &found))?;
        }
        RunsCommand::Settle(asked) => match asked.of()? {
            sends::SettleTarget::Sends(numbers) => sends::settle(ledger, &numbers, asked.how.as_sent).await?,
            sends::SettleTarget::Broadcast(which) => {
                let found = which.find(ledger).await?;
                let how = if asked.how.as_sent { Settlement::AsSent } else { Settlement::Again };
                show::say(&next.after(&control::settle(ledger, &found, how).await?, &found))?;
            }
        },
        RunsCommand::Export(export) => export::run(&export, ledger).await?,
        RunsCommand::Prune(asked) => return prune::run(&asked, ledger, clock).await,
        // These need an app, and are handled before the ledger is opened alone.
        RunsCommand::Resume(_) | RunsCommand::Recall(_) => {}
    }
    Ok(Exit::Delivered)
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
    show::one(found, &view, ledger.recalled(found.id).await?, next)
}
