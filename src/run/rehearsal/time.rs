//! The time that a script sees in a run that is held to its rehearsal.

use std::cell::Cell;
use std::time::Duration;

/// A clock that starts when the rehearsal began, and that only the script's own sleeps advance. So the script
/// computes the same from the time before its first send in both runs.
#[derive(Debug)]
pub struct ScriptTime {
    start: Duration,
    slept: Cell<Duration>,
}

impl ScriptTime {
    /// Creates the clock. `start` is the start of the rehearsal, since 1970.
    pub const fn new(start: Duration) -> Self {
        Self { start, slept: Cell::new(Duration::ZERO) }
    }

    /// Returns the time since 1970.
    pub(in super::super) fn now(&self) -> Duration {
        self.start + self.slept.get()
    }

    /// Begins a sleep. Returns the value to pass to [`ScriptTime::woken`] when it ends.
    pub(in super::super) fn sleeps(&self, time: Duration) -> Duration {
        self.slept.get().saturating_add(time)
    }

    /// Ends a sleep. Sleeps that overlap count once.
    pub(in super::super) fn woken(&self, at: Duration) {
        self.slept.set(self.slept.get().max(at));
    }
}
