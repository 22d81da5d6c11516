//! Claims the leases of broadcasts, and of plans that are built beside them.

use std::rc::Rc;

use crate::core::Call;
use crate::delivery::{Delivery, LEASE};
use crate::ledger::{AppId, BroadcastId, BroadcastSpec, Instance, JobRunRef, Lease, Ledger, LedgerError};
use crate::protocol::RequestFailure;
use crate::run::services::RunServices;

use super::drive::LeasedBroadcast;
use super::request::BroadcastRequest;
use super::{LeaseRenewal, fault};

/// Creates a draft and claims its lease.
pub(super) async fn draft(
    services: &RunServices,
    delivery: &Rc<Delivery>,
    ledger: &Ledger,
    owner: &Instance,
    (app, name, run): (AppId, &str, &str),
    spec: &BroadcastSpec,
) -> Result<LeasedBroadcast, RequestFailure> {
    let broadcast = ledger.draft(app, name, run, spec).await.map_err(fault)?;
    let Some(lease) = claim(ledger, broadcast.id, owner).await.map_err(fault)? else {
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
        heartbeat: LeaseRenewal::start(ledger, lease, &services.clock),
        bad_lines: 0,
        blank_rows: 0,
        problems: services.policy.problem_number(),
    })
}

/// Returns the specification of a broadcast: what the script requests, and what is known of the run.
pub(super) fn spec_of(services: &RunServices, asked: &BroadcastRequest) -> BroadcastSpec {
    let job = services.job.as_deref();
    BroadcastSpec {
        job: job.map(|job| JobRunRef {
            name: job.name.clone(),
            scheduled_at: u64::try_from(job.scheduled_at.as_millis()).unwrap_or(u64::MAX),
        }),
        args: services.inputs.args(),
        compared_by: job.map(|job| job.owner.id()),
        ..asked.spec(Call::Group, services.broadcasts.script_mark())
    }
}

/// Claims the lease of a broadcast. Returns `None` while a live process holds it. On a store that several hosts
/// share, this waits until it is known whether the holder is alive.
pub(super) async fn claim(
    ledger: &Ledger,
    id: BroadcastId,
    owner: &Instance,
) -> Result<Option<Lease>, LedgerError> {
    let lease = ledger.claim(id, owner, LEASE).await?;
    if lease.is_some() || !ledger.is_shared() {
        return Ok(lease);
    }
    tracing::info!("another process holds broadcast {id} and may be dead; waiting for its next heartbeat");
    if ledger.wait_for_driver_heartbeat(id).await? {
        return Ok(None);
    }
    ledger.claim(id, owner, LEASE).await
}
