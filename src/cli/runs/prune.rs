//! `mooncast runs prune`

use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::clock::Clock;
use crate::ledger::{Ledger, PruneCounts};
use crate::message::{counted, counted_as};

use super::super::Exit;
use super::show;

/// One day, the unit of `--older-than`.
const DAY: Duration = Duration::from_hours(24);

/// Forgets broadcasts and single sends that were over long ago; what is unfinished or in doubt stays.
///
/// The same name and run, or the same `once` key, would be sent anew afterwards.
#[derive(Debug, Args)]
pub(super) struct PruneArgs {
    /// How many days ago they must have been over
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    older_than: u32,
    /// Only say what would be forgotten
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(prune: &PruneArgs, ledger: &Ledger, clock: &Clock) -> anyhow::Result<Exit> {
    let days = prune.older_than;
    if days == 0 {
        bail!(
            "--older-than 0: give it at least a day, so that nothing is forgotten that a script may send again"
        );
    }
    let instant = clock.unix_time().saturating_sub(DAY.saturating_mul(days));
    let pruned = if prune.dry_run { ledger.prunable(instant).await? } else { ledger.prune(instant).await? };
    let PruneCounts { broadcasts, sends, job_runs, expired } = pruned;
    let verb = if prune.dry_run { "would forget" } else { "forgot" };
    let before = show::instant(instant);
    show::say(&format!(
        "{verb} what was over before {before}: {}, {}, {}",
        counted(broadcasts, "broadcast"),
        counted(sends, "single send"),
        counted(job_runs, "job run")
    ))?;
    let expired =
        counted_as(expired, "upload or value that has expired", "uploads and values that have expired");
    show::say(&format!("{verb} {expired}"))?;
    Ok(Exit::Delivered)
}
