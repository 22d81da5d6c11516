//! `mooncast runs prune`

use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::clock::Clock;
use crate::ledger::{Ledger, PruneCounts};
use crate::message::{counted, counted_as};

use super::super::{Exit, actor};
use super::show;

/// One day, the unit of `--older-than`.
const DAY: Duration = Duration::from_hours(24);

/// Delete the records of broadcasts and single sends that finished long ago. Keeps those that are unfinished or in
/// doubt.
///
/// Afterwards, a script that uses a deleted name and run, or a deleted `once` key, sends again.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// Delete only those that finished more than this number of days ago
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    older_than: u32,
    /// Only print what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(prune: &PruneArgs, ledger: &Ledger, clock: &Clock) -> anyhow::Result<Exit> {
    let days = prune.older_than;
    if days == 0 {
        bail!("--older-than 0: write 1 or more days, because a script may send again what you delete");
    }
    let time = clock.unix_time().saturating_sub(DAY.saturating_mul(days));
    let pruned = if prune.dry_run {
        ledger.prunable(time).await?
    } else {
        let audit = actor::act("ledger.prune", format!("older than {days} days"));
        ledger.audited(audit, ledger.prune(time)).await?
    };
    let PruneCounts { broadcasts, sends, job_runs, expired } = pruned;
    let verb = if prune.dry_run { "would delete" } else { "deleted" };
    let before = show::format_time(time);
    show::say(&format!(
        "{verb} what ended before {before}: {}, {}, {}",
        counted(broadcasts, "broadcast"),
        counted(sends, "single send"),
        counted(job_runs, "job run")
    ))?;
    let expired =
        counted_as(expired, "upload or value that has expired", "uploads and values that have expired");
    show::say(&format!("{verb} {expired}"))?;
    Ok(Exit::Delivered)
}
