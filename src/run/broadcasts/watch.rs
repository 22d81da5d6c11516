//! Records broadcasts in a rehearsal, and restricts them in a run that is held to one.

use crate::delivery::Delivery;
use crate::ledger::{Broadcast, BroadcastPlan};
use crate::protocol::{HostResponse, RequestFailure};
use crate::run::rehearsal::{BroadcastOrigin, PlannedBroadcast};
use crate::run::services::RunServices;

/// The number under which a rehearsal notes the problems of one broadcast; `None` in any other run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BroadcastProblems(Option<u64>);

impl BroadcastProblems {
    pub(super) fn of(services: &RunServices) -> Self {
        Self(services.part.as_rehearsal().map(|rehearsal| rehearsal.number()))
    }

    /// In a rehearsal, notes a problem with a recipient and returns `Ok`. In any other run, returns the problem as an
    /// error.
    pub(super) fn note(
        self,
        services: &RunServices,
        broadcast: &str,
        recipient: &str,
        why: RequestFailure,
    ) -> Result<(), RequestFailure> {
        match (services.part.as_rehearsal(), self.0) {
            (Some(rehearsal), Some(number)) => {
                rehearsal.note(Some(number), Some(broadcast), recipient, &why);
                Ok(())
            }
            _ => Err(why),
        }
    }

    /// Returns the number of the problems if their line of the script is not known yet.
    pub(super) fn unplaced(self, services: &RunServices) -> Option<u64> {
        let rehearsal = services.part.as_rehearsal()?;
        self.0.filter(|number| rehearsal.awaits_place(*number))
    }
}

/// Handles a broadcast that resumes a plan fixed earlier.
pub(super) fn resumes(
    services: &RunServices,
    delivery: &Delivery,
    broadcast: &Broadcast,
) -> Result<(), RequestFailure> {
    known(services, delivery, broadcast, BroadcastOrigin::Resumed)
}

/// Handles a request for a broadcast that has nothing left to send.
pub(super) fn over(
    services: &RunServices,
    delivery: &Delivery,
    broadcast: &Broadcast,
) -> Result<(), RequestFailure> {
    known(services, delivery, broadcast, BroadcastOrigin::Already)
}

fn known(
    services: &RunServices,
    delivery: &Delivery,
    broadcast: &Broadcast,
    how: BroadcastOrigin,
) -> Result<(), RequestFailure> {
    let (name, run) = (&broadcast.name, &broadcast.run);
    if let Some(planned) = services.part.as_planned() {
        planned.gate.resumed(&broadcast.app_key, name, run, broadcast.plan.as_deref())?;
    }
    if let Some(rehearsal) = services.part.as_rehearsal() {
        let skipped = broadcast.counts.skipped;
        let plan = BroadcastPlan {
            total: broadcast.counts.total().saturating_sub(skipped),
            duplicates: broadcast.duplicates,
            excluded: broadcast.excluded,
            skipped,
            largest_message_bytes: broadcast.largest_message_bytes,
            hash: broadcast.plan.clone().unwrap_or_default(),
        };
        let app = delivery.name();
        rehearsal.planned(PlannedBroadcast {
            app,
            broadcast,
            spec: &broadcast.spec,
            how,
            plan,
            bad_lines: 0,
            read: None,
        });
    }
    Ok(())
}

/// Attaches the number of noted problems to an answer.
pub(super) fn noted(number: Option<u64>, answer: HostResponse) -> HostResponse {
    match number {
        Some(number) => HostResponse::Noted(number, Box::new(answer)),
        None => answer,
    }
}

/// Returns the bytes that represent a message in the hash of its plan, if they differ from its own.
pub(super) fn known_as(services: &RunServices, json: &[u8]) -> Option<bytes::Bytes> {
    services.part.files()?.known_as(json).map(Into::into)
}
