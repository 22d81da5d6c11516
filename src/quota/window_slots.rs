//! The window guard: N places, each taken by one message at a time.
//!
//! **Why no second holds more than N.** A message holds its place from its permit until the place is free again. No
//! more than N are held at once, so the messages can be dealt out to N chains in which each message was written
//! after the one before it was freed. If within a chain arrivals are a second apart or more, then any second,
//! wherever it begins, holds one arrival of each chain at the most, N in all: within a sliding second, so within a
//! second of the wall clock too (refused calls counted or not: there are none), and T seconds hold N(T + 1) at
//! most, which a bucket of N refilled with N a second takes.
//!
//! **When a place is free.** Let j be in a place and i want it next: wanted is arrival(i) ≥ arrival(j) + 1 s. Known
//! are written(j) and answer(j), of which d(j) = arrival(j) − written(j) and b(j) = answer(j) − arrival(j) are the
//! two halves. Any one of these suffices, so the earliest is taken:
//!
//! - written(i) ≥ answer(j) + 1 s: it was there before it was answered. Needs no estimate.
//! - written(i) ≥ answer(j) + 1 s − r, where r ≤ d(i) + b(j): arrival(i) = written(i) + d(i) ≥ answer(j) − b(j) +
//!   1 s. A forward and a backward half make a whole, so r is a little less than the smallest round trip of late.
//!   This is what comes to N/(1 + spread) when the delay varies: the round trips' spread is up to twice the one-way
//!   spread, but here a message pays for what it took itself, and the mean of that is the one-way spread.
//! - written(i) ≥ written(j) + 1 s + s, where s ≥ d(j) − d(i): s is the largest round trip of late less the
//!   smallest. It counts for a service that computes for long and evenly, and for a message that has no answer.
//!
//! A rule that looks only at the N-th message before is the same with the places taken in turn; a slow answer then
//! holds up all that come after it, here just its own place.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::round_trips::RoundTrips;
use super::settings::SendHistory;
use crate::clock::Instant;

/// Instants at which places come free are rounded up to this, so that memory is bounded by time, not by the rate.
const GRAIN: Duration = Duration::from_micros(100);
/// The spread that is assumed of an earlier process, and of a message without an answer while nothing is known.
pub(super) const ASSUMED_SPREAD: Duration = Duration::from_millis(500);
/// For how long over its second a message without an answer holds its place while no spread is known.
const UNANSWERED: Duration = Duration::from_secs(5);

/// The N places of a quota and what holds them.
#[derive(Debug)]
pub(super) struct WindowSlots {
    total: u32,
    /// How long a message binds: a second, or more for a rate under one a second.
    second: Duration,
    /// How many of them this process may use, where others use the same; all of them otherwise.
    lent: Option<LentSlots>,
    /// Places held by permits of this process.
    held: u64,
    /// Places that come free at a known instant.
    freeing: BTreeMap<Instant, u64>,
    /// Messages that were written, in that order; numbered from `first`.
    sent: VecDeque<WrittenCall>,
    first: u64,
    before: Option<PriorUsage>,
    /// How long a place is held for a message, in seconds: the mean of late, and how far holds are from it.
    mean_hold: f64,
    deviation: f64,
    answers: u32,
}

/// Places of a quota that several processes share, as they were lent to this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LentSlots {
    /// How many.
    pub places: u32,
    /// From then on there are none.
    pub until: Instant,
}

/// A written call; `open` until it is answered.
#[derive(Debug, Clone, Copy)]
struct WrittenCall {
    written: Instant,
    cost: u32,
    open: bool,
}

/// The places that an earlier process may have left, which come free evenly until `end`.
#[derive(Debug, Clone, Copy)]
struct PriorUsage {
    end: Instant,
    lasts: Duration,
}

