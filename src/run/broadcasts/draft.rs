//! Creates plans that are built beside broadcasts.

use std::rc::Rc;

use crate::core::{BroadcastSpec, Call};
use crate::delivery::{Delivery, LEASE, OpenLedger};
use crate::ledger::{AppId, JobRunRef, StoredSpec};
use crate::protocol::RequestFailure;
use crate::run::services::RunServices;

use super::drive::LeasedBroadcast;
use super::{LeaseRenewal, fault};

/// Creates a draft and claims its lease.
pub(super) async fn draft(
    services: &RunServices,
    delivery: &Rc<Delivery>,
    open: &OpenLedger,
    app: AppId,
    name: &str,
    run: &str,
    spec: &StoredSpec,
) -> Result<LeasedBroadcast, RequestFailure> {
    let OpenLedger { ledger, instance, .. } = open;
    let broadcast = ledger.draft(app, name, run, spec).await.map_err(fault)?;
    let Some(lease) = ledger.claim_when_dead(broadcast.id, instance, LEASE).await.map_err(fault)? else {
        return Err(RequestFailure::invalid(
            "name",
            format!("another process tests broadcast `{name}` (run {run}) or replans it; wait until it ends"),
        ));
    };
    Ok(LeasedBroadcast {
        delivery: Rc::clone(delivery),
        ledger: ledger.clone(),
        lease,
        broadcast,
        is_resumed: false,
        heartbeat: LeaseRenewal::start(ledger, lease, &services.clock),
        bad_lines: 0,
        blank_rows: 0,
        problems: services.policy.problem_number(),
    })
}

/// Returns the specification of a broadcast: what the script requests, and what is known of the run.
///
/// # Errors
///
/// The script refuses an approval that the settings demand.
pub(super) fn spec_of(
    services: &RunServices,
    delivery: &Delivery,
    request: &BroadcastSpec,
) -> Result<StoredSpec, RequestFailure> {
    let job = services.job.as_deref();
    let call = if request.corrects.is_some() { Call::Edit } else { request.kind.unwrap_or(Call::Group) };
    // An edit keeps the mark of its message.
    let is_message = call != Call::Edit;
    let mark = is_message.then(|| delivery.new_mark(&request.name, &request.run(job))).flatten();
    let stored = request.spec(call, services.broadcasts.script_mark());
    let script = stored.script.as_ref().map(|script| script.path.as_str());
    let approval_over = delivery.approval_over(script, request.approval)?;
    Ok(StoredSpec {
        approval_over,
        job: job.map(|job| JobRunRef {
            name: job.name.clone(),
            scheduled_at: u64::try_from(job.scheduled_at.as_millis()).unwrap_or(u64::MAX),
        }),
        args: services.inputs.args(),
        compared_by: job.map(|job| job.instance.id()),
        pack: match call {
            // A mark belongs to one recipient.
            _ if mark.is_some() => 1,
            Call::User => stored.pack.min(delivery.most_users_a_call()),
            _ => stored.pack,
        },
        mark,
        ..stored
    })
}
