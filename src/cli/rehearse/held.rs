//! Binds a run to its rehearsal: rehearses again, and starts the run only if that gives the same plan.

use anyhow::bail;

use crate::control::amount;
use crate::run::rehearsal::{PlanGuard, RehearsalPlan};
use crate::run::{RunEnd, RunError};

use super::dry_run::{DryRun, DryRunConfig, dry_run};
use super::text::plural;

/// Rehearses the script as the plan specifies, and returns the guard that lets the run send exactly that. The
/// configuration has the plan's start and seed.
///
/// # Errors
///
/// The script would send something other than the plan names. Nothing was sent.
pub(in super::super) fn to(plan: &RehearsalPlan, config: DryRunConfig<'_>) -> anyhow::Result<PlanGuard> {
    let script = config.script.name.clone();
    // The run itself logs these messages, so the rehearsal does not.
    let quiet = tracing::subscriber::NoSubscriber::default();
    let dry_run = tracing::subscriber::with_default(quiet, || dry_run(config))?;
    let guard = compare(plan, &dry_run, &script);
    dry_run.clean_up()?;
    guard
}

fn compare(plan: &RehearsalPlan, dry_run: &DryRun, script: &str) -> anyhow::Result<PlanGuard> {
    match &dry_run.ended {
        RunEnd::Finished => {}
        RunEnd::Interrupted => bail!("interrupted before anything was sent"),
        RunEnd::Failed(RunError::Script(error)) => {
            bail!(
                "nothing was sent: {script} failed, but it did not fail in its rehearsal: {}",
                error.message
            )
        }
        RunEnd::Failed(failed) => {
            bail!("nothing was sent: {script} failed, but it did not fail in its rehearsal: {failed}")
        }
    }
    if let Some(problem) = dry_run.rehearsal.problems().listed().first() {
        bail!(
            "nothing was sent: a message breaks a limit, but none did in the rehearsal: {}: {}",
            problem.place,
            problem.message
        );
    }
    let now = dry_run.rehearsal.plan(dry_run.seed);
    if now.hash == plan.hash {
        return Ok(dry_run.rehearsal.guard());
    }
    let how_many = if now.messages == plan.messages {
        format!("its {} messages or their recipients have changed", amount(now.messages))
    } else {
        format!(
            "{} {} rehearsed, now {}",
            plural(plan.messages, "message"),
            if plan.messages == 1 { "was" } else { "were" },
            amount(now.messages)
        )
    };
    let mut parts: Vec<String> = dry_run
        .rehearsal
        .broadcasts()
        .iter()
        .map(|seen| {
            format!(
                "broadcast `{}` (run {}) with {} and at most {} bytes a message",
                seen.name,
                seen.run,
                plural(seen.plan.total, "recipient"),
                amount(seen.plan.largest_message_bytes)
            )
        })
        .collect();
    let singles = dry_run.rehearsal.singles().calls;
    if singles > 0 {
        parts.push(plural(singles, "single send"));
    }
    let now_there = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    bail!(
        "nothing was sent: {script} does not send what was rehearsed: {how_many}. It would send {now_there}. \
         The script, its lists or files, its arguments or the app changed since the rehearsal; rehearse it again to see what it sends"
    )
}