impl WindowSlots {
    /// Places for `rate` messages a second, over 0.
    pub(super) fn new(rate: f64, history: &SendHistory, now: Instant) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is not negative"
        )]
        let total = (rate.floor() as u32).max(1);
        let second = Duration::from_secs_f64((f64::from(total) / rate).max(1.0));
        let mut places = Self {
            total,
            second,
            lent: None,
            held: 0,
            freeing: BTreeMap::new(),
            sent: VecDeque::new(),
            first: 0,
            before: None,
            mean_hold: second.as_secs_f64(),
            deviation: 0.0,
            answers: 0,
        };
        match history {
            SendHistory::Unused => {}
            SendHistory::Unknown => {
                // The earlier process wrote its k-th last message (1 s + its spread)·k/N ago at the latest. Freeing
                // its place (1 s + assumed)·(1 − k/N) from now keeps old and new arrivals of any second within N
                // for every spread up to the assumed one.
                let lasts = second + ASSUMED_SPREAD;
                places.before = Some(PriorUsage { end: now + lasts, lasts });
            }
            SendHistory::Known(sends) => {
                for send in sends {
                    let binds = places.hold(send.cost) + ASSUMED_SPREAD;
                    if let Some(left) = binds.checked_sub(send.ago) {
                        let taken = places.places(send.cost);
                        places.held += taken;
                        places.free_at(now + left, taken);
                    }
                }
            }
        }
        places
    }

    /// From now on there are places for `rate` messages a second; those that are held stay held, so that no second holds
    /// more than the larger number while they are. Gives whether that can be: where the largest call has more messages
    /// than a second, before or after, its places would be counted by two measures.
    pub(super) fn resize(&mut self, rate: f64, largest_cost: u32) -> bool {
        let new = Self::new(rate, &SendHistory::Unused, Instant::ZERO);
        if largest_cost > self.total.min(new.total) || self.second != new.second {
            return false;
        }
        self.total = new.total;
        true
    }

    /// The places that a call of `cost` takes: one a message, and all of them for a call that has more.
    fn places(&self, cost: u32) -> u64 {
        u64::from(cost.min(self.total))
    }

    /// For how long a call of `cost` binds: one second, or as many as it is worth.
    fn hold(&self, cost: u32) -> Duration {
        self.second * cost.div_ceil(self.total)
    }

    fn free_at(&mut self, at: Instant, places: u64) {
        let nanos = at.since_start().as_nanos().next_multiple_of(GRAIN.as_nanos());
        let at = Instant::from_start(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        *self.freeing.entry(at).or_default() += places;
    }

    /// Frees what is free by now.
    pub(super) fn release(&mut self, now: Instant, trips: &RoundTrips) {
        while let Some(entry) = self.freeing.first_entry() {
            if *entry.key() > now {
                break;
            }
            self.held -= entry.remove();
        }
        while let Some(sent) = self.sent.front().copied() {
            if sent.open {
                if self.unanswered_until(sent, trips) > now {
                    break;
                }
                self.held -= self.places(sent.cost);
            }
            self.sent.pop_front();
            self.first += 1;
        }
        self.before = self.before.filter(|before| before.end > now);
    }

    fn unanswered_until(&self, sent: WrittenCall, trips: &RoundTrips) -> Instant {
        sent.written + self.hold(sent.cost) + trips.spread().unwrap_or(UNANSWERED)
    }

    fn held_before(&self, now: Instant) -> u64 {
        self.before.map_or(0, |before| {
            let left = before.end.saturating_since(now).as_nanos() * u128::from(self.total);
            u64::try_from(left.div_ceil(before.lasts.as_nanos())).unwrap_or(u64::MAX)
        })
    }

    /// How many places are held, those of an earlier process included.
    pub(super) fn in_use(&self, now: Instant) -> u64 {
        self.held + self.held_before(now)
    }

    /// Whether a call of `cost` finds its places free. `release` comes first.
    pub(super) fn fits(&self, cost: u32, now: Instant) -> bool {
        self.in_use(now) + self.places(cost) <= u64::from(self.allowed(now))
    }

    /// From now on this process may use only what it was lent.
    pub(super) fn lend(&mut self, lent: LentSlots) {
        self.lent = Some(lent);
    }

    fn allowed(&self, now: Instant) -> u32 {
        match self.lent {
            Some(lent) if now < lent.until => lent.places.min(self.total),
            Some(_) => 0,
            None => self.total,
        }
    }

    /// All places of the quota, those of other processes included.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// For how long a call of `cost` can bind its places after it was written, by all that is assumed.
    pub(super) fn longest(&self, cost: u32) -> Duration {
        self.hold(cost) + ASSUMED_SPREAD
    }

    /// When the next place comes free, as far as is known now; `None` when that hangs on an event.
    pub(super) fn next_free(&self, now: Instant, trips: &RoundTrips) -> Option<Instant> {
        let timed = self.freeing.first_key_value().map(|(at, _)| *at);
        let unanswered =
            self.sent.front().filter(|sent| sent.open).map(|sent| self.unanswered_until(*sent, trips));
        let before = self.before.map(|before| {
            // The instant at which one place less is held by the earlier process.
            let left = u32::try_from(self.held_before(now).saturating_sub(1)).unwrap_or(u32::MAX);
            let until_end = before.lasts.mul_f64(f64::from(left) / f64::from(self.total));
            before.end.saturating_sub(until_end).max(now + Duration::from_nanos(1))
        });
        [timed, unanswered, before].into_iter().flatten().min()
    }

    /// Takes the places of a call of `cost`.
    pub(super) fn take(&mut self, cost: u32) {
        self.held += self.places(cost);
    }

    /// Gives them back: nothing was written.
    pub(super) fn give_back(&mut self, cost: u32) {
        self.held -= self.places(cost);
    }

    /// The call was written at `now`, which never goes back; gives the number to name it by.
    pub(super) fn written(&mut self, cost: u32, now: Instant) -> u64 {
        self.sent.push_back(WrittenCall { written: now, cost, open: true });
        self.first + self.sent.len() as u64 - 1
    }

    /// The call with this number was answered after `round_trip`. Gives the instant at which its places are free,
    /// or `None` when they already were.
    pub(super) fn answered(
        &mut self,
        number: u64,
        round_trip: Duration,
        trips: &RoundTrips,
    ) -> Option<Instant> {
        let sent = self.close(number)?;
        let excess = trips.excess(round_trip);
        let free = sent.written + self.hold(sent.cost) + excess;
        self.free_at(free, self.places(sent.cost));
        let hold = (self.second + excess).as_secs_f64();
        self.answers = (self.answers + 1).min(self.total.clamp(16, 1024));
        let weight = 1.0 / f64::from(self.answers);
        self.mean_hold += (hold - self.mean_hold) * weight;
        self.deviation += ((hold - self.mean_hold).abs() - self.deviation) * weight;
        Some(free)
    }

    /// The call with this number has no answer and will have none. It arrived before `now` or never, so a second
    /// from now its places are free at the latest.
    pub(super) fn lost(&mut self, number: u64, now: Instant, trips: &RoundTrips) -> Option<Instant> {
        let sent = self.close(number)?;
        let free = (now + self.hold(sent.cost)).min(self.unanswered_until(sent, trips));
        self.free_at(free, self.places(sent.cost));
        Some(free)
    }

    fn close(&mut self, number: u64) -> Option<WrittenCall> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let sent = self.sent.get_mut(at).filter(|sent| sent.open)?;
        sent.open = false;
        Some(*sent)
    }

    /// Messages a second that the places let through at `now`, and until when that holds (`None`: until further
    /// notice).
    pub(super) fn flow(&self, now: Instant) -> (f64, Option<Instant>) {
        let total = f64::from(self.total);
        match self.before.filter(|before| before.end > now) {
            Some(before) => (total / before.lasts.as_secs_f64(), Some(before.end)),
            None => (total / self.mean_hold, None),
        }
    }

    /// The flow that a schedule must aim at to reach it: where places come free by chance, gaps must be made up for.
    pub(super) fn brisk_flow(&self, now: Instant) -> f64 {
        let (flow, until) = self.flow(now);
        if until.is_some() { flow } else { flow * (1.000_5 + 2.0 * self.deviation / self.mean_hold) }
    }
}
