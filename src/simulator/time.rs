//! The simulator's source of time.

use std::time::Duration;

use futures_util::future::BoxFuture;

/// A source of time, real or virtual. The caller gives one to each simulator.
pub trait SimulatorTime: Send + Sync + 'static {
    /// Returns the time since a fixed start, which never decreases. The sliding second and the token bucket use it.
    fn elapsed(&self) -> Duration;

    /// Returns the wall-clock time since 1970-01-01T00:00:00Z. Wall-clock seconds and all timestamps use it.
    fn unix_time(&self) -> Duration;

    /// Waits for `duration`, which is the simulated latency.
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

    /// Returns the wall-clock time in milliseconds, as the service writes timestamps.
    pub(super) fn unix_ms(self) -> u64 {
        u64::try_from(self.unix.as_millis()).unwrap_or(u64::MAX)
    }
}
