//! Notifies the service manager, if there is one (`NOTIFY_SOCKET`). No other module of the daemon knows about it.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::Clock;

/// Reports that the scripts are loaded and the jobs run.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Reports that the daemon is finishing what is in flight.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The longest time between two heartbeats that the service manager accepts (`WatchdogSec=`). `None` if it expects
/// none.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// Sends a heartbeat twice in each interval, until it is dropped. It runs on the thread of the jobs and the sends,
/// so the heartbeats stop when that thread is blocked.
pub async fn watchdog(clock: Clock, interval: Duration) {
    loop {
        notify(&[NotifyState::Watchdog]);
        clock.sleep(interval / 2).await;
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("cannot notify the service manager (NOTIFY_SOCKET): {error}");
    }
}
