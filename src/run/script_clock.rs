//! The clock that a script sees: the run's clock, or a clock that only the script's own sleeps advance.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::Clock;
use crate::protocol::RequestFailure;

use super::services::RunStop;

/// The clock that a script sees.
pub(super) struct ScriptClock {
    clock: Clock,
    own_time: Option<OwnTime>,
}

/// A time that starts at a given one, and that only sleeps advance. So a script computes the same from the time before
/// its first send in each run that starts at this time.
struct OwnTime {
    start: Duration,
    slept: Cell<Duration>,
}

impl ScriptClock {
    /// Creates a clock that shows the time of `clock`.
    pub(super) const fn of(clock: Clock) -> Self {
        Self { clock, own_time: None }
    }

    /// Creates a clock that shows a time of its own, which begins at `start` since 1970. Sleeps take their time on
    /// `clock`.
    pub(super) const fn starting_at(start: Duration, clock: Clock) -> Self {
        Self { clock, own_time: Some(OwnTime { start, slept: Cell::new(Duration::ZERO) }) }
    }

    /// Returns the time since 1970.
    pub(super) fn now(&self) -> Duration {
        self.own_time.as_ref().map_or_else(|| self.clock.unix_time(), |own| own.start + own.slept.get())
    }

    /// Sleeps, or fails when the run is stopped. Sleeps that overlap advance a time of its own once.
    pub(super) async fn sleep(&self, time: Duration, stop: &RunStop) -> Result<(), RequestFailure> {
        let wakes = self.own_time.as_ref().map(|own| (own, own.slept.get().saturating_add(time)));
        let slept = async {
            self.clock.sleep(time).await;
            Ok(())
        };
        let slept = stop.unless_stopped("the sleep ended early because the run ends", slept).await;
        if let Some((own, wakes)) = wakes {
            own.slept.set(own.slept.get().max(wakes));
        }
        slept
    }
}
