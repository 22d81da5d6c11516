//! Limits the number of concurrent connections. When all slots are taken, the connection that has been idle longest
//! is closed. A connection with a request in progress is never closed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The connection limit.
pub(super) struct ConnectionLimiter {
    most: usize,
    /// The number of connections that are open, those included that were told to close.
    open: Cell<usize>,
    /// A connection was closed.
    closed: Notify,
    /// The taken slots by an increasing number. The first one has been unused longest.
    taken: RefCell<BTreeMap<u64, Rc<Slot>>>,
    next: Cell<u64>,
}

#[derive(Default)]
struct Slot {
    /// The number of requests in progress on the connection.
    busy: Cell<usize>,
    evicted: CancellationToken,
}

/// Holds a slot until it is dropped.
pub(super) struct ConnectionPermit {
    slot: Rc<Slot>,
    number: Cell<u64>,
    limiter: Weak<ConnectionLimiter>,
}

/// Marks a connection as busy until it is dropped.
pub(super) struct BusyGuard(Rc<ConnectionPermit>);

impl ConnectionLimiter {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            open: Cell::default(),
            closed: Notify::new(),
            taken: RefCell::default(),
            next: Cell::default(),
        }
    }

    /// Takes a slot, once the connection that it belonged to is closed: each open one has a file of the process.
    /// `None` if all slots belong to busy connections.
    pub(super) async fn take(self: &Rc<Self>) -> Option<ConnectionPermit> {
        while self.open.get() >= self.most {
            if self.taken.borrow().len() >= self.most {
                let idle =
                    self.taken.borrow().iter().find(|(_, slot)| slot.busy.get() == 0).map(|(of, _)| *of);
                let gone = self.taken.borrow_mut().remove(&idle?)?;
                gone.evicted.cancel();
            }
            self.closed.notified().await;
        }
        let slot = Rc::new(Slot::default());
        let number = self.number();
        self.taken.borrow_mut().insert(number, Rc::clone(&slot));
        self.open.set(self.open.get() + 1);
        Some(ConnectionPermit { slot, number: Cell::new(number), limiter: Rc::downgrade(self) })
    }

    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }
}

impl ConnectionPermit {
    /// Marks the connection as busy.
    pub(super) fn busy(self: &Rc<Self>) -> BusyGuard {
        self.slot.busy.set(self.slot.busy.get() + 1);
        BusyGuard(Rc::clone(self))
    }

    /// Waits until the slot is needed by another connection.
    pub(super) async fn evicted(&self) {
        self.slot.evicted.cancelled().await;
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some(limiter) = self.limiter.upgrade() {
            limiter.taken.borrow_mut().remove(&self.number.get());
            limiter.open.set(limiter.open.get() - 1);
            limiter.closed.notify_one();
        }
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        let Self(permit) = self;
        permit.slot.busy.set(permit.slot.busy.get() - 1);
        // The slot becomes the most recently used one.
        let Some(limiter) = permit.limiter.upgrade() else { return };
        let mut taken = limiter.taken.borrow_mut();
        if let Some(slot) = taken.remove(&permit.number.get()) {
            permit.number.set(limiter.number());
            taken.insert(permit.number.get(), slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn take(limiter: &Rc<ConnectionLimiter>) -> Rc<ConnectionPermit> {
        Rc::new(limiter.take().now_or_never().unwrap().unwrap())
    }

    #[test]
    fn who_has_done_nothing_for_longest_leaves_first_and_who_is_answered_stays() {
        let limiter = Rc::new(ConnectionLimiter::new(2));
        let (first, second) = (take(&limiter), take(&limiter));
        drop(first.busy());
        assert!(limiter.take().now_or_never().is_none(), "the second one is still open");
        assert!(second.evicted().now_or_never().is_some() && first.evicted().now_or_never().is_none());
        drop(second);
        let third = take(&limiter);
        let (_one, _other) = (first.busy(), third.busy());
        assert!(limiter.take().now_or_never().unwrap().is_none());
    }

    #[test]
    fn no_more_are_open_than_there_are_slots() {
        let limiter = Rc::new(ConnectionLimiter::new(2));
        let mut open = vec![take(&limiter), take(&limiter)];
        for _ in 0..10 {
            assert!(limiter.take().now_or_never().is_none());
            open.retain(|permit| permit.evicted().now_or_never().is_none());
            assert_eq!(open.len(), 1, "one is told to close for one that waits");
            open.push(take(&limiter));
        }
    }

    #[test]
    fn a_seat_that_is_left_is_free() {
        let limiter = Rc::new(ConnectionLimiter::new(1));
        let permit = take(&limiter);
        let busy = permit.busy();
        assert!(limiter.take().now_or_never().unwrap().is_none());
        drop((permit, busy));
        take(&limiter);
    }
}
