//! All parts of a quota behind one lock. The caller passes in the time; nothing here waits.

use crate::core::Priority;
use std::collections::HashSet;
use std::num::NonZeroU32;
use std::task::Waker;
use std::time::Duration;

use super::ceiling::FixedRateLimiter;
use super::pace::Pace;
use super::permit::PermitOutcome;
use super::queue::{PermitQueue, QueuedWaiter};
use super::round_trips::RoundTrips;
use super::schedule::PermitSchedule;
use super::settings::{QuotaPeriod, QuotaSettings};
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
    /// No permit is given before this, because the service said when to come back.
    pub(super) not_before: Instant,
    pub(super) limit: NonZeroU32,
    period: QuotaPeriod,
    /// In messages a period, with times in periods.
    pace: Pace,
    ceiling: FixedRateLimiter,
    /// The numbers of calls that were served and have not collected their permit yet.
    served: HashSet<u64>,
    pub(super) driver: DriverState,
}

/// The state of the task that serves the waiting calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DriverState {
    /// There is no task, because no calls wait.
    Absent,
    /// The task is about to serve the queue, or serves it.
    Awake,
    /// The task sleeps until this instant, or until it is woken.
    Asleep(Option<Instant>),
}

impl QuotaState {
    pub(super) fn new(settings: &QuotaSettings, clock: &Clock) -> Self {
        let rate = settings.rate();
        let mut slots = WindowSlots::new(
            rate,
            settings.period,
            settings.largest_cost.get(),
            &settings.history,
            clock.now(),
        );
        if settings.shared {
            slots.lend(LentSlots { slots: 0, until: Instant::ZERO });
        }
        Self {
            queue: PermitQueue::default(),
            slots,
            trips: RoundTrips::default(),
            schedule: PermitSchedule::default(),
            sent: RollingCounter::over(Duration::from_secs(1)),
            throttled: RollingCounter::over(Duration::from_mins(1)),
            not_before: Instant::ZERO,
            limit: settings.limit,
            period: settings.period,
            pace: Pace::new(f64::from(settings.limit.get()), rate),
            ceiling: ceiling(settings, clock),
            served: HashSet::new(),
            driver: DriverState::Absent,
        }
    }

    /// Changes the rate. Returns whether it did.
    pub(super) fn grant(&mut self, settings: &QuotaSettings, clock: &Clock) -> bool {
        let rate = settings.rate();
        if !self.slots.resize(rate, settings.largest_cost.get()) {
            return false;
        }
        self.limit = settings.limit;
        self.pace.grant(f64::from(settings.limit.get()), rate);
        self.ceiling = ceiling(settings, clock);
        true
    }

    /// An instant as the pace counts time: a period as if it were a second.
    fn scaled(&self, at: Instant) -> Instant {
        Instant::from_start(at.since_start() / self.period.seconds())
    }

    /// The messages a second that can be sent now.
    pub(super) fn rate(&mut self, now: Instant) -> f64 {
        self.adapted(now).min(self.slots.flow(now).0)
    }

    /// The adaptive pace in messages a second, without the limit of the slots.
    pub(super) fn adapted(&mut self, now: Instant) -> f64 {
        let now = self.scaled(now);
        self.pace.at(now) / f64::from(self.period.seconds())
    }

    /// The adaptive pace as a part of its highest value, in thousandths.
    pub(super) fn paced(&mut self, now: Instant) -> u32 {
        let now = self.scaled(now);
        self.pace.part(now)
    }

    fn spacing(&mut self, cost: u32, now: Instant) -> Duration {
        let rate = self.adapted(now).min(self.slots.brisk_flow(now));
        Duration::from_secs_f64(f64::from(cost) / rate)
    }

    /// Lets a call of `cost` go at `now`. The error is the instant at which to ask again; `None` means after an event.
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
        let scaled = self.scaled(now);
        let on_top = self.pace.on_top(scaled, cost.get());
        let spacing = if on_top { Duration::ZERO } else { self.spacing(cost.get(), now) };
        self.schedule.take(now, spacing, waited);
        Ok(())
    }

    /// Serves a new call at once, if no calls wait and every limit allows it.
    pub(super) fn serve_now(&mut self, cost: NonZeroU32, now: Instant) -> bool {
        self.queue.is_empty() && self.admit(cost, now, false).is_ok()
    }

    /// Puts a new call into the queue.
    pub(super) fn enqueue(&mut self, priority: Priority, entry: QueuedWaiter) -> u64 {
        if self.queue.is_empty() {
            self.schedule.queue_begins(entry.since);
        }
        self.queue.push(priority, entry)
    }

    /// Serves all calls that can go at `now`, in turn. Returns the driver's next state.
    pub(super) fn serve_queue(&mut self, now: Instant, wake: &mut Vec<Waker>) -> DriverState {
        self.driver = self.serve_until_barred(now, wake);
        self.driver
    }

    fn serve_until_barred(&mut self, now: Instant, wake: &mut Vec<Waker>) -> DriverState {
        while let Some(cost) = self.queue.next_cost() {
            // The cost is never 0: `acquire` refuses such a cost.
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

    /// Whether the call with this number was served. Returns true once.
    pub(super) fn collect(&mut self, number: u64) -> bool {
        self.served.remove(&number)
    }

    /// Removes a waiting call. Returns true if other calls may go earlier now.
    pub(super) fn give_up(&mut self, priority: Priority, number: u64, cost: u32, now: Instant) -> bool {
        if self.served.remove(&number) {
            return self.give_back(cost, now);
        }
        let was_first = self.queue.waiting(priority).next().is_some_and(|(first, _)| first == number);
        self.queue.remove(priority, number);
        was_first && self.driver != DriverState::Absent
    }

    /// Takes back a permit with which nothing was written. Returns true if other calls may go earlier now.
    pub(super) fn give_back(&mut self, cost: u32, now: Instant) -> bool {
        self.slots.give_back(cost);
        let spacing = self.spacing(cost, now);
        self.schedule.give_back(spacing);
        self.driver != DriverState::Absent
    }

    /// Records that a call of `cost` is written at `now`. Returns its number, and whether the driver can now tell when
    /// to wake.
    pub(super) fn written(&mut self, cost: u32, now: Instant) -> (u64, bool) {
        self.slots.release(now, &self.trips);
        self.sent.add(now, cost);
        (self.slots.written(cost, now), self.driver == DriverState::Asleep(None))
    }

    /// Records the outcome of a written call at `now`. Returns true if other calls may go earlier now.
    pub(super) fn answered(&mut self, sent: SentCall, answer: PermitOutcome, now: Instant) -> bool {
        let round_trip = now.saturating_since(sent.written);
        let free = if answer == PermitOutcome::Missing {
            self.slots.lost(sent.number, now, &self.trips)
        } else {
            self.trips.record(now, round_trip);
            self.slots.answered(sent.number, round_trip, &self.trips)
        };
        let (scaled, written) = (self.scaled(now), self.scaled(sent.written));
        match answer {
            PermitOutcome::Accepted => self.pace.accepted(scaled, sent.cost),
            PermitOutcome::Throttled { retry_after } => {
                self.throttled.add(now, sent.cost);
                self.pace.refused(scaled, written, sent.cost);
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

fn ceiling(settings: &QuotaSettings, clock: &Clock) -> FixedRateLimiter {
    let per_second = settings.rate() / f64::from(settings.period.seconds());
    FixedRateLimiter::new(per_second, settings.largest_cost, clock.clone())
}

/// A call that was written.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentCall {
    pub(super) number: u64,
    pub(super) written: Instant,
    pub(super) cost: u32,
}
