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
    chair: Rc<Slot>,
    number: Cell<u64>,
    seats: Weak<ConnectionLimiter>,
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
                    self.taken.borrow().iter().find(|(_, chair)| chair.busy.get() == 0).map(|(of, _)| *of);
                let gone = self.taken.borrow_mut().remove(&idle?)?;
                gone.evicted.cancel();
            }
            self.closed.notified().await;
        }
        let chair = Rc::new(Slot::default());
        let number = self.number();
        self.taken.borrow_mut().insert(number, Rc::clone(&chair));
        self.open.set(self.open.get() + 1);
        Some(ConnectionPermit { chair, number: Cell::new(number), seats: Rc::downgrade(self) })
    }

    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }
}

impl ConnectionPermit {
    /// Marks the connection as busy.
    pub(super) fn busy(self: &Rc<Self>) -> BusyGuard {
        self.chair.busy.set(self.chair.busy.get() + 1);
        BusyGuard(Rc::clone(self))
    }

    /// Waits until the slot is needed by another connection.
    pub(super) async fn evicted(&self) {
        self.chair.evicted.cancelled().await;
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some(seats) = self.seats.upgrade() {
            seats.taken.borrow_mut().remove(&self.number.get());
            seats.open.set(seats.open.get() - 1);
            seats.closed.notify_one();
        }
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        let Self(seat) = self;
        seat.chair.busy.set(seat.chair.busy.get() - 1);
        // The slot becomes the most recently used one.
        let Some(seats) = seat.seats.upgrade() else { return };
        let mut taken = seats.taken.borrow_mut();
        if let Some(chair) = taken.remove(&seat.number.get()) {
            seat.number.set(seats.number());
            taken.insert(seat.number.get(), chair);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn take(seats: &Rc<ConnectionLimiter>) -> Rc<ConnectionPermit> {
        Rc::new(seats.take().now_or_never().unwrap().unwrap())
    }

    #[test]
    fn who_has_done_nothing_for_longest_leaves_first_and_who_is_answered_stays() {
        let seats = Rc::new(ConnectionLimiter::new(2));
        let (first, second) = (take(&seats), take(&seats));
        drop(first.busy());
        assert!(seats.take().now_or_never().is_none(), "the second one is still open");
        assert!(second.evicted().now_or_never().is_some() && first.evicted().now_or_never().is_none());
        drop(second);
        let third = take(&seats);
        let (_one, _other) = (first.busy(), third.busy());
        assert!(seats.take().now_or_never().unwrap().is_none());
    }

    #[test]
    fn no_more_are_open_than_there_are_slots() {
        let seats = Rc::new(ConnectionLimiter::new(2));
        let mut open = vec![take(&seats), take(&seats)];
        for _ in 0..10 {
            assert!(seats.take().now_or_never().is_none());
            open.retain(|seat| seat.evicted().now_or_never().is_none());
            assert_eq!(open.len(), 1, "one is told to close for one that waits");
            open.push(take(&seats));
        }
    }

    #[test]
    fn a_seat_that_is_left_is_free() {
        let seats = Rc::new(ConnectionLimiter::new(1));
        let seat = take(&seats);
        let busy = seat.busy();
        assert!(seats.take().now_or_never().unwrap().is_none());
        drop((seat, busy));
        take(&seats);
    }
}
