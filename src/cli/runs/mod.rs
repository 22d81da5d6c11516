//! `mooncast runs`: broadcasts as the ledger knows them, while they run and after.

mod export;
mod show;

use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, Project, Settings};
use crate::delivery::{End, FailPoint, LEASE, Progress, StopSwitch};
use crate::ledger::{Broadcast, BroadcastId, Filter, Ledger, Settlement, Wish};

use super::{AppArgs, Exit, Global, apps};

/// Looks at broadcasts and steers them, also while another process sends them.
#[derive(Debug, Args)]
pub(super) struct Runs {
    /// Those that were sent to the simulator
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: Command,
}

/// Which broadcast: its number as `runs list` shows it, or its name, or NAME/RUN.
type Which = String;

#[derive(Debug, Subcommand)]
enum Command {
    /// List broadcasts, the newest first
    List {
        /// Only those that are not over
        #[arg(long)]
        unfinished: bool,
    },
    /// Show how a broadcast stands, and what it waits for
    Show {
        /// Its number, its name, or NAME/RUN
        broadcast: Which,
    },
    /// Let it wait until it is resumed
    Pause {
        /// Its number, its name, or NAME/RUN
        broadcast: Which,
    },
    /// Let it go on from its stored plan; where no process drives it, this one does, to its end
    Resume {
        /// Its number, its name, or NAME/RUN
        broadcast: Which,
        #[command(flatten)]
        app: AppArgs,
    },
    /// Send to nobody who is still pending
    Cancel {
        /// Its number, its name, or NAME/RUN
        broadcast: Which,
    },
    /// Make those that the service refused pending again
    Retry {
        /// Its number, its name, or NAME/RUN
        broadcast: Which,
    },
    /// Settle those in doubt
    Settle {
        /// Its number, its name, or NAME/RUN
        broadcast: Which,
        #[command(flatten)]
        how: How,
    },
    /// Print every recipient with its state
    Export(export::Export),
}

/// How those in doubt are settled.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct How {
    /// They count as sent
    #[arg(long)]
    as_sent: bool,
    /// They are sent again, at the next resume
    #[arg(long)]
    again: bool,
}

pub(super) fn run(args: Runs, global: &Global) -> anyhow::Result<Exit> {
    let project = match &global.project {
        Some(folder) => Project::at(folder).with_context(|| format!("--project {}", folder.display()))?,
        None => Project::of(None).context("the current folder")?,
    };
    let clock = Clock::real();
    // A project that sends to the simulator has its broadcasts there.
    let looking = AppFlags { offline: true, ..AppFlags::default() };
    let settings = Settings::load(&project, &Environment::of_process(), &looking)?;
    let simulator = args.simulator || settings.simulator;
    if let Command::Resume { broadcast, app } = args.command {
        return resume(&project, &broadcast, &app.into(), simulator, &clock);
    }
    let folder = ledger_folder(&project, simulator)?;
    clock.block_on(async {
        let ledger = Ledger::open(&folder, clock.clone()).await?;
        steer(args.command, &ledger).await
    })?
}

/// The folder of a ledger that is there: looking must not make one.
fn ledger_folder(project: &Project, simulator: bool) -> anyhow::Result<PathBuf> {
    let state = project.state_folder();
    let folder = if simulator { state.join(apps::SIMULATOR) } else { state };
    if !folder.join("ledger.db").is_file() {
        bail!(
            "nothing was sent from {} yet: there is no {}",
            project.root.display(),
            folder.join("ledger.db").display()
        );
    }
    Ok(folder)
}

