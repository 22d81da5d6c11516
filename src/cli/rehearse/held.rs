//! Binds a run to its rehearsal: rehearses again, and starts the run only if that gives the same plan.

use anyhow::bail;

use crate::run::rehearsal::{PlanGuard, RehearsalPlan};
use crate::run::{RunEnd, RunError};

use super::dry_run::{DryRun, DryRunConfig, dry_run};
use super::text::{number, plural};

/// Rehearses the script as the plan specifies, and returns the guard that lets the run send exactly that. The
/// configuration has the plan's start and seed.
///
/// # Errors
///
/// The script would send something other than the plan names. Nothing was sent.
pub(in super::super) fn to(plan: &RehearsalPlan, scene: DryRunConfig<'_>) -> anyhow::Result<PlanGuard> {
    let shown = scene.file.display().to_string();
    // The run itself logs these messages, so the rehearsal does not.
    let quiet = tracing::subscriber::NoSubscriber::default();
    let performance = tracing::subscriber::with_default(quiet, || dry_run(scene))?;
    let guard = compare(plan, &performance, &shown);
    performance.clean_up()?;
    guard
}

fn compare(plan: &RehearsalPlan, performance: &DryRun, script: &str) -> anyhow::Result<PlanGuard> {
    match &performance.ended {
        RunEnd::Finished => {}
        RunEnd::Interrupted => bail!("interrupted before anything was sent"),
        RunEnd::Failed(RunError::Script(error)) => {
            bail!("nothing was sent: unlike in its rehearsal, {script} fails: {}", error.message)
        }
        RunEnd::Failed(failed) => {
            bail!("nothing was sent: unlike in its rehearsal, {script} fails: {failed}")
        }
    }
    if let Some(problem) = performance.rehearsal.problems().listed().first() {
        bail!(
            "nothing was sent: unlike in its rehearsal, a message breaks a limit: {}: {}",
            problem.place,
            problem.message
        );
    }
    let now = performance.rehearsal.plan(performance.seed);
    if now.hash == plan.hash {
        return Ok(performance.rehearsal.guard());
    }
    let how_many = if now.messages == plan.messages {
        format!("its {} messages or their recipients have changed", number(now.messages))
    } else {
        format!(
            "{} {} rehearsed, and now there {} {}",
            plural(plan.messages, "message"),
            if plan.messages == 1 { "was" } else { "were" },
            if now.messages == 1 { "is" } else { "are" },
            number(now.messages)
        )
    };
    let mut parts: Vec<String> = performance
        .rehearsal
        .broadcasts()
        .iter()
        .map(|seen| {
            format!(
                "broadcast `{}` (run {}) with {} and at most {} bytes a message",
                seen.name,
                seen.run,
                plural(seen.plan.total, "recipient"),
                number(seen.plan.largest_message_bytes)
            )
        })
        .collect();
    let singles = performance.rehearsal.singles().calls;
    if singles > 0 {
        parts.push(plural(singles, "single send"));
    }
    let now_there = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    bail!(
        "nothing was sent: what {script} sends is not what was rehearsed: {how_many}. It would send {now_there}. \
         The script, its lists or files, its arguments or the app are others than in the rehearsal; rehearse it again to see what it sends"
    )
}
