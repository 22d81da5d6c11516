//! Acquires permits, and runs the task that serves the waiting calls.
//!
//! While no calls wait there is no task. The first call that must wait starts the task on its runtime. The task sleeps
//! until the next permit is due, serves all calls that can go, and ends when the queue is empty. If its runtime ends
//! before that, the waiting calls are woken, and the first of them starts another task.

use crate::core::Priority;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::Notify;

use super::engine::{DriverState, QuotaState};
use super::permit::Permit;
use super::queue::QueuedWaiter;
use super::settings::QuotaSettings;
use super::status::QuotaStatus;
use crate::clock::{Clock, Instant};

/// One rate that the service grants an app, and the queue of the calls that share it. Clones are the same quota.
#[derive(Debug, Clone)]
pub struct Quota(Arc<QuotaInner>);

#[derive(Debug)]
pub(super) struct QuotaInner {
    settings: QuotaSettings,
    clock: Clock,
    engine: Mutex<QuotaState>,
    wake_driver: Notify,
    /// Wakes the task that claims slots for a shared quota.
    pub(super) want: Notify,
}

/// The error for a cost of 0 or above the quota's largest cost. Such a call can never be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a call of {cost} can never be sent: the quota of {name} takes 1 to {most}")]
pub struct CostTooHighError {
    /// What the quota counts, for display.
    pub name: &'static str,
    pub cost: u32,
    /// The largest cost that a call may have.
    pub most: u32,
}

impl Quota {
    pub fn new(settings: QuotaSettings, clock: Clock) -> Self {
        let engine = Mutex::new(QuotaState::new(&settings, &clock));
        Self(Arc::new(QuotaInner {
            settings,
            clock,
            engine,
            wake_driver: Notify::new(),
            want: Notify::new(),
        }))
    }

    pub(super) fn shared(&self) -> &QuotaInner {
        &self.0
    }

    pub(super) fn largest_cost(&self) -> u32 {
        self.0.settings.largest_cost.get()
    }

    /// Changes the limit of a period from now on. Written calls keep their slots. Returns false if the new or the old
    /// limit is less than the largest cost of a call; such a change needs a new quota.
    pub fn set_rate(&self, limit: NonZeroU32, share: f64) -> bool {
        let mut engine = self.0.lock();
        let settings = QuotaSettings { limit, share, ..self.0.settings.clone() };
        let granted = engine.grant(&settings, &self.0.clock);
        drop(engine);
        self.0.call_driver();
        granted
    }

    /// Whether other processes share the quota, so that its slots are lent to it.
    pub fn is_shared(&self) -> bool {
        self.0.settings.shared
    }

    /// What the quota counts, for display.
    pub fn name(&self) -> &'static str {
        self.0.settings.name
    }

    /// Waits until a call of `cost` may be written, and returns its permit. Dropping the future removes the call from
    /// the queue. Within a priority, calls are served in the order of their arrival.
    ///
    /// Must be awaited on a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`CostTooHighError`] when `cost` is 0 or more than [`QuotaSettings::largest_cost`].
    pub async fn acquire(&self, cost: u32, priority: Priority) -> Result<Permit, CostTooHighError> {
        let most = self.0.settings.largest_cost;
        match NonZeroU32::new(cost).filter(|cost| *cost <= most) {
            Some(cost) => Ok(Acquire { shared: &self.0, cost, priority, number: None }.await),
            None => Err(CostTooHighError { name: self.name(), cost, most: most.get() }),
        }
    }

    /// The current state of the quota.
    pub fn status(&self) -> QuotaStatus {
        let mut engine = self.0.lock();
        let now = self.0.now();
        let resumes_in = engine.not_before.saturating_since(now);
        QuotaStatus {
            name: self.name(),
            limit: engine.limit.get(),
            period: self.0.settings.period,
            pace: engine.rate(now),
            sent_last_second: engine.sent.total(now),
            throttled_last_minute: engine.throttled.total(now),
            written: engine.sent.ever(),
            refused: engine.throttled.ever(),
            spread: engine.trips.spread(),
            resumes_in: (!resumes_in.is_zero()).then_some(resumes_in),
            waiting: engine.waiting(now),
        }
    }

    /// The messages written since the process began, and those that the service refused as too many.
    pub fn ever(&self) -> (u64, u64) {
        let engine = self.0.lock();
        (engine.sent.ever(), engine.throttled.ever())
    }
}

impl QuotaInner {
    pub(super) fn lock(&self) -> MutexGuard<'_, QuotaState> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn call_driver(&self) {
        self.wake_driver.notify_one();
    }
}

/// The wait for one permit.
struct Acquire<'a> {
    shared: &'a Arc<QuotaInner>,
    cost: NonZeroU32,
    priority: Priority,
    /// The call's number in the queue; `None` while it is not queued.
    number: Option<u64>,
}

impl Future for Acquire<'_> {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let shared = self.shared;
        let mut engine = shared.lock();
        let served = match self.number {
            Some(number) => engine.collect(number),
            None => engine.serve_now(self.cost, shared.now()),
        };
        if served {
            self.number = None;
            return Poll::Ready(Permit::new(Arc::clone(shared), self.cost.get()));
        }
        let waker = context.waker();
        let mut call = false;
        if let Some(number) = self.number {
            if let Some(entry) = engine.queue.get_mut(self.priority, number) {
                entry.waker.clone_from(waker);
            }
        } else {
            // The first call of a priority may go before the calls for which the driver sleeps.
            call = engine.queue.cost(self.priority) == 0;
            let entry = QueuedWaiter { cost: self.cost.get(), since: shared.now(), waker: waker.clone() };
            self.number = Some(engine.enqueue(self.priority, entry));
        }
        let absent = engine.driver == DriverState::Absent;
        if absent {
            engine.driver = DriverState::Awake;
        }
        drop(engine);
        if shared.settings.shared {
            shared.call_lender();
        }
        if absent {
            tokio::spawn(serve_waiters(DriverGuard { shared: Arc::clone(shared), over: false }));
        } else if call {
            shared.call_driver();
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let now = self.shared.now();
            let earlier = self.shared.lock().give_up(self.priority, number, self.cost.get(), now);
            if earlier {
                self.shared.call_driver();
            }
        }
    }
}

/// Serves the waiting calls until none is left.
async fn serve_waiters(mut driving: DriverGuard) {
    let shared = Arc::clone(&driving.shared);
    let mut wake = Vec::new();
    loop {
        let next = shared.lock().serve_queue(shared.now(), &mut wake);
        wake.drain(..).for_each(std::task::Waker::wake);
        match next {
            DriverState::Absent => {
                driving.over = true;
                return;
            }
            DriverState::Asleep(Some(due)) => tokio::select! {
                biased;
                () = shared.wake_driver.notified() => {}
                () = shared.clock.sleep_until(due) => {}
            },
            DriverState::Asleep(None) => shared.wake_driver.notified().await,
            DriverState::Awake => {}
        }
    }
}

/// The driver's guard. If its runtime ends first, dropping the guard wakes the waiting calls, and one of them starts
/// another driver.
struct DriverGuard {
    shared: Arc<QuotaInner>,
    over: bool,
}

impl Drop for DriverGuard {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let orphans: Vec<_> = {
            let mut engine = self.shared.lock();
            engine.driver = DriverState::Absent;
            let waiting = Priority::ALL.into_iter().flat_map(|priority| engine.queue.waiting(priority));
            waiting.map(|(_, entry)| entry.waker.clone()).collect()
        };
        orphans.into_iter().for_each(std::task::Waker::wake);
    }
}
