//! Limits the memory that the calls of a run hold in the host: incoming requests, bodies and files in transit, and
//! answers that the worker has not read yet. Calls over the limit wait.
//!
//! A call reserves the memory that its answer may need before it begins, and releases the part that it did not need.
//! Two rules prevent deadlock. If calls that wait for more hold all the memory of answers, the first of them goes on.
//! A run that holds nothing may always read one request. So a run holds at most its budget, one request and one
//! answer.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use tokio::sync::{Mutex, Notify, Semaphore};

/// All runs of a host together may use this many times the budget of one run.
const ALL_RUNS: u64 = 2;

/// The most uploads of one run at once; more wait.
const UPLOADS: usize = 16;

/// The most operations of one run on stored data and plans at once; more wait.
const LEDGER: usize = 2;

/// The memory that all runs of a host hold together.
#[derive(Debug, Default)]
pub struct HostMemory(Rc<MemoryPool>);

#[derive(Debug, Default)]
struct MemoryPool {
    limit: Cell<u64>,
    used: Cell<u64>,
    freed: Notify,
}

#[derive(Debug)]
pub struct MemoryBudget {
    pool: Rc<MemoryPool>,
    limit: u64,
    requests: Cell<u64>,
    answers: Cell<u64>,
    /// Bytes of answers held by calls that wait for more memory.
    blocked: Cell<u64>,
    /// Held by the call that waits next; calls take it in their order of arrival.
    turn: Mutex<()>,
    /// The number of the call that exceeds the budget, until it ends. Only one call at a time does so.
    beyond: Cell<Option<u64>>,
    last: Cell<u64>,
    /// Permits for uploads: each upload keeps a file open.
    pub(super) uploads: Semaphore,
    /// Permits for ledger operations on data and plans: the ledger performs the writes of all runs one after the
    /// other.
    pub(super) ledger: Semaphore,
}

impl HostMemory {
    /// Creates the budget of one run, in bytes. The most recent budget also sets the limit of all runs together.
    pub fn of_run(&self, bytes: u64) -> Rc<MemoryBudget> {
        self.0.limit.set(bytes.saturating_mul(ALL_RUNS));
        Rc::new(MemoryBudget {
            pool: Rc::clone(&self.0),
            limit: bytes,
            requests: Cell::new(0),
            answers: Cell::new(0),
            blocked: Cell::new(0),
            turn: Mutex::default(),
            beyond: Cell::new(None),
            last: Cell::new(0),
            uploads: Semaphore::new(UPLOADS),
            ledger: Semaphore::new(LEDGER),
        })
    }
}

impl MemoryBudget {
    /// Creates the budget of a run that shares its limit with no other run. `bytes` is its size.
    pub fn alone(bytes: u64) -> Rc<Self> {
        HostMemory::default().of_run(bytes)
    }

    /// Reserves memory for a request that has arrived. It is counted even over the limit, because its bytes are here
    /// already.
    pub(super) fn of_request(self: &Rc<Self>, bytes: u64) -> MemoryReservation {
        let mut held =
            MemoryReservation { budget: Rc::clone(self), of: MemoryUse::Requests, number: 0, bytes: 0 };
        held.set(bytes);
        held
    }

    /// Creates an empty reservation for an answer.
    pub(super) fn of_answer(self: &Rc<Self>) -> MemoryReservation {
        self.last.set(self.last.get() + 1);
        MemoryReservation {
            budget: Rc::clone(self),
            of: MemoryUse::Answers,
            number: self.last.get(),
            bytes: 0,
        }
    }

    /// Whether a request of `bytes` may be read now.
    pub(super) fn admits(&self, bytes: u64) -> bool {
        self.used() == 0 || self.fits(bytes)
    }

    /// Waits until memory is released.
    pub(super) async fn freed(&self) {
        self.pool.freed.notified().await;
    }

    fn used(&self) -> u64 {
        self.requests.get() + self.answers.get()
    }

    fn fits(&self, more: u64) -> bool {
        self.used().saturating_add(more) <= self.limit
            && self.pool.used.get().saturating_add(more) <= self.pool.limit.get()
    }

    /// Whether a call may hold `more` bytes. It may if they fit, or if every other call waits too and so none can
    /// release memory. In the second case the call may exceed the budget until it ends.
    fn grants(&self, call: u64, more: u64) -> bool {
        if self.fits(more) {
            return true;
        }
        let stuck = self.answers.get() <= self.blocked.get();
        if stuck {
            self.beyond.set(Some(call));
        }
        stuck
    }
}

#[derive(Debug, Clone, Copy)]
enum MemoryUse {
    Requests,
    Answers,
}

/// The memory that one call holds. Dropping it releases the memory.
#[derive(Debug)]
pub(super) struct MemoryReservation {
    budget: Rc<MemoryBudget>,
    of: MemoryUse,
    /// The number of the call, for an answer; 0 for a request.
    number: u64,
    bytes: u64,
}

