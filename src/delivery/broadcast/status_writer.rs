//! Writes the driver's status of a broadcast to the ledger: rate, expected end, and what it waits for. Writing never
//! delays a send.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::status::{BroadcastWait, DriverStatus, RateMeter};
use super::{ActiveBroadcast, BroadcastDriver};
use crate::clock::Instant;

/// How often the status is checked for changes.
const LOOK: Duration = Duration::from_millis(500);

/// The shortest time between two writes for a changed rate or expected end.
const EVERY: Duration = Duration::from_secs(2);

/// A rate must change by more than this part to be written.
const WORTH: f64 = 0.02;

impl BroadcastDriver<'_> {
    /// Writes changes of the status until `over` is cancelled. A write that has begun by then is completed.
    pub(super) async fn publish_status(&self, over: &CancellationToken) {
        let clock = &self.delivery.clock;
        // In simulated time nothing reads the status.
        if clock.is_simulated() {
            return;
        }
        let mut meter = RateMeter::default();
        let mut last_reported: Option<(DriverStatus, Instant)> = None;
        loop {
            tokio::select! {
                biased;
                () = over.cancelled() => break,
                () = clock.sleep(LOOK) => {}
            }
            let status = self.status(&mut meter);
            let now = clock.now();
            if last_reported
                .as_ref()
                .is_some_and(|(before, at)| !is_news(before, &status, now.saturating_since(*at)))
            {
                continue;
            }
            // The status always has a JSON form.
            let text = serde_json::to_string(&status).unwrap_or_default();
            match self.ledger.write_status(self.lease, &text).await {
                Ok(()) => last_reported = Some((status, now)),
                Err(error) => {
                    tracing::debug!(
                        "could not write the status of broadcast {}: {error}",
                        self.lease.broadcast
                    );
                }
            }
        }
        if last_reported.is_some()
            && let Err(error) = self.ledger.forget_status(self.lease).await
        {
            tracing::debug!("could not delete the status of broadcast {}: {error}", self.lease.broadcast);
        }
    }

    fn status(&self, meter: &mut RateMeter) -> DriverStatus {
        let clock = &self.delivery.clock;
        let look = self.progress.snapshot();
        let quota = self.quota().status();
        let rate = meter.rate(clock.now(), look.settled_now);
        let capped = self.spec.rate.is_some_and(|cap| cap <= quota.pace);
        let most = self.spec.rate.map_or(quota.pace, |cap| cap.min(quota.pace));
        let wait = BroadcastWait::seen(&look, &quota, capped, self.delivery.token_wait(), clock);
        let left = ActiveBroadcast::left(&look.counts);
        let ends_at = self.hours.ends_at(clock.unix_time(), left, rate, most, wait.as_ref());
        DriverStatus { rate, most, wait, ends_at }
    }
}

/// Whether a status differs enough from the last one to be written.
fn is_news(before: &DriverStatus, now: &DriverStatus, age: Duration) -> bool {
    let waits = |status: &DriverStatus| status.wait.as_ref().map(|wait| (wait.kind, wait.note.clone()));
    if waits(before) != waits(now) {
        return true;
    }
    let until = |status: &DriverStatus| status.wait.as_ref().and_then(|wait| wait.until).unwrap_or_default();
    let ends = |status: &DriverStatus| status.ends_at.unwrap_or_default();
    let second = Duration::from_secs(1);
    let moved = until(before).abs_diff(until(now)) > second || ends(before).abs_diff(ends(now)) > second * 5;
    let differs = |one: f64, other: f64| (one - other).abs() > WORTH * one.abs().max(other.abs());
    let rates = differs(before.most, now.most)
        || match (before.rate, now.rate) {
            (Some(one), Some(other)) => differs(one, other),
            (one, other) => one.is_some() != other.is_some(),
        };
    age >= EVERY && (moved || rates)
}

#[cfg(test)]
mod tests {
    use super::super::super::status::WaitKind;
    use super::*;

    #[test]
    fn another_reason_is_told_at_once_and_a_rate_every_two_seconds() {
        let status = |rate, kind| DriverStatus {
            rate: Some(rate),
            most: 20.0,
            wait: Some(BroadcastWait::of(kind)),
            ends_at: None,
        };
        let before = status(10.0, WaitKind::Quota);
        let (short, long) = (Duration::from_millis(500), Duration::from_secs(2));
        assert!(is_news(&before, &status(10.0, WaitKind::Window), short));
        assert!(!is_news(&before, &status(12.0, WaitKind::Quota), short));
        assert!(is_news(&before, &status(12.0, WaitKind::Quota), long));
        assert!(!is_news(&before, &status(10.1, WaitKind::Quota), long));
    }
}
