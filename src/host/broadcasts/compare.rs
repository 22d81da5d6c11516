//! Recipients that are drawn from a list or an iterator only to see whether they are those of the stored plan.

use crate::ledger::{InputKind, PlanInput};
use crate::protocol::RequestFailure;

use super::audience::{RawRecipient, named};
use super::drive::LeasedBroadcast;
use super::inputs::RecipientHasher;
use super::request::BroadcastRequest;

/// An unfinished broadcast whose other inputs are as they were.
pub(super) struct RecipientComparison {
    pub(super) role: LeasedBroadcast,
    pub(super) asked: BroadcastRequest,
    /// The app's index among those of the run.
    pub(super) app: u32,
    drawn: RecipientHasher,
    /// One that cannot be read is none of the stored plan's.
    unreadable: bool,
}

impl RecipientComparison {
    pub(super) fn new(role: LeasedBroadcast, asked: BroadcastRequest, app: u32) -> Self {
        Self { role, asked, app, drawn: RecipientHasher::default(), unreadable: false }
    }

    pub(super) fn add(&mut self, batch: &[u8]) -> Result<(), RequestFailure> {
        let given: Vec<RawRecipient> = serde_json::from_slice(batch).map_err(|error| {
            RequestFailure::invalid("to", format!("the recipients cannot be read: {error}"))
        })?;
        for given in given {
            match named(&given.recipient) {
                Ok(named) => self.drawn.add(&named, &given.recipient),
                Err(_) => self.unreadable = true,
            }
        }
        Ok(())
    }

    /// The input that differs, if it does.
    pub(super) fn changed(&self) -> Vec<PlanInput> {
        let stored = self.role.broadcast.spec.inputs.iter();
        let hash = self.drawn.hash();
        stored
            .filter(|input| input.kind == InputKind::Recipients && (self.unreadable || input.hash != hash))
            .cloned()
            .collect()
    }
}
