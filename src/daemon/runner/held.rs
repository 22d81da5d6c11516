//! Lets a requested run send only what its rehearsed plan has.

use std::path::Path;

use crate::config::Project;
use crate::run::RunBuilder;
use crate::run::rehearsal::{GuardParts, RehearsalPlan};

use super::super::DaemonSetup;
use super::super::mounts::RunFiles;
use super::super::rehearser::RehearsalOrder;
use super::{ClaimedRun, RunQueue};

impl RunQueue {
    /// Prepares the arguments of a requested run, and holds it to its plan. Returns the uploaded files, which must live as long
    /// as the run.
    ///
    /// # Errors
    ///
    /// Why the run must not begin. Nothing was sent.
    pub(super) async fn hold(
        &self,
        task: &ClaimedRun,
        here: &Project,
        path: &Path,
        prepared: &mut RunBuilder<'_>,
    ) -> Result<RunFiles, String> {
        let Some(request) = &task.args else { return Ok(RunFiles::default()) };
        let ledger = &self.setup.ledger;
        let files = RunFiles::of(ledger, &here.state_folder(), &request.args).await?;
        prepared.args.clone_from(&request.args);
        prepared.mounts.clone_from(&files.mounts);
        if let Some(plan) = &request.plan {
            let plan: RehearsalPlan = plan.parse()?;
            let (script, args, mounts) = (&task.script, &request.args, &files.mounts);
            let order = RehearsalOrder { project: here, path, script, args, mounts };
            prepared.seed = plan.seed.into();
            prepared.hold_to_parts(self.guard(task, &order, &plan).await?);
        }
        Ok(files)
    }

    /// Returns what holds a run to its plan. The first attempt rehearses the script and keeps the result: a later rehearsal
    /// would find sent what the first attempt sent, and so differ from the plan.
    async fn guard(
        &self,
        task: &ClaimedRun,
        order: &RehearsalOrder<'_>,
        plan: &RehearsalPlan,
    ) -> Result<GuardParts, String> {
        let DaemonSetup { ledger, rehearser, instance, .. } = &*self.setup;
        let (job, at) = (task.job.as_str(), task.scheduled_at);
        let kept = ledger.plan_guard(job, at).await.map_err(|error| error.to_string())?;
        if let Some(kept) = kept {
            return serde_json::from_str(&kept)
                .map_err(|error| format!("the kept plan of the run cannot be read: {error}"));
        }
        let parts = rehearser.guard(order, plan).await?;
        let guard = serde_json::to_string(&parts).map_err(|error| error.to_string())?;
        match ledger.keep_plan_guard(job, at, instance, &guard).await {
            Ok(true) => Ok(parts),
            Ok(false) => Err("another process has claimed this run in the ledger".to_owned()),
            Err(error) => Err(format!("{error}; nothing was sent")),
        }
    }
}
