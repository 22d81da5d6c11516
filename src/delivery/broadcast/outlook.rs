//! When a broadcast would be sent, before it is sent.

use std::time::Duration;

use super::super::Delivery;
use super::hours::SendingHours;
use super::ramp::RampLimits;
use crate::ledger::StoredSpec;

/// When a broadcast would be sent if it began now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SendingOutlook {
    /// Since 1970.
    pub begins_at: Duration,
    /// Since 1970, with the pauses of its ramp.
    pub ends_at: Duration,
    /// The highest rate, in recipients a second: its own, or that of its quota.
    pub rate: f64,
}

impl Delivery {
    /// When a broadcast with `left` of `total` recipients would be sent if it began now. None if its window or its ramp
    /// cannot be read.
    pub fn sending_outlook(&self, spec: &StoredSpec, left: u64, total: u64) -> Option<SendingOutlook> {
        let hours = SendingHours::new(spec.window.as_ref()).ok()?;
        let quota = self.quotas.of_call(spec.call).status().per_second();
        let rate = spec.rate.map_or(quota, |own| own.min(quota));
        let sending = Duration::try_from_secs_f64(left as f64 / rate).ok()?;
        let pauses = RampLimits::of(spec, total).ok()?.map_or(Duration::ZERO, |ramp| ramp.pauses(total));
        let now = self.clock.unix_time();
        let begins_at = now + hours.closed_for(now, None);
        Some(SendingOutlook { begins_at, ends_at: hours.end_of(begins_at, sending + pauses), rate })
    }
}
