//! Where the simulator gets its time from.

use std::time::Duration;

use futures_util::future::BoxFuture;

/// The simulator's source of time, real or virtual; whoever makes a simulator gives it one.
pub trait SimulatorTime: Send + Sync + 'static {
    /// The time since a fixed start; never goes back. The sliding second and the token bucket count by it.
    fn elapsed(&self) -> Duration;

    /// The wall-clock time since 1970-01-01T00:00:00Z. Wall-clock seconds and all timestamps come from it.
    fn unix_time(&self) -> Duration;

    /// Waits for `duration`: the simulated latency.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// One reading of both clocks, taken once for each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClockReading {
    pub(super) elapsed: Duration,
    pub(super) unix: Duration,
}

impl ClockReading {
    pub(super) fn of(time: &dyn SimulatorTime) -> Self {
        Self { elapsed: time.elapsed(), unix: time.unix_time() }
    }

    /// The wall-clock time in milliseconds, as the service writes timestamps.
    pub(super) fn unix_ms(self) -> u64 {
        u64::try_from(self.unix.as_millis()).unwrap_or(u64::MAX)
    }
}
