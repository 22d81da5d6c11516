//! All parts of a quota together, behind one lock; it is told the time and waits for nothing.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::task::Waker;
use std::time::Duration;

use super::ceiling::FixedRateLimiter;
use super::pace::Pace;
use super::permit::PermitOutcome;
use super::queue::{PermitQueue, Priority, QueuedWaiter};
use super::round_trips::RoundTrips;
use super::schedule::PermitSchedule;
use super::settings::QuotaSettings;
use super::tally::RollingCounter;
use super::window_slots::{LentSlots, WindowSlots};
use crate::clock::{Clock, Instant};

#[derive(Debug)]
pub(super) struct QuotaState {
    pub(super) queue: PermitQueue,
    pub(super) slots: WindowSlots,
    pub(super) trips: RoundTrips,
    pub(super) schedule: PermitSchedule,
    pub(super) sent: RollingCounter,
    pub(super) throttled: RollingCounter,
    /// Nothing leaves before this, because the service said so.
    pub(super) not_before: Instant,
    pub(super) per_second: NonZeroU32,
    pace: Pace,
    ceiling: FixedRateLimiter,
    /// Those who were served and have not come for their permit yet.
    served: HashSet<u64>,
    pub(super) driver: DriverState,
}

/// What the task that serves those who wait is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DriverState {
    /// There is none: nobody waits.
    Absent,
    /// It is about to look, or looks.
    Awake,
    /// It sleeps until then, or until it is called.
    Asleep(Option<Instant>),
}

impl QuotaState {
    pub(super) fn new(settings: &QuotaSettings, clock: &Clock) -> Self {
        let rate = settings.rate();
        let mut places = WindowSlots::new(rate, &settings.history, clock.now());
        if settings.shared {
            places.lend(LentSlots { places: 0, until: Instant::ZERO });
        }
        Self {
            queue: PermitQueue::default(),
            slots: places,
            trips: RoundTrips::default(),
            schedule: PermitSchedule::default(),
            sent: RollingCounter::over(Duration::from_secs(1)),
            throttled: RollingCounter::over(Duration::from_mins(1)),
            not_before: Instant::ZERO,
            per_second: settings.per_second,
            pace: Pace::new(f64::from(settings.per_second.get()), rate),
            ceiling: FixedRateLimiter::new(rate, settings.largest_cost, clock.clone()),
            served: HashSet::new(),
            driver: DriverState::Absent,
        }
    }

    /// Grants another rate; gives whether it did.
    pub(super) fn grant(&mut self, settings: &QuotaSettings, clock: &Clock) -> bool {
        let rate = settings.rate();
        if !self.slots.resize(rate, settings.largest_cost.get()) {
            return false;
        }
        self.per_second = settings.per_second;
        self.pace.grant(f64::from(settings.per_second.get()), rate);
        self.ceiling = FixedRateLimiter::new(rate, settings.largest_cost, clock.clone());
        true
    }

    /// Messages a second that can leave now.
    pub(super) fn rate(&mut self, now: Instant) -> f64 {
        self.pace.at(now).min(self.slots.flow(now).0)
    }

    /// The adapted pace alone.
    pub(super) fn adapted(&mut self, now: Instant) -> f64 {
        self.pace.at(now)
    }

    /// The adapted pace as a part of what it is when nothing is refused, in thousandths.
    pub(super) fn paced(&mut self, now: Instant) -> u32 {
        self.pace.part(now)
    }

    fn spacing(&mut self, cost: u32, now: Instant) -> Duration {
        let rate = self.pace.at(now).min(self.slots.brisk_flow(now));
        Duration::from_secs_f64(f64::from(cost) / rate)
    }

    /// Lets a call of `cost` go at `now`, or says when to ask again (`None`: after an event).
    fn admit(&mut self, cost: NonZeroU32, now: Instant, waited: bool) -> Result<(), Option<Instant>> {
        let due = self.schedule.next().max(self.not_before);
        if due > now {
            return Err(Some(due));
        }
        self.slots.release(now, &self.trips);
        if !self.slots.fits(cost.get(), now) {
            return Err(self.slots.next_free(now, &self.trips));
        }
        self.ceiling.check(cost).map_err(Some)?;
        self.slots.take(cost.get());
        let on_top = self.pace.on_top(now, cost.get());
        let spacing = if on_top { Duration::ZERO } else { self.spacing(cost.get(), now) };
        self.schedule.take(now, spacing, waited);
        Ok(())
    }

