//! Checks a plan as a whole, and fixes it.

use std::rc::Rc;
use std::time::Duration;

use crate::core::Call;
use crate::delivery::CrashPoint;
use crate::ledger::{Broadcast, BroadcastPlan, InDoubtPolicy, LedgerError, PlanDifference};
use crate::protocol::{FailureKind, RequestFailure};
use crate::run::rehearsal::BroadcastOrigin;
use crate::run::send_policy::FixedBroadcast;
use crate::run::services::RunServices;

use super::super::change;
use super::super::inputs;
use super::super::{ended, fault};
use super::PlanBuilder;
use crate::core::OnChange;

/// How often, and how long each time, a replan waits for other hosts to release the broadcast.
const LET_GO_TRIES: u32 = 60;
const LET_GO: Duration = Duration::from_millis(500);

impl PlanBuilder {
    /// Reads the remaining recipients, and checks the plan as a whole. Nothing of it can be sent yet.
    pub(in crate::run::broadcasts) async fn check(
        &mut self,
        services: &RunServices,
    ) -> Result<BroadcastPlan, RequestFailure> {
        if self.call.is_none() && self.request.message.is_some() {
            // No recipient gets this message, but its author needs to know if it is invalid.
            self.plain_message(services, Call::Group)?;
        }
        self.put_held().await?;
        self.log_read();
        self.log_left_out();
        let audience = self.audience_read(services).await?;
        self.spec.inputs = inputs::of_plan(services, &self.request, audience);
        let role = self.beside.as_ref().map_or(&self.role, |beside| &beside.role);
        let Broadcast { name, run, .. } = &role.broadcast;
        let wanted =
            if self.request.test_only { None } else { services.policy.plan_hash(&role.broadcast)? };
        let (lease, max) = (self.role.lease, self.request.max_recipients);
        let plan = self.role.ledger.check_plan(lease, self.exclusion.as_ref(), max, wanted.as_deref()).await;
        let plan = plan.map_err(|error| not_planned(error, name, run))?;
        if let Some(beside) = self.beside.as_ref().filter(|beside| beside.role.broadcast.is_over()) {
            let difference = self.role.ledger.difference(beside.role.broadcast.id, lease.broadcast).await;
            if difference.map_err(fault)?.added == 0 {
                self.nothing_new = true;
                let nothing = BroadcastPlan { total: 0, ..plan };
                self.checked = Some(nothing.clone());
                return Ok(nothing);
            }
        }
        if self.beside.as_ref().is_some_and(|beside| beside.on_change != OnChange::Replan) {
            return Err(self.refuse(services).await);
        }
        if plan.total == 0 && self.beside.is_some() {
            return Err(RequestFailure::invalid(
                "to",
                format!(
                    "the new plan of broadcast `{name}` (run {run}) has no recipients, so the stored plan \
                     stays; to send nothing more of it, cancel it: mooncast runs cancel"
                ),
            ));
        }
        if plan.total > 0 && !self.request.test_only {
            self.preflight(services).await?;
        }
        self.checked = Some(plan.clone());
        Ok(plan)
    }

    /// Fixes the plan. A plan that was built beside a stored plan replaces it.
    pub(in crate::run::broadcasts) async fn fix(
        &mut self,
        services: &RunServices,
    ) -> Result<BroadcastPlan, RequestFailure> {
        if self.request.test_only {
            return Err(RequestFailure::invalid("test_only", "only the test is sent"));
        }
        let checked = match self.checked.take() {
            Some(checked) => checked,
            None => self.check(services).await?,
        };
        if self.nothing_new {
            return Ok(checked);
        }
        let plan = if self.beside.is_some() {
            self.replan(services, &checked).await?;
            checked
        } else {
            let lease = self.role.lease;
            self.role.ledger.keep_spec(lease, &self.spec).await.map_err(fault)?;
            self.role.broadcast.spec = self.spec.clone();
            let (exclusion, max) = (self.exclusion.as_ref(), self.request.max_recipients);
            let Broadcast { name, run, .. } = &self.role.broadcast;
            let plan = self.role.ledger.fix_checked(lease, exclusion, max, checked).await;
            plan.map_err(|error| not_planned(error, name, run))?
        };
        services.policy.fixed(FixedBroadcast {
            app: self.role.delivery.name(),
            broadcast: &self.role.broadcast,
            spec: &self.spec,
            how: BroadcastOrigin::Built,
            plan: plan.clone(),
            bad_lines: self.role.bad_lines,
            read: self.read.as_ref().map(|(read, _)| read.clone()),
            edits: self.edits.as_ref().map(|edits| edits.preview.clone()),
        });
        Ok(plan)
    }

