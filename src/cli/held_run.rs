//! Holds a run of the command line to its plan. After a kill or Ctrl-C, the same command goes on with what the interrupted run
//! was held to: another rehearsal would find sent what that run sent, and so differ from the plan.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::core::{JobState, sha256_hex};
use crate::ledger::{InterruptedRun, Ledger, LedgerError, LedgerLocation, RunRequest};
use crate::run::rehearsal::{GuardParts, RehearsalPlan};
use crate::schedule::{command_runs_of, run_id, run_name};

use super::rehearse::dry_run::DryRunConfig;
use super::rehearse::held;
use super::run_record;

/// How long to wait until it is known whether the process of the interrupted run is dead, on a store with several hosts.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What holds a run to its plan.
pub(super) struct HeldRun {
    pub(super) guard: GuardParts,
    /// The same for the ledger.
    pub(super) kept: String,
}

/// What the ledger keeps of it.
#[derive(Serialize, Deserialize)]
struct KeptGuard {
    /// A hash of the script, its arguments and the job.
    of: String,
    guard: GuardParts,
}

/// Returns what holds a run to its plan: what the interrupted run with the same plan was held to, or else the result of a
/// rehearsal.
///
/// # Errors
///
/// Why nothing may be sent: the script would send something else than the plan names, the same run is active, or what the
/// interrupted run sent would be sent twice.
pub(super) fn hold(
    plan: &RehearsalPlan,
    config: DryRunConfig<'_>,
    location: &LedgerLocation,
    script: &str,
    request: RunRequest,
) -> anyhow::Result<HeldRun> {
    let of = [sha256_hex(&config.script.text), format!("{:?}", config.args), format!("{:?}", config.job)];
    let of = sha256_hex(of.join("\n").as_bytes());
    let name = command_runs_of(script);
    if let Some(run) = interrupted(location, &name, &run_record::shown(request))? {
        let kept: KeptGuard = serde_json::from_str(&run.plan_guard)
            .context("what the interrupted run was held to cannot be read from the ledger")?;
        // Another script or other arguments are rehearsed, which says what differs.
        if kept.of == of {
            may_go_on(&run, &name)?;
            let at = run_name(run.scheduled_at);
            tracing::info!(
                "the run of {at} with this plan was interrupted; this one goes on with what that one sent"
            );
            return Ok(HeldRun { guard: kept.guard, kept: run.plan_guard });
        }
    }
    let guard = GuardParts::from(held::to(plan, config)?);
    let kept = KeptGuard { of, guard };
    let json = serde_json::to_string(&kept).context("the plan as JSON")?;
    Ok(HeldRun { guard: kept.guard, kept: json })
}

/// Looks for an interrupted run of the same plan.
fn interrupted(
    location: &LedgerLocation,
    name: &str,
    request: &RunRequest,
) -> anyhow::Result<Option<InterruptedRun>> {
    if location.missing_file().is_some() {
        return Ok(None);
    }
    let clock = Clock::real();
    let found = clock.block_on(async {
        let ledger = Ledger::open_at(location, clock.clone()).await?;
        let until = clock.now() + ledger.wait_for_other_hosts(PATIENCE);
        loop {
            ledger.reap_dead_command_runs().await;
            let found = ledger.interrupted_command_run(name, request).await?;
            let may_live = found.as_ref().is_some_and(|run| run.state == JobState::Running);
            if !may_live || clock.now() >= until {
                return Ok::<_, LedgerError>(found);
            }
            clock.sleep(LOOK).await;
        }
    })?;
    Ok(found?)
}

fn may_go_on(run: &InterruptedRun, name: &str) -> anyhow::Result<()> {
    let (at, id) = (run_name(run.scheduled_at), run_id(name, run.scheduled_at));
    if run.state == JobState::Running {
        bail!(
            "nothing was sent: the run of {at} with this plan is active in another process; `mooncast jobs show '{id}'` shows it. Wait until it ends"
        );
    }
    if !run.is_rerunnable() {
        bail!(
            "nothing was sent: the run of {at} with this plan was interrupted after it had sent messages outside of broadcasts and without `once`, and this run might send them twice. `mooncast jobs show '{id}'` shows what it sent. To send the rest, change the script, and rehearse it again for a new plan"
        );
    }
    Ok(())
}
