//! `mooncast runs recall`

use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::clock::Clock;
use crate::config::{Project, parse_duration};
use crate::control;
use crate::delivery::RecallOptions;
use crate::message::{IdKind, id_text};

use super::super::{AppArgs, Exit};
use super::which::BroadcastArgs;
use super::{app, show};

/// Takes back what was sent, within the service's time for it.
#[derive(Debug, Args)]
pub(super) struct RecallArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// How long after it was sent a message can be recalled, where the service grants the app more than two minutes
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    within: Option<Duration>,
    /// Recall however old the messages are
    #[arg(long)]
    force: bool,
    /// Who recalls; the service's default otherwise
    #[arg(long, value_name = "USER")]
    from: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

pub(super) fn run(recall: RecallArgs, project: &Project, simulator: bool) -> anyhow::Result<Exit> {
    let clock = Clock::real();
    let apps = app::apps(project, recall.app.into(), simulator, &clock)?;
    let book = apps.book.as_ref().context("there is no ledger")?;
    let from = recall.from.as_deref().map(|from| id_text("--from", from, IdKind::User)).transpose();
    let from = from.map_err(|problem| anyhow::anyhow!("{problem}"))?.map(str::to_owned);
    let mut options = RecallOptions { force: recall.force, from, ..RecallOptions::default() };
    options.within = recall.within.unwrap_or(options.within);
    clock.block_on(async {
        let open = book.open().await?;
        let found = recall.broadcast.find(&open.ledger).await?;
        let (done, summary) = control::recall(&open.ledger, &apps.deliveries, &found, &options).await?;
        show::say(&done.message.replace("; ", "\n  "))?;
        if summary.too_late > 0 {
            show::say("  `--within` recalls older ones where the service grants more, and `--force` all")?;
        }
        let left = summary.too_late + summary.in_doubt + summary.refused.values().sum::<u64>();
        Ok(if left == 0 { Exit::Delivered } else { Exit::Undelivered })
    })?
}
