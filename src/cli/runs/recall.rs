//! `mooncast runs recall`

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use crate::clock::Clock;
use crate::config::Project;
use crate::control;
use crate::core::parse_duration;
use crate::delivery::RecallOptions;
use crate::message::{IdKind, id_text};

use super::super::{AppArgs, Exit, actor};
use super::which::BroadcastArgs;
use super::{app, show};

/// Recall the sent messages of a broadcast, within the service's time limit for recalls.
#[derive(Debug, Args)]
pub(super) struct RecallArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// The service's time limit for recalls, if the app has more than two minutes
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    within: Option<Duration>,
    /// Recall messages of any age
    #[arg(long)]
    force: bool,
    /// The user who recalls. Default: the service's default
    #[arg(long, value_name = "USER")]
    from: Option<String>,
    /// A text that the members' clients get with the recall
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Recall even if other messages use the files of these messages. The service deletes the files
    #[arg(long)]
    with_attachments: bool,
    #[command(flatten)]
    app: AppArgs,
}

pub(super) fn run(recall: RecallArgs, project: &Project, simulator: bool) -> anyhow::Result<Exit> {
    let clock = Clock::real();
    let apps = app::apps(project, recall.app.into(), simulator, &clock)?;
    let ledger = apps.ledger.as_ref().context("there is no ledger")?;
    let from = recall.from.as_deref().map(|from| id_text("--from", from, IdKind::User)).transpose();
    let from = from.map_err(|problem| anyhow::anyhow!("{problem}"))?.map(str::to_owned);
    let mut options = RecallOptions {
        force: recall.force,
        from,
        note: recall.note,
        with_attachments: recall.with_attachments,
        ..RecallOptions::default()
    };
    options.within = recall.within.unwrap_or(options.within);
    clock.block_on(async {
        let open = ledger.open().await?;
        let found = recall.broadcast.find(&open.ledger).await?;
        let details = json!({ "force": options.force, "with_attachments": options.with_attachments });
        let audit = actor::act("broadcast.recall", found.full_name()).with(details);
        let doing = control::recall(&open.ledger, &apps.deliveries, &found, &options);
        let (done, summary) = open.ledger.audited_first(audit, doing).await?;
        show::say(&done.message.replace("; ", "\n  "))?;
        if summary.too_late > 0 {
            show::say("  `--within` recalls older ones where the service grants more, and `--force` all")?;
        }
        let left =
            summary.too_late + summary.in_doubt + summary.commands + summary.refused.values().sum::<u64>();
        Ok(if left == 0 { Exit::Delivered } else { Exit::Undelivered })
    })?
}
