//! What the service manager is told where there is one (`NOTIFY_SOCKET`): nothing else of the daemon knows of it.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::Clock;

/// Says that the scripts are loaded and the jobs run.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that the daemon finishes what is in flight.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The longest time between two signs of life that the service manager accepts (`WatchdogSec=`); none where it wants
/// none.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// Gives a sign of life twice in each interval, until it is dropped. It runs where the jobs and the sends do: when that
/// thread is stuck, the signs end.
pub async fn watchdog(clock: Clock, interval: Duration) {
    loop {
        tell(&[NotifyState::Watchdog]);
        clock.sleep(interval / 2).await;
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the service manager cannot be told how it goes (NOTIFY_SOCKET): {error}");
    }
}