    /// Serves a newcomer at once, where nobody waits and nothing forbids it.
    pub(super) fn serve_now(&mut self, cost: NonZeroU32, now: Instant) -> bool {
        self.queue.is_empty() && self.admit(cost, now, false).is_ok()
    }

    /// Lets a newcomer wait.
    pub(super) fn enqueue(&mut self, priority: Priority, entry: QueuedWaiter) -> u64 {
        if self.queue.is_empty() {
            self.schedule.queue_begins(entry.since);
        }
        self.queue.push(priority, entry)
    }

    /// Serves all who can go at `now`, each in turn, and says what the driver is to do next.
    pub(super) fn serve_queue(&mut self, now: Instant, wake: &mut Vec<Waker>) -> DriverState {
        self.driver = self.serve_until_barred(now, wake);
        self.driver
    }

    fn serve_until_barred(&mut self, now: Instant, wake: &mut Vec<Waker>) -> DriverState {
        while let Some(cost) = self.queue.next_cost() {
            // A cost is never 0: `acquire` refuses it.
            if let Err(again) = self.admit(NonZeroU32::new(cost).unwrap_or(NonZeroU32::MIN), now, true) {
                return DriverState::Asleep(again);
            }
            if let Some((number, entry)) = self.queue.pop() {
                self.served.insert(number);
                wake.push(entry.waker);
            }
        }
        DriverState::Absent
    }

    /// Whether the one with this number was served; true once.
    pub(super) fn collect(&mut self, number: u64) -> bool {
        self.served.remove(&number)
    }

    /// One that waited gives up. True when that may let others go earlier.
    pub(super) fn give_up(&mut self, priority: Priority, number: u64, cost: u32, now: Instant) -> bool {
        if self.served.remove(&number) {
            return self.give_back(cost, now);
        }
        let was_first = self.queue.waiting(priority).next().is_some_and(|(first, _)| first == number);
        self.queue.remove(priority, number);
        was_first && self.driver != DriverState::Absent
    }

    /// A permit came back, nothing was written. True when that may let others go earlier.
    pub(super) fn give_back(&mut self, cost: u32, now: Instant) -> bool {
        self.slots.give_back(cost);
        let spacing = self.spacing(cost, now);
        self.schedule.give_back(spacing);
        self.driver != DriverState::Absent
    }

    /// A call of `cost` is written at `now`; gives the number to name it by, and whether that lets the driver know
    /// when to look again.
    pub(super) fn written(&mut self, cost: u32, now: Instant) -> (u64, bool) {
        self.slots.release(now, &self.trips);
        self.sent.add(now, cost);
        (self.slots.written(cost, now), self.driver == DriverState::Asleep(None))
    }

    /// What became of a written call is known at `now`. True when that may let others go earlier.
    pub(super) fn answered(&mut self, sent: SentCall, answer: PermitOutcome, now: Instant) -> bool {
        let round_trip = now.saturating_since(sent.written);
        let free = if answer == PermitOutcome::Missing {
            self.slots.lost(sent.number, now, &self.trips)
        } else {
            self.trips.record(now, round_trip);
            self.slots.answered(sent.number, round_trip, &self.trips)
        };
        match answer {
            PermitOutcome::Accepted => self.pace.accepted(now, sent.cost),
            PermitOutcome::Throttled { retry_after } => {
                self.throttled.add(now, sent.cost);
                self.pace.refused(now, sent.written, sent.cost);
                if let Some(wait) = retry_after {
                    self.not_before = self.not_before.max(now + wait);
                }
            }
            PermitOutcome::Other | PermitOutcome::Missing => {}
        }
        match self.driver {
            DriverState::Asleep(until) => free.is_some_and(|free| until.is_none_or(|until| free < until)),
            DriverState::Awake | DriverState::Absent => false,
        }
    }
}

/// A call that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentCall {
    pub(super) number: u64,
    pub(super) written: Instant,
    pub(super) cost: u32,
}
