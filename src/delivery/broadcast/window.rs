//! How many calls run at once: as many as the quota and the latency need, and no more.
//!
//! The window begins small. It doubles while doubling makes more calls end in a second. Where the service or this
//! machine is at its limit, more calls would only wait.

use crate::clock::Instant;

const SMALLEST: usize = 32;
const LARGEST: usize = 512;

/// A doubling counts as useful if the rate grows by at least this factor.
const WORTH: f64 = 1.1;

#[derive(Debug)]
pub(super) struct ConcurrencyWindow {
    size: usize,
    /// Calls that ended since the measurement began.
    ended: usize,
    since: Instant,
    /// The best rate so far, in calls a second.
    best: f64,
}

impl ConcurrencyWindow {
    pub(super) const fn new(now: Instant) -> Self {
        Self { size: SMALLEST, ended: 0, since: now, best: 0.0 }
    }

    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Restarts the measurement. Calls wait for permits, so the quota limits the rate and the window is wide enough.
    pub(super) const fn paced(&mut self, now: Instant) {
        self.ended = 0;
        self.since = now;
    }

    /// Counts the end of a call.
    pub(super) fn ended(&mut self, now: Instant) {
        self.ended += 1;
        if self.ended < self.size {
            return;
        }
        let rate = self.ended as f64 / now.saturating_since(self.since).as_secs_f64().max(1e-6);
        if rate > self.best * WORTH {
            self.best = rate;
            self.size = LARGEST.min(self.size * 2);
        }
        self.paced(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The final size for calls that take `latency` seconds each, of which at most `most` end in a second.
    fn settled(latency: f64, most: f64) -> usize {
        let mut window = ConcurrencyWindow::new(Instant::ZERO);
        let mut now = 0.0;
        for _ in 0..20_000 {
            now += (latency / window.size() as f64).max(1.0 / most);
            window.ended(Instant::from_start(Duration::from_secs_f64(now)));
        }
        window.size()
    }

    #[test]
    fn it_is_as_wide_as_helps() {
        assert_eq!(settled(0.2, 1e9), LARGEST);
        assert!(settled(0.001, 10_000.0) <= 2 * SMALLEST, "the service is at its limit");
        assert!((128..=512).contains(&settled(0.1, 1_000.0)));
    }
}
