//! `mooncast runs settle NAME --from-service` and `--again --proven`, and `mooncast runs verify NAME`.

use anyhow::Context as _;
use clap::Args;

use crate::clock::Clock;
use crate::config::Project;
use crate::control;

use super::super::next::FollowUpCommands;
use super::super::{AppArgs, Exit, actor};
use super::sends::{SettleArgs, SettleTarget};
use super::which::BroadcastArgs;
use super::{app, show};

/// Settles recipients in doubt by the service's own records.
pub(super) fn run(
    settle: SettleArgs,
    project: &Project,
    simulator: bool,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    let SettleTarget::Broadcast(which) = settle.of()? else { return Ok(Exit::Delivered) };
    let clock = Clock::real();
    let (from_service, flags) = (settle.how.from_service, settle.app.into());
    let apps = app::apps(project, flags, simulator, &clock)?;
    let ledger = apps.ledger.as_ref().context("there is no ledger")?;
    clock.block_on(async {
        let open = ledger.open().await?;
        let found = which.find(&open.ledger).await?;
        let name = found.full_name();
        let done = if from_service {
            let audit = actor::act("broadcast.ask_service", name);
            let asking = control::ask_service(&open.ledger, &apps.deliveries, &found);
            open.ledger.audited_first(audit, asking).await?
        } else {
            let audit = actor::act("broadcast.settle_proven", name);
            let settling = control::settle_proven(&open.ledger, &apps.deliveries, &found);
            open.ledger.audited_first(audit, settling).await?
        };
        show::say(&next.after(&done, &found))?;
        let left = open.ledger.counts(found.id).await?.in_doubt;
        ledger.close().await;
        Ok(if left == 0 { Exit::Delivered } else { Exit::Undelivered })
    })?
}

/// Verify by the service's records that it has the sent messages of a broadcast.
///
/// A message without a record in the complete history was most likely stopped by moderation after the service had accepted
/// it. The history of an hour is complete 24 hours after its end; the service keeps it for 3 days.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    #[command(flatten)]
    app: AppArgs,
}

/// Verifies a broadcast, and prints what is missing.
pub(super) fn verify(verify: VerifyArgs, project: &Project, simulator: bool) -> anyhow::Result<Exit> {
    let clock = Clock::real();
    let apps = app::apps(project, verify.app.into(), simulator, &clock)?;
    let ledger = apps.ledger.as_ref().context("there is no ledger")?;
    clock.block_on(async {
        let open = ledger.open().await?;
        let found = verify.broadcast.find(&open.ledger).await?;
        let audit = actor::act("broadcast.verify", found.full_name());
        let doing = control::verify(&apps.deliveries, &found);
        let (done, verified) = open.ledger.audited_first(audit, doing).await?;
        show::say(&done.message.replace("; ", "\n  "))?;
        ledger.close().await;
        Ok(if verified.missing + verified.unknown == 0 { Exit::Delivered } else { Exit::Undelivered })
    })?
}
