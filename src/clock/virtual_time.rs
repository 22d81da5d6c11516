//! Simulated time, which moves only when no task can run.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Instant;

#[derive(Debug)]
pub(super) struct VirtualTime {
    state: Mutex<VirtualTimeState>,
}

#[derive(Debug, Default)]
struct VirtualTimeState {
    /// The current wall-clock time minus `now`. Setting the wall clock changes it.
    unix_start: Duration,
    now: Instant,
    holds: usize,
    next_sleeper: u64,
    /// The sleepers by deadline, then by the order in which they began to wait.
    sleepers: BTreeMap<(Instant, u64), Waker>,
}

impl VirtualTime {
    pub(super) fn new(unix_start: Duration) -> Self {
        Self { state: Mutex::new(VirtualTimeState { unix_start, ..VirtualTimeState::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, VirtualTimeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.state().now
    }

    pub(super) fn unix_time(&self) -> Duration {
        let state = self.state();
        state.unix_start + state.now.since_start()
    }

    pub(super) fn set_unix_time(&self, to: Duration) {
        let mut state = self.state();
        state.unix_start = to.saturating_sub(state.now.since_start());
    }

    pub(super) fn hold(&self) {
        self.state().holds += 1;
    }

    pub(super) fn release(&self) {
        self.state().holds -= 1;
    }

    pub(super) async fn sleep_until(&self, deadline: Instant) {
        let mut sleeper = Sleeper { time: self, key: None };
        poll_fn(|context| {
            let mut state = self.state();
            if state.now >= deadline {
                return Poll::Ready(());
            }
            let key = *sleeper.key.get_or_insert_with(|| {
                state.next_sleeper += 1;
                (deadline, state.next_sleeper)
            });
            state.sleepers.insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Jumps to the next deadline and wakes all sleepers with it, unless the clock is held.
    pub(super) fn advance(&self) {
        let mut woken = Vec::new();
        {
            let mut state = self.state();
            if state.holds > 0 {
                return;
            }
            let Some((&(deadline, _), _)) = state.sleepers.first_key_value() else { return };
            state.now = state.now.max(deadline);
            while let Some(entry) = state.sleepers.first_entry() {
                if entry.key().0 > deadline {
                    break;
                }
                woken.push(entry.remove());
            }
        }
        woken.into_iter().for_each(Waker::wake);
    }
}

/// Removes its entry from `sleepers` when it is dropped.
struct Sleeper<'a> {
    time: &'a VirtualTime,
    key: Option<(Instant, u64)>,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.time.state().sleepers.remove(&key);
        }
    }
}
