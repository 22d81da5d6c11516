//! The waiting calls: three priorities that share one quota by weight. Within a priority, the order is first in, first
//! out.
//!
//! The queue uses stride scheduling. Each priority has a position. Every message that the priority is given moves its
//! position on, further for a smaller weight. The priority with the lowest position is next. A priority that was empty
//! joins at the current position of the queue, so it neither saves up turns nor waits behind the others.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::clock::Instant;
use crate::core::Priority;

impl Priority {
    /// The priority's share, in parts of the sum over all waiting priorities.
    pub(super) const fn parts(self) -> u32 {
        match self {
            Self::High => 16,
            Self::Normal => 4,
            Self::Low => 1,
        }
    }

    /// How far one message moves the position: the inverse of the parts.
    const fn stride(self) -> u64 {
        match self {
            Self::High => 1,
            Self::Normal => 4,
            Self::Low => 16,
        }
    }
}

/// A call that waits for a permit.
#[derive(Debug)]
pub(super) struct QueuedWaiter {
    pub(super) cost: u32,
    pub(super) since: Instant,
    pub(super) waker: Waker,
}

#[derive(Debug, Default)]
struct PriorityClass {
    position: u64,
    cost: u64,
    entries: BTreeMap<u64, QueuedWaiter>,
}

/// The queue of one quota. Every operation takes logarithmic time, including the removal from the middle.
#[derive(Debug, Default)]
pub(super) struct PermitQueue {
    classes: [PriorityClass; 3],
    /// The position of the priority that was last served.
    position: u64,
    next_number: u64,
}

impl PermitQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(|class| class.entries.is_empty())
    }

    /// Adds a call at the end of its priority. Returns the call's number.
    pub(super) fn push(&mut self, priority: Priority, entry: QueuedWaiter) -> u64 {
        let position = self.joins_at(priority);
        let class = &mut self.classes[priority as usize];
        class.position = position;
        class.cost += u64::from(entry.cost);
        self.next_number += 1;
        class.entries.insert(self.next_number, entry);
        self.next_number
    }

    /// The position of a priority, or the one at which it would join.
    fn joins_at(&self, priority: Priority) -> u64 {
        let class = &self.classes[priority as usize];
        if class.entries.is_empty() { class.position.max(self.position) } else { class.position }
    }

    pub(super) fn get_mut(&mut self, priority: Priority, number: u64) -> Option<&mut QueuedWaiter> {
        self.classes[priority as usize].entries.get_mut(&number)
    }

    /// Removes a call that gave up.
    pub(super) fn remove(&mut self, priority: Priority, number: u64) -> Option<QueuedWaiter> {
        let class = &mut self.classes[priority as usize];
        let entry = class.entries.remove(&number)?;
        class.cost -= u64::from(entry.cost);
        Some(entry)
    }

    /// The priority that is next.
    fn turn(&self) -> Option<Priority> {
        let waiting =
            Priority::ALL.into_iter().filter(|priority| !self.classes[*priority as usize].entries.is_empty());
        waiting.min_by_key(|priority| self.classes[*priority as usize].position)
    }

    pub(super) fn next_cost(&self) -> Option<u32> {
        let class = &self.classes[self.turn()? as usize];
        class.entries.first_key_value().map(|(_, entry)| entry.cost)
    }

    /// Removes the next call.
    pub(super) fn pop(&mut self) -> Option<(u64, QueuedWaiter)> {
        let priority = self.turn()?;
        let class = &mut self.classes[priority as usize];
        let (number, entry) = class.entries.pop_first()?;
        class.cost -= u64::from(entry.cost);
        self.position = class.position;
        class.position += u64::from(entry.cost) * priority.stride();
        Some((number, entry))
    }

    /// The number of messages that are served before the one with `ahead` messages before it in its own priority:
    /// those, and what the other priorities are given meanwhile.
    pub(super) fn before(&self, priority: Priority, ahead: u64) -> u64 {
        let until = self.joins_at(priority) + ahead * priority.stride();
        let others = Priority::ALL.into_iter().filter(|other| *other != priority).map(|other| {
            let class = &self.classes[other as usize];
            // At equal positions, the more urgent priority goes first.
            let until = if other < priority { until + 1 } else { until };
            until.saturating_sub(class.position).div_ceil(other.stride()).min(class.cost)
        });
        ahead + others.sum::<u64>()
    }

    /// The total cost of the calls that wait in a priority.
    pub(super) fn cost(&self, priority: Priority) -> u64 {
        self.classes[priority as usize].cost
    }

    /// The calls that wait in a priority, first to last.
    pub(super) fn waiting(
        &self,
        priority: Priority,
    ) -> impl ExactSizeIterator<Item = (u64, &QueuedWaiter)> + DoubleEndedIterator {
        self.classes[priority as usize].entries.iter().map(|(number, entry)| (*number, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cost: u32) -> QueuedWaiter {
        QueuedWaiter { cost, since: Instant::ZERO, waker: Waker::noop().clone() }
    }

    #[test]
    fn shares_are_by_weight_and_an_alert_does_not_wait() {
        let mut queue = PermitQueue::default();
        let low = queue.push(Priority::Low, entry(1));
        for _ in 0..10_000 {
            queue.push(Priority::Low, entry(1));
            queue.push(Priority::Normal, entry(1));
        }
        for _ in 0..500 {
            queue.pop();
        }
        assert_eq!(queue.waiting(Priority::Normal).len(), 9_600);
        assert_eq!(queue.waiting(Priority::Low).len(), 9_901);
        assert!(queue.remove(Priority::Low, low).is_none());
        let alert = queue.push(Priority::High, entry(3));
        assert_eq!(queue.before(Priority::High, 3), 3);
        assert_eq!(queue.pop().map(|(number, _)| number), Some(alert));
    }

    #[test]
    fn what_comes_before_is_what_comes_before() {
        let mut queue = PermitQueue::default();
        for number in 0..200 {
            queue.push(Priority::ALL[number % 3], entry(1));
        }
        for priority in Priority::ALL {
            let numbers: Vec<_> = queue.waiting(priority).map(|(number, _)| number).collect();
            let expected: Vec<_> =
                (0..numbers.len()).map(|ahead| queue.before(priority, ahead as u64)).collect();
            let mut copy = PermitQueue::default();
            for number in 0..200 {
                copy.push(Priority::ALL[number % 3], entry(1));
            }
            let served: Vec<_> = std::iter::from_fn(|| copy.pop()).map(|(number, _)| number).collect();
            for (number, expected) in numbers.iter().zip(expected) {
                let position = served.iter().position(|served| served == number).unwrap() as u64;
                assert!(position.abs_diff(expected) <= 1, "{priority:?} {number}: {expected} but {position}");
            }
        }
    }
}
