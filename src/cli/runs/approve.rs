//! `mooncast runs approve` and `mooncast runs reject`

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use crate::control::{self, ActionResult, ControlError, Verdict};
use crate::core::sha256_hex;
use crate::ledger::{Broadcast, Ledger};

use super::super::actor;
use super::super::next::FollowUpCommands;
use super::show;
use super::which::BroadcastArgs;

/// Approve a broadcast that another person began; then it is sent
#[derive(Debug, Args)]
pub(super) struct ApproveArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// The hash that you saw; the approval is refused if the plan is another one now
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// A note for the audit and for the others
    #[arg(long)]
    note: Option<String>,
}

/// Reject a broadcast that waits for an approval: it is cancelled
#[derive(Debug, Args)]
pub(super) struct RejectArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// The hash that you saw; the rejection is refused if the plan is another one now
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// Why it is rejected
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    note: String,
}

pub(super) async fn approve(
    args: ApproveArgs,
    ledger: &Ledger,
    next: &FollowUpCommands,
) -> anyhow::Result<()> {
    let found = args.broadcast.find(ledger).await?;
    let verdict = Verdict { seen: args.plan.as_deref(), note: args.note.as_deref() };
    let by = actor::actor();
    let doing = control::approve(ledger, &found, &by, verdict);
    decide(ledger, &found, "approve", verdict, doing, next).await
}

pub(super) async fn reject(args: RejectArgs, ledger: &Ledger, next: &FollowUpCommands) -> anyhow::Result<()> {
    let found = args.broadcast.find(ledger).await?;
    let verdict = Verdict { seen: args.plan.as_deref(), note: Some(&args.note) };
    let by = actor::actor();
    let doing = control::reject(ledger, &found, &by, verdict);
    decide(ledger, &found, "reject", verdict, doing, next).await
}

async fn decide(
    ledger: &Ledger,
    found: &Broadcast,
    act: &str,
    verdict: Verdict<'_>,
    doing: impl Future<Output = Result<ActionResult, ControlError>>,
    next: &FollowUpCommands,
) -> anyhow::Result<()> {
    let audit = actor::act(&format!("broadcast.{act}"), found.full_name());
    let audit = audit.with(json!({
        "plan": verdict.seen.or(found.approval_hash.as_deref()),
        "note_sha256": verdict.note.map(sha256_hex),
    }));
    let done = ledger.audited(audit, Box::pin(doing)).await?;
    show::say(&next.after(&done, found))
}
