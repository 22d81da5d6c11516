//! Simulated time, which moves only when no task can run.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Instant;

#[derive(Debug)]
pub(super) struct VirtualTime {
    state: Mutex<VirtualTimeState>,
    turns: Option<Arc<dyn TurnOrder>>,
}

/// Decides which process goes on, among those that share a clock.
pub trait TurnOrder: fmt::Debug + Send + Sync {
    /// The number of the process that runs now.
    fn process(&self) -> u64;

    /// Whether another task or process goes before the next access of this one. It is asked again when this one runs again.
    fn gives_way(&self) -> bool;
}

#[derive(Debug, Default)]
struct VirtualTimeState {
    /// The current wall-clock time minus `now`. Setting the wall clock changes it.
    unix_start: Duration,
    now: Instant,
    holds: usize,
    next_sleeper: u64,
    /// Whether a task has its turn; see [`super::Clock::access`].
    in_access: bool,
    /// The tasks that wait for their turn, by process, in their order.
    waiting: BTreeMap<(u64, u64), Waker>,
    /// The sleepers by deadline, then by the order in which they began to wait.
    sleepers: BTreeMap<(Instant, u64), Waker>,
}

impl VirtualTimeState {
    /// The first task of a process that waits for its turn.
    fn first_of(&self, process: u64) -> Option<(&(u64, u64), &Waker)> {
        self.waiting.range((process, 0)..=(process, u64::MAX)).next()
    }
}

impl VirtualTime {
    pub(super) fn new(unix_start: Duration) -> Self {
        let state = Mutex::new(VirtualTimeState { unix_start, ..VirtualTimeState::default() });
        Self { state, turns: None }
    }

    /// Time that several processes share.
    pub(super) fn shared(unix_start: Duration, turns: Arc<dyn TurnOrder>) -> Self {
        Self { turns: Some(turns), ..Self::new(unix_start) }
    }

    pub(super) const fn is_shared(&self) -> bool {
        self.turns.is_some()
    }

    /// Waits for the turn of a task to use what the processes share. Returns whether [`Self::end_access`] ends it. The tasks
    /// of a process are served one after the other, in the order in which they asked.
    pub(super) async fn begin_access(&self) -> bool {
        let Some(turns) = &self.turns else { return false };
        let mut ticket = AccessTicket { time: self, key: None };
        poll_fn(|context| {
            let mut state = self.state();
            let key = *ticket.key.get_or_insert_with(|| {
                state.next_sleeper += 1;
                (turns.process(), state.next_sleeper)
            });
            state.waiting.insert(key, context.waker().clone());
            if state.in_access || state.first_of(key.0).is_some_and(|(first, _)| *first != key) {
                return Poll::Pending;
            }
            drop(state);
            if turns.gives_way() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let mut state = self.state();
            state.in_access = true;
            state.waiting.remove(&key);
            ticket.key = None;
            Poll::Ready(())
        })
        .await;
        true
    }

    pub(super) fn end_access(&self) {
        self.state().in_access = false;
        if let Some(turns) = &self.turns {
            self.wake_first_of(turns.process());
        }
    }

    /// Wakes the first task of a process that waits for its turn.
    fn wake_first_of(&self, process: u64) {
        let first = self.state().first_of(process).map(|(_, waker)| waker.clone());
        if let Some(first) = first {
            first.wake();
        }
    }

    pub(super) fn is_held(&self) -> bool {
        self.state().holds > 0
    }

    pub(super) fn is_accessed(&self) -> bool {
        self.state().in_access
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.state().sleepers.first_key_value().map(|(&(deadline, _), _)| deadline)
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
        if !self.is_held()
            && let Some(deadline) = self.next_deadline()
        {
            self.advance_to(deadline);
        }
    }

    /// Moves to an instant and wakes all sleepers until then. The time never goes back.
    pub(super) fn advance_to(&self, deadline: Instant) {
        let mut woken = Vec::new();
        {
            let mut state = self.state();
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

/// Removes its entry from `waiting` when it is dropped.
struct AccessTicket<'a> {
    time: &'a VirtualTime,
    key: Option<(u64, u64)>,
}

impl Drop for AccessTicket<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.time.state().waiting.remove(&key);
            self.time.wake_first_of(key.0);
        }
    }
}