impl MemoryReservation {
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Grows the reservation to `bytes` in total if that is possible at once. Returns whether it holds them.
    pub(super) fn try_grow(&mut self, bytes: u64) -> bool {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return true };
        // Calls that wait already have priority.
        let granted = self.budget.beyond.get() == Some(self.number)
            || self.budget.turn.try_lock().is_ok() && self.budget.grants(self.number, more);
        if granted {
            self.set(bytes);
        }
        granted
    }

    /// Grows the reservation to `bytes` in total, and waits until that is possible.
    pub(super) async fn grow(&mut self, bytes: u64) {
        if self.try_grow(bytes) {
            return;
        }
        let more = bytes.saturating_sub(self.bytes);
        let budget = Rc::clone(&self.budget);
        let _blocked = BlockedMemory::new(&budget, self.bytes);
        let _turn = budget.turn.lock().await;
        loop {
            let mut freed = pin!(budget.pool.freed.notified());
            freed.as_mut().enable();
            if budget.grants(self.number, more) {
                break;
            }
            freed.await;
        }
        self.set(bytes);
    }

    /// Sets the reservation to exactly `bytes`, without waiting: the amount that the call needs is known.
    pub(super) fn set(&mut self, bytes: u64) {
        let (budget, before) = (&self.budget, self.bytes);
        let count = match self.of {
            MemoryUse::Requests => &budget.requests,
            MemoryUse::Answers => &budget.answers,
        };
        for count in [count, &budget.pool.used] {
            count.set((count.get() + bytes).saturating_sub(before));
        }
        self.bytes = bytes;
        if bytes < before {
            budget.pool.freed.notify_waiters();
        }
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        if self.budget.beyond.get() == Some(self.number) {
            self.budget.beyond.set(None);
        }
        self.set(0);
    }
}

/// Counts the bytes that a call holds while it waits for more.
struct BlockedMemory<'a>(&'a MemoryBudget, u64);

impl<'a> BlockedMemory<'a> {
    fn new(budget: &'a MemoryBudget, bytes: u64) -> Self {
        budget.blocked.set(budget.blocked.get() + bytes);
        // The first waiting call may be able to go on now.
        budget.pool.freed.notify_waiters();
        Self(budget, bytes)
    }
}

impl Drop for BlockedMemory<'_> {
    fn drop(&mut self) {
        self.0.blocked.set(self.0.blocked.get().saturating_sub(self.1));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_does_not_fit_waits_until_something_is_given_back() {
        let budget = MemoryBudget::alone(100);
        let mut first = budget.of_answer();
        assert!(first.try_grow(80));
        let mut second = budget.of_answer();
        assert!(!second.try_grow(30));
        let mut growing = Box::pin(second.grow(30));
        assert!(growing.as_mut().now_or_never().is_none());
        first.set(70);
        assert!(growing.now_or_never().is_some());
        assert_eq!((second.bytes(), budget.used()), (30, 100));
        drop(first);
        assert_eq!(budget.used(), 30);
    }

    #[test]
    fn one_answer_that_is_larger_than_the_budget_is_had_alone() {
        let budget = MemoryBudget::alone(100);
        let request = budget.of_request(500);
        let (mut large, mut small) = (budget.of_answer(), budget.of_answer());
        assert!(large.try_grow(1000) && !small.try_grow(1));
        drop(large);
        assert!(small.try_grow(1));
        drop(request);
    }

    #[test]
    fn calls_that_all_wait_for_more_go_on_one_after_the_other() {
        let budget = MemoryBudget::alone(100);
        let (mut one, mut two) = (budget.of_answer(), budget.of_answer());
        assert!(one.try_grow(50) && two.try_grow(50));
        let mut first = Box::pin(one.grow(60));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = Box::pin(two.grow(60));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(first.now_or_never().is_some(), "each holds what the other waits for");
        assert!(second.as_mut().now_or_never().is_none());
        assert!(one.try_grow(90), "it goes on to its end");
        drop(one);
        assert!(second.now_or_never().is_some());
    }

    #[test]
    fn all_runs_have_two_budgets_and_each_run_one_answer() {
        let memory = HostMemory::default();
        let runs: Vec<_> = (0..6).map(|_| memory.of_run(100)).collect();
        let mut held: Vec<_> = runs.iter().map(MemoryBudget::of_answer).collect();
        assert!(held.iter_mut().all(|held| held.try_grow(100)));
        assert!(runs.iter().all(|run| !run.admits(1)));
        let mut more: Vec<_> = runs.iter().map(MemoryBudget::of_answer).collect();
        assert!(!more.iter_mut().any(|held| held.try_grow(1)));
    }

    #[test]
    fn a_call_that_is_given_up_holds_nothing() {
        let budget = MemoryBudget::alone(10);
        let mut first = budget.of_answer();
        assert!(first.try_grow(10));
        let mut waits = budget.of_answer();
        {
            let mut growing = Box::pin(waits.grow(5));
            assert!(growing.as_mut().now_or_never().is_none());
        }
        drop((first, waits));
        assert_eq!((budget.used(), budget.blocked.get()), (0, 0));
        assert!(budget.admits(1000));
    }
}
