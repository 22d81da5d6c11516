//! Recipients that are drawn from a list or an iterator only to see whether they are those of the stored plan.

use crate::ledger::{Input, InputKind};
use crate::protocol::Failure;

use super::asked::Asked;
use super::audience::{Given, named};
use super::drive::Role;
use super::inputs::Drawn;

/// An unfinished broadcast whose other inputs are as they were.
pub(super) struct Comparing {
    pub(super) role: Role,
    pub(super) asked: Asked,
    /// The app's index among those of the run.
    pub(super) app: u32,
    drawn: Drawn,
    /// One that cannot be read is none of the stored plan's.
    unreadable: bool,
}

impl Comparing {
    pub(super) fn new(role: Role, asked: Asked, app: u32) -> Self {
        Self { role, asked, app, drawn: Drawn::default(), unreadable: false }
    }

    pub(super) fn add(&mut self, batch: &[u8]) -> Result<(), Failure> {
        let given: Vec<Given> = serde_json::from_slice(batch)
            .map_err(|error| Failure::invalid("to", format!("the recipients cannot be read: {error}")))?;
        for given in given {
            match named(&given.recipient) {
                Ok(named) => self.drawn.add(&named, &given.recipient),
                Err(_) => self.unreadable = true,
            }
        }
        Ok(())
    }

    /// The input that differs, if it does.
    pub(super) fn changed(&self) -> Vec<Input> {
        let stored = self.role.broadcast.spec.inputs.iter();
        let hash = self.drawn.hash();
        stored
            .filter(|input| input.kind == InputKind::Recipients && (self.unreadable || input.hash != hash))
            .cloned()
            .collect()
    }
}
