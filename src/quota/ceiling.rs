//! The fixed rate limit that every permit must pass, whatever the parts above it decide. Uses governor.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::RateLimiter;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};

use crate::clock::{Clock, Instant};

impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Self::now(self).since_start()
    }
}

/// Limits to the rate, with a burst of 25 ms' worth. That is slightly more than a late timer may catch up.
pub(super) struct FixedRateLimiter {
    limiter: RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>,
}

impl FixedRateLimiter {
    /// A limiter for `rate` messages a second, which must be over 0, and calls of a cost up to `largest`.
    pub(super) fn new(rate: f64, largest: NonZeroU32, clock: Clock) -> Self {
        // At 40 a second and less, 25 ms' worth is less than one message.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is not negative"
        )]
        let late = (rate / 40.0).ceil() as u32;
        let burst = largest.saturating_add(late);
        let period = Duration::from_secs_f64(1.0 / rate).max(Duration::from_nanos(1));
        let quota = governor::Quota::with_period(period)
            .map_or_else(|| governor::Quota::per_second(burst), |quota| quota.allow_burst(burst));
        Self { limiter: RateLimiter::direct_with_clock(quota, clock) }
    }

    /// Counts a call of `cost`, if it may go now.
    pub(super) fn check(&self, cost: NonZeroU32) -> Result<(), Instant> {
        if cost == NonZeroU32::MIN {
            return self.limiter.check().map_err(|refusal| Instant::from_start(refusal.earliest_possible()));
        }
        match self.limiter.check_n(cost) {
            Ok(decision) => decision.map_err(|refusal| Instant::from_start(refusal.earliest_possible())),
            // The cost is over the burst. `acquire` refuses such a cost, so this is never reached.
            Err(_) => Err(Instant::from_start(Duration::MAX)),
        }
    }
}

impl std::fmt::Debug for FixedRateLimiter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ceiling").finish_non_exhaustive()
    }
}
