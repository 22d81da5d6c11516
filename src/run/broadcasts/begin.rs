//! Begins a broadcast: creates it, or finds the stored one and compares its inputs.

use std::rc::Rc;

use serde_json::json;

use crate::core::{BroadcastSpec, OnChange, Person};
use crate::delivery::{CrashPoint, Delivery, LEASE, OpenLedger};
use crate::ledger::{
    AppId, Broadcast, BroadcastCommand, BroadcastId, BroadcastLookup, BroadcastStage, Ledger, LedgerError,
    OperatorDecision, PlanInput, ScriptRef, StoredSpec,
};
use crate::protocol::{FailureKind, HostResponse, RequestFailure};
use crate::run::rehearsal::BroadcastOrigin;
use crate::run::services::{RunServices, override_refused};

use super::build::PlanBuilder;
use super::change::{self, StoredPlan};
use super::compare::RecipientComparison;
use super::draft::{draft, spec_of};
use super::drive::{BroadcastTask, LeasedBroadcast};
use super::request::read_calendar;
use super::{LeaseRenewal, OpenBroadcast, continued, correct, ended, fault, inputs, json_answer};

/// Creates a broadcast, or finds the stored one.
pub(super) async fn begin(
    services: &RunServices,
    number: u32,
    spec: &[u8],
) -> Result<HostResponse, RequestFailure> {
    let delivery = services.app(number)?;
    let mut request = BroadcastSpec::of_worker(spec)?;
    request.on_change = services.broadcasts.on_change.get().unwrap_or(request.on_change);
    request.test_only |= services.broadcasts.test_only.get();
    if request.overrides == Some(true) {
        override_refused(services)?;
    }
    read_calendar(services, &mut request).await?;
    let entry = delivery.entry().await?;
    let (open, app) = entry.ok_or_else(|| {
        RequestFailure::new(FailureKind::Invalid, "no ledger is open, and a broadcast needs one")
    })?;
    let ledger = &open.ledger;
    if !services.broadcasts.swept.replace(true)
        && let Err(error) = ledger.delete_dead_drafts().await
    {
        tracing::warn!("could not delete the drafts of dead processes; the next run tries again: {error}");
    }
    let spec = stored_spec(services, delivery, open, app, &mut request).await?;
    let run = request.run(services.job.as_deref());
    if request.test_only {
        check_tested(&request)?;
        let role = draft(services, delivery, open, app, &request.name, &run, &spec).await?;
        let building = PlanBuilder::begin(role, request, spec, app, None).await?;
        services.broadcasts.plans.borrow_mut().push(building.underway());
        return Ok(opened(services, OpenBroadcast::Building(Box::new(building)), "build"));
    }
    let found = ledger.find_or_create(app, &request.name, &run, &spec).await.map_err(fault)?;
    services.link_broadcast(open, found.broadcast().id).await.map_err(fault)?;
    correct::check_name(found.broadcast(), spec.corrects.as_ref())?;
    check_kind(found.broadcast(), &spec)?;
    let has_ended = matches!(found, BroadcastLookup::Finished(_));
    let corrects = spec.corrects.is_some();
    if has_ended && (corrects || !ended::is_compared(services, &request, found.broadcast()).await) {
        return ended::already(services, delivery, found.broadcast());
    }
    let id = found.broadcast().id;
    if !has_ended {
        decided(services, &mut request, found.broadcast());
    }
    let old_code = old_code(services, &mut request, ledger, found.broadcast()).await.map_err(fault)?;
    if let Some(job) = &services.job {
        // The script may end before the broadcast does.
        ledger.hand_to_daemon(id).await.map_err(fault)?;
        if let Some(driving) = job.supervisor.driving(id) {
            let changed = changed_inputs(services, &request, found.broadcast()).await;
            if changed.is_empty() {
                goes_on(found.broadcast(), spec.script.as_ref());
                return Ok(opened(services, OpenBroadcast::Driving(driving), "resume"));
            }
            let (note, kept) = change::held(&changed);
            ledger.hold_for_changes(id, &note, kept).await.map_err(fault)?;
            driving.ended().await;
        }
    }
    let role = match lease(services, delivery, open, &found).await? {
        Ok(role) => role,
        Err(ended) => return ended::already(services, delivery, &ended),
    };
    let resumes = matches!(found, BroadcastLookup::Unfinished(_)) || role.broadcast.plan.is_some();
    if resumes {
        return Ok(match Box::pin(reopen(services, number, role, request, old_code)).await? {
            ReopenResult::Open(open, state) => opened(services, open, state),
            ReopenResult::Over(answer) => answer,
        });
    }
    let building = PlanBuilder::begin(role, request, spec, app, None).await?;
    services.broadcasts.plans.borrow_mut().push(building.underway());
    Ok(opened(services, OpenBroadcast::Building(Box::new(building)), "build"))
}