async fn steer(command: Command, ledger: &Ledger) -> anyhow::Result<Exit> {
    match command {
        Command::List { unfinished } => {
            show::list(&ledger.list(&Filter { unfinished, ..Filter::default() }).await?)?;
        }
        Command::Show { broadcast } => show::one(&find(ledger, &broadcast).await?)?,
        Command::Pause { broadcast } => {
            wish(ledger, &broadcast, Wish::Pause, "pauses; `mooncast runs resume` lets it go on").await?;
        }
        Command::Cancel { broadcast } => {
            wish(ledger, &broadcast, Wish::Cancel, "is cancelled: who is pending gets nothing").await?;
        }
        Command::Retry { broadcast } => {
            let found = find(ledger, &broadcast).await?;
            let count = ledger.retry_rejected(found.id).await?;
            show::say(&format!(
                "{count} are pending again; `mooncast runs resume {}` sends them",
                found.id.0
            ))?;
        }
        Command::Settle { broadcast, how } => {
            let found = find(ledger, &broadcast).await?;
            let settlement = if how.as_sent { Settlement::AsSent } else { Settlement::Again };
            let count = ledger.settle_doubts(found.id, settlement).await?;
            show::say(&if how.as_sent {
                format!("{count} count as sent")
            } else {
                format!("{count} are pending again; `mooncast runs resume {}` sends them", found.id.0)
            })?;
        }
        Command::Export(export) => export::run(&export, ledger).await?,
        // It needs an app, and is done before a ledger alone is opened.
        Command::Resume { .. } => {}
    }
    Ok(Exit::Delivered)
}

async fn wish(ledger: &Ledger, which: &str, wish: Wish, what: &str) -> anyhow::Result<()> {
    let found = find(ledger, which).await?;
    ledger.request(found.id, wish, None).await?;
    show::say(&format!("{}/{} {what}", found.name, found.run))
}

/// The broadcast that was named; of several with one name the newest.
async fn find(ledger: &Ledger, which: &str) -> anyhow::Result<Broadcast> {
    if let Ok(number) = which.parse() {
        return Ok(ledger.show(BroadcastId(number)).await?);
    }
    let (name, run) = which.rsplit_once('/').map_or((which, None), |(name, run)| (name, Some(run)));
    let filter = Filter { name: Some(name.to_owned()), ..Filter::default() };
    let found = ledger.list(&filter).await?;
    found
        .into_iter()
        .find(|broadcast| run.is_none_or(|run| broadcast.run == run))
        .with_context(|| format!("there is no broadcast `{which}`; `mooncast runs list` shows what there is"))
}

/// Lets a broadcast go on, and drives it where nobody else does.
fn resume(
    project: &Project,
    which: &str,
    flags: &AppFlags,
    simulator: bool,
    clock: &Clock,
) -> anyhow::Result<Exit> {
    ledger_folder(project, simulator)?;
    let flags = AppFlags { offline: simulator, ..flags.clone() };
    let settings = Settings::load(project, &Environment::of_process(), &flags)?;
    let apps = apps::choose(project, &settings, simulator, clock, &FailPoint::default())?;
    let book = apps.book.as_ref().context("there is no ledger")?;
    clock.block_on(async {
        let open = book.open().await?;
        let found = find(&open.ledger, which).await?;
        let mut own = None;
        for delivery in &apps.deliveries {
            if let Some((_, app)) = delivery.entry().await?
                && app == found.app
            {
                own = Some(Rc::clone(delivery));
            }
        }
        let delivery = own.with_context(|| format!("its app {} is not configured here", found.app_key))?;
        if found.is_over() {
            show::say(&format!("{}/{} is over: nothing is left to send", found.name, found.run))?;
            return Ok(Exit::Delivered);
        }
        open.ledger.request(found.id, Wish::Run, None).await?;
        let Some(lease) = open.ledger.claim(found.id, &open.owner, LEASE).await? else {
            show::say(&format!("{}/{} goes on in the process that drives it", found.name, found.run))?;
            return Ok(Exit::Delivered);
        };
        let (switch, stop) = StopSwitch::new();
        let interrupt = tokio::task::spawn_local(async move {
            // One that cannot be heard ends the program at once, and leaves the broadcast resumable all the same.
            if tokio::signal::ctrl_c().await.is_ok() {
                switch.press();
            }
            std::future::pending::<()>().await;
        });
        let driven = delivery.drive(&open.ledger, lease, &found.spec, &stop, &Progress::default()).await?;
        interrupt.abort();
        show::one(&open.ledger.show(found.id).await?)?;
        Ok(match driven.end {
            End::Stopped => Exit::Interrupted,
            End::Paused(_) => Exit::Undelivered,
            End::Finished | End::Cancelled => {
                let report = driven.report;
                let all = report.rejected + report.in_doubt + report.cancelled == 0;
                if all { Exit::Delivered } else { Exit::Undelivered }
            }
        })
    })?
}