    /// Reports how this plan differs from the stored one, and pauses the broadcast.
    async fn refuse(&self, services: &RunServices) -> RequestFailure {
        let Some(beside) = &self.beside else {
            return RequestFailure::new(FailureKind::Invalid, "there is no stored plan");
        };
        let stored = &beside.role.broadcast;
        let difference = match self.role.ledger.difference(stored.id, self.role.broadcast.id).await {
            Ok(difference) => difference,
            Err(error) => return fault(error),
        };
        // This run made its messages with the old code, so they are no evidence of what the new code makes.
        let first = difference.first.filter(|first| !beside.old_code || first.old != first.new);
        let difference = PlanDifference { first, ..difference };
        if stored.is_over() {
            // Recipients that already have the message get nothing again, so changed texts and removed recipients do
            // not matter.
            let added = PlanDifference {
                added: difference.added,
                first_added: difference.first_added,
                ..PlanDifference::default()
            };
            services.broadcasts.refused.set(true);
            return ended::refused(stored, &change::lines(&beside.changed, &added, stored.spec.recipients()));
        }
        let lines = change::lines(&beside.changed, &difference, stored.spec.recipients());
        let changes = change::changes(&beside.changed, Some(difference));
        services.broadcasts.refused.set(true);
        if let Err(failure) = change::hold(&beside.role, &change::note(&lines), changes).await {
            return failure;
        }
        for line in &lines {
            tracing::warn!("broadcast `{}` (run {}): {line}", stored.name, stored.run);
        }
        change::refused(stored, &lines)
    }

    /// Replaces the stored plan with this plan, and continues as its builder.
    async fn replan(&mut self, services: &RunServices, plan: &BroadcastPlan) -> Result<(), RequestFailure> {
        let Some(beside) = self.beside.as_mut() else { return Ok(()) };
        let (ledger, draft) = (&self.role.ledger, self.role.lease);
        let delivery = Rc::clone(&self.role.delivery);
        let lease = beside.role.lease;
        delivery.pass(CrashPoint::BeforeReplan);
        // Other hosts release a broadcast that is paused for changed inputs.
        for _ in 0..LET_GO_TRIES {
            if !ledger.has_other_drivers(lease).await.map_err(fault)? {
                break;
            }
            services.clock.sleep(LET_GO).await;
        }
        ledger.take_over_as(lease, InDoubtPolicy::Hold).await.map_err(fault)?;
        let step = || delivery.pass(CrashPoint::InReplan);
        let replanned = ledger.replan(lease, draft, plan, &self.spec, &step).await.map_err(fault)?;
        delivery.pass(CrashPoint::AfterReplan);
        let (name, run, left) = (&replanned.name, &replanned.run, replanned.counts.pending);
        tracing::info!(
            "broadcast `{name}` (run {run}) continues with its new plan: {left} recipients are left"
        );
        let Some(beside) = self.beside.take() else { return Ok(()) };
        let mut role = beside.role;
        role.bad_lines = self.role.bad_lines;
        role.problems = self.role.problems;
        role.broadcast = replanned;
        self.role = role;
        Ok(())
    }
}

/// Explains why a plan was not fixed.
fn not_planned(error: LedgerError, name: &str, run: &str) -> RequestFailure {
    match error {
        LedgerError::OtherPlan { .. } => RequestFailure::denied(format!(
            "broadcast `{name}` (run {run}) differs from the rehearsed plan (`--plan`): {error}; nothing of \
             it was sent. Rehearse the script again"
        )),
        error => fault(error),
    }
}