/// Leases a broadcast to this process. The error is the broadcast, if there is nothing left to do.
async fn lease(
    services: &RunServices,
    delivery: &Rc<Delivery>,
    open: &OpenLedger,
    found: &BroadcastLookup,
) -> Result<Result<LeasedBroadcast, Broadcast>, RequestFailure> {
    let ledger = &open.ledger;
    let id = found.broadcast().id;
    let has_ended = matches!(found, BroadcastLookup::Finished(_));
    let Some(lease) = ledger.claim_when_dead(id, &open.instance, LEASE).await.map_err(fault)? else {
        let broadcast = ledger.show(id).await.map_err(fault)?;
        if has_ended && broadcast.is_over() {
            // Another process compares its inputs.
            return Ok(Err(broadcast));
        }
        return Err(driven_elsewhere(ledger, found.broadcast()).await);
    };
    let heartbeat = LeaseRenewal::start(ledger, lease, &services.clock);
    // Another process may have driven the broadcast between the lookup and the claim.
    let broadcast = ledger.show(id).await.map_err(fault)?;
    if broadcast.is_over() && !(has_ended && broadcast.stage == BroadcastStage::Finished) {
        ledger.release(lease).await.map_err(fault)?;
        return Ok(Err(broadcast));
    }
    Ok(Ok(LeasedBroadcast {
        delivery: Rc::clone(delivery),
        ledger: ledger.clone(),
        lease,
        broadcast,
        is_resumed: false,
        heartbeat,
        bad_lines: 0,
        blank_rows: 0,
        problems: services.policy.problem_number(),
    }))
}

/// Returns the changed inputs of a broadcast that is being driven; none if they do not matter.
async fn changed_inputs(
    services: &RunServices,
    request: &BroadcastSpec,
    driven: &Broadcast,
) -> Vec<PlanInput> {
    if request.on_change == OnChange::Continue || driven.command != BroadcastCommand::Run {
        return Vec::new();
    }
    inputs::changed(services, request, &driven.spec.inputs).await
}

/// Returns the persons who requested the run. A scheduled run, and one of a hook or an event, has none.
async fn people(services: &RunServices, open: &OpenLedger) -> Result<Vec<Person>, RequestFailure> {
    match &services.job {
        Some(job) => job.ledger.requesters(&job.name, job.scheduled_at).await.map_err(fault),
        None => Ok(open.begun_by.iter().cloned().collect()),
    }
}

/// Returns what the ledger stores of the specification. The kind and the name of an edit are set in `request` first.
async fn stored_spec(
    services: &RunServices,
    delivery: &Delivery,
    open: &OpenLedger,
    app: AppId,
    request: &mut BroadcastSpec,
) -> Result<StoredSpec, RequestFailure> {
    let corrects = correct::resolve(services, &open.ledger, app, request).await?;
    let begun_by = people(services, open).await?;
    let mut spec = StoredSpec { begun_by, ..spec_of(services, delivery, request)? };
    if let Some(corrected) = &corrects {
        let corrected = open.ledger.show(BroadcastId(corrected.id)).await.map_err(fault)?;
        let script = corrected.spec.script.as_ref().map(|script| script.path.as_str());
        // The rule for the script of the messages counts for their edits too.
        let over = delivery.approval_over(script, request.approval)?;
        spec.approval_over = spec.approval_over.into_iter().chain(over).min();
    }
    Ok(StoredSpec { corrects, ..spec })
}

/// Refuses a broadcast whose stored plan has recipients of another kind: a user and a group may have the same id.
fn check_kind(broadcast: &Broadcast, request: &StoredSpec) -> Result<(), RequestFailure> {
    let (stored, now) = (broadcast.spec.call.recipient(), request.call.recipient());
    if broadcast.plan.is_none() || stored == now {
        return Ok(());
    }
    Err(RequestFailure::invalid(
        "kind",
        format!(
            "broadcast `{}` (run {}) was planned for {stored}s; to send to {now}s, set another `name` or `run`",
            broadcast.name, broadcast.run
        ),
    ))
}

