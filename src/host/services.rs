//! What one run may use of the house.

use std::cell::Cell;
use std::rc::Rc;

use crate::clock::Clock;
use crate::delivery::{Delivery, Stop, StopSwitch, Tally};

use super::broadcasts::Broadcasts;
use super::files::Files;
use super::outbound::Outbound;
use super::output::Output;
use super::sources::Sources;
use super::variables::Variables;

/// What one run may use of the house.
pub struct Services {
    /// The apps it can send through, the default one first.
    pub apps: Vec<Rc<Delivery>>,
    /// What sends: the script's name, as the ledger shows it.
    pub origin: String,
    /// The time that its script sees.
    pub clock: Clock,
    /// Where `require` looks.
    pub sources: Sources,
    /// The files that it may open.
    pub files: Files,
    /// The environment variables that it may name.
    pub variables: Variables,
    /// The other services that it may talk to.
    pub outbound: Outbound,
    /// Where its prints and log lines go.
    pub output: Rc<dyn Output>,
    /// What became of its messages.
    pub tally: Rc<Tally>,
    /// The broadcasts that it builds and waits for.
    pub broadcasts: Broadcasts,
    /// How its waits are ended.
    pub stop: RunStop,
}

/// Tells whatever a run waits for that nothing new is to begin.
#[derive(Debug)]
pub struct RunStop {
    switch: StopSwitch,
    stop: Stop,
    pressed: Cell<bool>,
}

impl Default for RunStop {
    fn default() -> Self {
        let (switch, stop) = StopSwitch::new();
        Self { switch, stop, pressed: Cell::new(false) }
    }
}

impl RunStop {
    pub(super) fn press(&self) {
        if !self.pressed.replace(true) {
            self.switch.press();
        }
    }

    pub(super) const fn stop(&self) -> &Stop {
        &self.stop
    }
}
