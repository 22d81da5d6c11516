//! The time that a script sees in a run that is held to its rehearsal.

use std::cell::Cell;
use std::time::Duration;

/// Begins where the rehearsal began, and moves by what the script sleeps alone: so what a script makes of the time
/// before its first send is the same in both.
#[derive(Debug)]
pub struct ScriptTime {
    start: Duration,
    slept: Cell<Duration>,
}

impl ScriptTime {
    /// A script's time from this instant (since 1970) on.
    #[must_use]
    pub const fn new(start: Duration) -> Self {
        Self { start, slept: Cell::new(Duration::ZERO) }
    }

    /// The time since 1970.
    pub(in super::super) fn now(&self) -> Duration {
        self.start + self.slept.get()
    }

    /// A sleep begins; gives what [`ScriptTime::woken`] is to be told when it is over.
    pub(in super::super) fn sleeps(&self, time: Duration) -> Duration {
        self.slept.get().saturating_add(time)
    }

    /// Sleeps at the same time count once.
    pub(in super::super) fn woken(&self, at: Duration) {
        self.slept.set(self.slept.get().max(at));
    }
}
