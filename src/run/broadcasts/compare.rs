//! Draws recipients from a list or an iterator only to compare them with those of the stored plan.

use crate::ledger::{InputKind, PlanInput};
use crate::protocol::RequestFailure;

use super::audience::{RawRecipient, named};
use super::drive::LeasedBroadcast;
use super::inputs::RecipientHasher;
use crate::core::BroadcastSpec;

/// An unfinished broadcast whose other inputs are unchanged.
pub(super) struct RecipientComparison {
    pub(super) role: LeasedBroadcast,
    pub(super) request: BroadcastSpec,
    /// The app's index among the apps of the run.
    pub(super) app: u32,
    drawn: RecipientHasher,
    /// Whether some recipient could not be parsed. Such recipients differ from those of the stored plan.
    unreadable: bool,
}

impl RecipientComparison {
    pub(super) fn new(role: LeasedBroadcast, request: BroadcastSpec, app: u32) -> Self {
        Self { role, request, app, drawn: RecipientHasher::default(), unreadable: false }
    }

    pub(super) fn add(&mut self, batch: &[u8]) -> Result<(), RequestFailure> {
        let given: Vec<RawRecipient> = serde_json::from_slice(batch).map_err(|error| {
            RequestFailure::invalid("to", format!("the recipients cannot be read: {error}"))
        })?;
        for given in given {
            match named(&given.recipient, &self.request) {
                Ok(named) => self.drawn.add(&named, &given.recipient),
                Err(_) => self.unreadable = true,
            }
        }
        Ok(())
    }

    /// Returns the recipients' input if it differs.
    pub(super) fn changed(&self) -> Vec<PlanInput> {
        let stored = self.role.broadcast.spec.inputs.iter();
        let hash = self.drawn.hash();
        stored
            .filter(|input| input.kind == InputKind::Recipients && (self.unreadable || input.hash != hash))
            .cloned()
            .collect()
    }
}
