//! The right to a broadcast, and to a plan that is built beside it.

use std::rc::Rc;

use crate::delivery::{Delivery, LEASE};
use crate::host::services::Services;
use crate::ledger::{AppId, BroadcastId, JobMark, Lease, Ledger, LedgerError, Owner, Spec};
use crate::message::Call;
use crate::protocol::Failure;

use super::asked::Asked;
use super::drive::Role;
use super::{Heartbeat, fault, watch};

/// The right to build a draft.
pub(super) async fn draft(
    services: &Services,
    delivery: &Rc<Delivery>,
    ledger: &Ledger,
    owner: &Owner,
    (app, name, run): (AppId, &str, &str),
    spec: &Spec,
) -> Result<Role, Failure> {
    let broadcast = ledger.draft(app, name, run, spec).await.map_err(fault)?;
    let Some(lease) = claim(ledger, broadcast.id, owner).await.map_err(fault)? else {
        return Err(Failure::invalid(
            "name",
            format!(
                "another process tests broadcast `{name}` (run {run}) or plans it anew; wait for its end"
            ),
        ));
    };
    Ok(Role {
        delivery: Rc::clone(delivery),
        ledger: ledger.clone(),
        lease,
        broadcast,
        heartbeat: Heartbeat::start(ledger, lease, &services.clock),
        bad_lines: 0,
        blank_rows: 0,
        watched: watch::Watched::of(services),
    })
}

/// What a script asks a broadcast to be, with what is known of the run that asks.
pub(super) fn spec_of(services: &Services, asked: &Asked) -> Spec {
    let job = services.job.as_deref();
    Spec {
        job: job.map(|job| JobMark {
            name: job.name.clone(),
            scheduled_at: u64::try_from(job.scheduled_at.as_millis()).unwrap_or(u64::MAX),
        }),
        args: services.inputs.args(),
        compared_by: job.map(|job| job.owner.id()),
        ..asked.spec(Call::Group, services.broadcasts.script_mark())
    }
}

/// The lease of a broadcast; none where a process that lives has it. On a store that hosts share, one that has just died
/// is waited for until that is known.
pub(super) async fn claim(
    ledger: &Ledger,
    id: BroadcastId,
    owner: &Owner,
) -> Result<Option<Lease>, LedgerError> {
    let lease = ledger.claim(id, owner, LEASE).await?;
    if lease.is_some() || !ledger.is_shared() {
        return Ok(lease);
    }
    tracing::info!("another process has broadcast {id}, and may be dead: waiting for its next sign of life");
    if ledger.hears_driver(id).await? {
        return Ok(None);
    }
    ledger.claim(id, owner, LEASE).await
}