/// The result of reopening a stored broadcast.
enum ReopenResult {
    Open(OpenBroadcast, &'static str),
    /// The broadcast has ended, and there is nothing to add to it.
    Over(HostResponse),
}

/// Reopens a broadcast whose plan is fixed: an unfinished one, or one that ended and may have more recipients now.
async fn reopen(
    services: &RunServices,
    number: u32,
    role: LeasedBroadcast,
    request: BroadcastSpec,
    old_code: Vec<PlanInput>,
) -> Result<ReopenResult, RequestFailure> {
    let stored = &role.broadcast.spec.inputs;
    let has_ended = role.broadcast.is_over();
    if !has_ended {
        let continues = request.on_change == OnChange::Continue;
        if stored.is_empty()
            || continues
            || request.corrects.is_some()
            || role.broadcast.command == BroadcastCommand::Cancel
        {
            if continues {
                Box::pin(continued::log_changes(services, &role, &request)).await;
            }
            return resume(services, role).await;
        }
    }
    let mut changed = inputs::changed(services, &request, stored).await;
    let has_old_code = !old_code.is_empty();
    changed.extend(old_code);
    changed.sort_unstable();
    changed.dedup();
    if !changed.is_empty() {
        return Box::pin(beside(services, number, role, request, changed, has_old_code)).await;
    }
    if request.path.is_none() {
        return Ok(ReopenResult::Open(
            OpenBroadcast::Comparing(Box::new(RecipientComparison::new(role, request, number))),
            "compare",
        ));
    }
    if has_ended {
        return ended::left_as_it_is(services, role).await.map(ReopenResult::Over);
    }
    resume(services, role).await
}

/// Decides how to go on, once the recipients of a list or an iterator have been drawn and compared.
pub(super) async fn compared(
    services: &RunServices,
    handle: u64,
    comparing: RecipientComparison,
) -> Result<HostResponse, RequestFailure> {
    let changed = comparing.changed();
    let RecipientComparison { role, request, app, .. } = comparing;
    let met = if !changed.is_empty() {
        Box::pin(beside(services, app, role, request, changed, false)).await?
    } else if role.broadcast.is_over() {
        ReopenResult::Over(ended::left_as_it_is(services, role).await?)
    } else {
        resume(services, role).await?
    };
    match met {
        ReopenResult::Over(answer) => Ok(answer),
        ReopenResult::Open(open, state) => {
            services.broadcasts.put(handle, open);
            Ok(json_answer(&json!({ "state": state })))
        }
    }
}

/// Resumes the broadcast with its stored plan.
async fn resume(services: &RunServices, mut role: LeasedBroadcast) -> Result<ReopenResult, RequestFailure> {
    let ready =
        match services.policy.reopened(role.delivery.name(), &role.broadcast, BroadcastOrigin::Resumed) {
            Ok(()) => {
                if let Some(job) = &services.job {
                    let compared = role.ledger.inputs_compared(role.broadcast.id, &job.instance).await;
                    compared.map_err(fault)?;
                }
                change::release(&mut role).await
            }
            Err(failure) => Err(failure),
        };
    if let Err(failure) = ready {
        role.release().await;
        return Err(failure);
    }
    goes_on(&role.broadcast, services.broadcasts.script_mark().as_ref());
    role.is_resumed = true;
    Ok(ReopenResult::Open(OpenBroadcast::Driving(BroadcastTask::start(services, role)), "resume"))
}

/// Refuses `--test-only` for a broadcast without test groups.
fn check_tested(request: &BroadcastSpec) -> Result<(), RequestFailure> {
    if request.tested {
        return Ok(());
    }
    let message = format!("`{}` has no test groups, so --test-only sends nothing of it", request.name);
    Err(RequestFailure::invalid("test_only", message))
}

/// Begins to build a new plan beside the stored one.
async fn beside(
    services: &RunServices,
    number: u32,
    role: LeasedBroadcast,
    request: BroadcastSpec,
    changed: Vec<PlanInput>,
    old_code: bool,
) -> Result<ReopenResult, RequestFailure> {
    let begun = async {
        let delivery = services.app(number)?;
        let entry = delivery.entry().await?;
        let (open, app) =
            entry.ok_or_else(|| RequestFailure::new(FailureKind::Invalid, "no ledger is open"))?;
        if !role.broadcast.is_over() {
            let (note, kept) = change::held(&changed);
            change::hold(&role, &note, kept).await?;
            change::settle_in_flight(&role.ledger, role.lease, &role.broadcast).await.map_err(fault)?;
        }
        delivery.pass(CrashPoint::BeforeDraft);
        // What was sent before has the stored marks.
        let stored = &role.broadcast.spec;
        let begun_by = people(services, open).await?;
        let asked_spec = StoredSpec { begun_by, ..spec_of(services, delivery, &request)? };
        let pack = if stored.mark.is_some() { 1 } else { asked_spec.pack };
        let spec = StoredSpec { mark: stored.mark.clone(), pack, ..asked_spec };
        let (name, run) = (&role.broadcast.name, &role.broadcast.run);
        let draft = draft(services, delivery, open, app, name, run, &spec).await?;
        Ok((draft, spec, app))
    };
    let (draft, spec, app) = match begun.await {
        Ok(begun) => begun,
        Err(failure) => {
            role.release().await;
            return Err(failure);
        }
    };
    let on_change = request.on_change;
    let beside = StoredPlan { role, changed, old_code, on_change };
    let building = PlanBuilder::begin(draft, request, spec, app, Some(Box::new(beside))).await?;
    services.broadcasts.plans.borrow_mut().push(building.underway());
    Ok(ReopenResult::Open(OpenBroadcast::Building(Box::new(building)), "build"))
}

/// Applies the operator's decision as if the script had set it. An option of the command line has priority.
fn decided(services: &RunServices, request: &mut BroadcastSpec, broadcast: &Broadcast) {
    match broadcast.spec.decision {
        _ if services.broadcasts.on_change.get().is_some() => {}
        Some(OperatorDecision::Replan) => request.on_change = OnChange::Replan,
        // A run by hand decides again for itself.
        Some(OperatorDecision::Continue) if services.job.is_some() => request.on_change = OnChange::Continue,
        Some(OperatorDecision::Continue) | None => {}
    }
}

/// Returns which of the script and its modules differ from what a job's run began with, for a broadcast whose driver
/// process has died. Such a run cannot build the new plan, so it refuses, even if its script sets another
/// `on_change`.
async fn old_code(
    services: &RunServices,
    request: &mut BroadcastSpec,
    ledger: &Ledger,
    broadcast: &Broadcast,
) -> Result<Vec<PlanInput>, LedgerError> {
    let spec = &broadcast.spec;
    let Some((job, project)) = services.job.as_ref().and_then(|job| Some((job, job.project.as_ref()?)))
    else {
        return Ok(Vec::new());
    };
    if broadcast.plan.is_none() || request.on_change == OnChange::Continue || spec.decision.is_some() {
        return Ok(Vec::new());
    }
    if let Some(number) = spec.compared_by
        && (number == job.instance.id() || ledger.instance_is_alive(number).await?)
    {
        return Ok(Vec::new());
    }
    let changed = project.code_changed(&spec.inputs);
    if !changed.is_empty() {
        request.on_change = OnChange::Refuse;
    }
    Ok(changed)
}

/// Registers the broadcast under a new handle, and answers with the state in which the script finds it.
fn opened(services: &RunServices, open: OpenBroadcast, state: &str) -> HostResponse {
    let handle = services.broadcasts.last.get() + 1;
    services.broadcasts.last.set(handle);
    let test_only = matches!(&open, OpenBroadcast::Building(building) if building.is_test_only());
    services.broadcasts.put(handle, open);
    json_answer(&json!({ "handle": handle, "state": state, "test_only": test_only }))
}

async fn driven_elsewhere(ledger: &Ledger, broadcast: &Broadcast) -> RequestFailure {
    let driver = ledger.show(broadcast.id).await.ok().and_then(|now| now.driver);
    let who = driver.map_or_else(
        || "another process".to_owned(),
        |driver| format!("`{}` (process {})", driver.instance.name, driver.instance.pid),
    );
    RequestFailure::invalid(
        "name",
        format!(
            "broadcast `{}` (run {}) is being built or sent by {who}; wait until it ends, or set another \
             `name` or `run` for this one",
            broadcast.name, broadcast.run
        ),
    )
}

/// Logs that the stored plan is resumed. For a broadcast stored before inputs were recorded, only the script is
/// compared.
fn goes_on(broadcast: &Broadcast, script: Option<&ScriptRef>) {
    let (name, run) = (&broadcast.name, &broadcast.run);
    if broadcast.spec.script.as_ref().map(|mark| &mark.hash) == script.map(|mark| &mark.hash) {
        tracing::info!("broadcast `{name}` (run {run}) continues where it stopped");
    } else {
        tracing::warn!(
            "broadcast `{name}` (run {run}) continues with the recipients and messages of its stored plan. \
             The script has changed since, and these changes do not apply to it. To send the new messages as another `run`, set `run` to a new value, for example `run = \"2\"`"
        );
    }
}
