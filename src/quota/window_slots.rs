//! The window guard: N slots, each held by one message at a time.
//!
//! The text below is about a quota of N a second. It holds for N a minute with a minute in each place of the second.
//!
//! **Why no second holds more than N.** A message holds its slot from its permit until the slot is free again. No more
//! than N slots are held at once. So the messages can be dealt out to N chains in which each message was written after
//! the one before it was freed. If the arrivals within a chain are at least a second apart, then any second, wherever
//! it begins, holds at most one arrival of each chain, N in all. That covers a sliding second, and so a second of the
//! wall clock too (with refused calls counted or not, because there are none). T seconds hold at most N(T + 1), which a
//! bucket of N refilled with N a second accepts.
//!
//! **When a slot is free.** Let message j hold a slot and message i be the next to use it. The guard must ensure
//! arrival(i) ≥ arrival(j) + 1 s. It knows written(j) and answer(j). The two halves of that round trip are d(j) =
//! arrival(j) − written(j) and b(j) = answer(j) − arrival(j). Any one of these conditions suffices, so the guard uses
//! the earliest:
//!
//! - written(i) ≥ answer(j) + 1 s: message j arrived before it was answered. This needs no estimate.
//! - written(i) ≥ answer(j) + 1 s − r, where r ≤ d(i) + b(j): arrival(i) = written(i) + d(i) ≥ answer(j) − b(j) + 1 s.
//!   A forward and a backward half make a whole, so r is slightly less than the smallest recent round trip. This
//!   condition gives a rate of N/(1 + spread) when the delay varies. The spread of round trips is up to twice the
//!   one-way spread, but here a message is charged for its own time only, and the mean of that is the one-way spread.
//! - written(i) ≥ written(j) + 1 s + s, where s ≥ d(j) − d(i): s is the largest recent round trip minus the smallest.
//!   This condition applies to a service with a long and even computing time, and to a message without an answer.
//!
//! A rule that considers only the N-th message before is the same as this one with the slots taken in turn. There a
//! slow answer delays all messages after it; here it delays only its own slot.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::round_trips::RoundTrips;
use super::settings::{QuotaPeriod, SendHistory};
use crate::clock::Instant;

/// Instants at which slots come free are rounded up to this, so that memory is bounded by time and not by the rate.
const GRAIN: Duration = Duration::from_micros(100);
/// The spread of round trips that is assumed for the messages of an earlier process, and for [`WindowSlots::longest`].
pub(super) const ASSUMED_SPREAD: Duration = Duration::from_millis(500);
/// How much longer than its second a message without an answer holds its slot while no spread is known.
const UNANSWERED: Duration = Duration::from_secs(5);

/// The N slots of a quota and the messages that hold them.
#[derive(Debug)]
pub(super) struct WindowSlots {
    total: u32,
    /// The period over which the service counts.
    period: QuotaPeriod,
    /// How long a message holds its slot: a period, or more for a rate under one a period.
    second: Duration,
    /// The slots that this process may use of a shared quota; `None` if it may use all.
    lent: Option<LentSlots>,
    /// The slots that permits of this process hold.
    held: u64,
    /// The number of slots that come free at each known instant.
    freeing: BTreeMap<Instant, u64>,
    /// The written messages in their order. The first has the number `first`.
    sent: VecDeque<WrittenCall>,
    first: u64,
    before: Option<PriorUsage>,
    /// How long a message holds its slot, in seconds: the recent mean, and the mean deviation from it.
    mean_hold: f64,
    deviation: f64,
    answers: u32,
}

/// The slots of a shared quota that are lent to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LentSlots {
    /// The number of slots.
    pub slots: u32,
    /// The instant from which on there are none.
    pub until: Instant,
}

/// A written call. `open` is true until it is answered.
#[derive(Debug, Clone, Copy)]
struct WrittenCall {
    written: Instant,
    cost: u32,
    open: bool,
}

/// The slots that an earlier process may hold. They come free evenly until `end`.
#[derive(Debug, Clone, Copy)]
struct PriorUsage {
    end: Instant,
    lasts: Duration,
}

impl WindowSlots {
    /// Slots for `rate` messages a period, which must be over 0.
    /// `largest_cost` is that of the largest call.
    pub(super) fn new(
        rate: f64,
        period: QuotaPeriod,
        largest_cost: u32,
        history: &SendHistory,
        now: Instant,
    ) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is not negative"
        )]
        let total = (rate.floor() as u32).max(1);
        let second = period.duration().mul_f64((f64::from(total) / rate).max(1.0));
        let mut slots = Self {
            total,
            period,
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
                // The earlier process wrote its k-th last message (1 s + its spread)·k/N ago at the latest. Its slot is
                // freed (1 s + assumed)·(1 − k/N) from now. This keeps old and new arrivals of any second within N for
                // every spread up to the assumed one.
                // Its last message may have been the largest call, whose messages are not spaced.
                let lasts = second + ASSUMED_SPREAD;
                let lump = f64::from(largest_cost.min(total).saturating_sub(1)) / f64::from(total);
                slots.before = Some(PriorUsage { end: now + lasts + lasts.mul_f64(lump), lasts });
            }
            SendHistory::Known(sends) => {
                for send in sends {
                    let binds = slots.hold(send.cost) + ASSUMED_SPREAD;
                    if let Some(left) = binds.checked_sub(send.ago) {
                        let taken = slots.slots(send.cost);
                        slots.held += taken;
                        slots.free_at(now + left, taken);
                    }
                }
            }
        }
        slots
    }

    /// Changes the number of slots for `rate` messages a period. Held slots stay held, so while they are, no period
    /// holds more than the larger number. Returns false if the largest call has more messages than a period, before or
    /// after: its slots would be counted by two measures.
    pub(super) fn resize(&mut self, rate: f64, largest_cost: u32) -> bool {
        let new = Self::new(rate, self.period, 1, &SendHistory::Unused, Instant::ZERO);
        if largest_cost > self.total.min(new.total) || self.second != new.second {
            return false;
        }
        self.total = new.total;
        true
    }

    /// The slots that a call of `cost` takes: one for each message, or all of them for a larger call.
    fn slots(&self, cost: u32) -> u64 {
        u64::from(cost.min(self.total))
    }

    /// How long a call of `cost` holds its slots: one period, or as many as it is worth.
    fn hold(&self, cost: u32) -> Duration {
        self.second * cost.div_ceil(self.total)
    }

    fn free_at(&mut self, at: Instant, slots: u64) {
        let nanos = at.since_start().as_nanos().next_multiple_of(GRAIN.as_nanos());
        let at = Instant::from_start(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        *self.freeing.entry(at).or_default() += slots;
    }

    /// Frees the slots that are free by `now`.
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
                self.held -= self.slots(sent.cost);
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
            let held = u64::try_from(left.div_ceil(before.lasts.as_nanos())).unwrap_or(u64::MAX);
            held.min(u64::from(self.total))
        })
    }

    /// The number of held slots, including those of an earlier process.
    pub(super) fn in_use(&self, now: Instant) -> u64 {
        self.held + self.held_before(now)
    }

    /// Whether the slots for a call of `cost` are free. Call `release` first.
    pub(super) fn fits(&self, cost: u32, now: Instant) -> bool {
        self.in_use(now) + self.slots(cost) <= u64::from(self.allowed(now))
    }

    /// Limits this process to the lent slots from now on.
    pub(super) fn lend(&mut self, lent: LentSlots) {
        self.lent = Some(lent);
    }

    fn allowed(&self, now: Instant) -> u32 {
        match self.lent {
            Some(lent) if now < lent.until => lent.slots.min(self.total),
            Some(_) => 0,
            None => self.total,
        }
    }

    /// All slots of the quota, including those of other processes.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// The longest time for which a call of `cost` can hold its slots after it was written, by the assumed spread.
    pub(super) fn longest(&self, cost: u32) -> Duration {
        self.hold(cost) + ASSUMED_SPREAD
    }

    /// When the next slot comes free, as far as is known now; `None` if that depends on an event.
    pub(super) fn next_free(&self, now: Instant, trips: &RoundTrips) -> Option<Instant> {
        let timed = self.freeing.first_key_value().map(|(at, _)| *at);
        let unanswered =
            self.sent.front().filter(|sent| sent.open).map(|sent| self.unanswered_until(*sent, trips));
        let before = self.before.map(|before| {
            // The instant at which the earlier process holds one slot less.
            let left = u32::try_from(self.held_before(now).saturating_sub(1)).unwrap_or(u32::MAX);
            let until_end = before.lasts.mul_f64(f64::from(left) / f64::from(self.total));
            before.end.saturating_sub(until_end).max(now + Duration::from_nanos(1))
        });
        [timed, unanswered, before].into_iter().flatten().min()
    }

    /// Takes the slots for a call of `cost`.
    pub(super) fn take(&mut self, cost: u32) {
        self.held += self.slots(cost);
    }

    /// Gives the slots back, because nothing was written.
    pub(super) fn give_back(&mut self, cost: u32) {
        self.held -= self.slots(cost);
    }

    /// Records that the call was written at `now`, which must not go back. Returns the call's number.
    pub(super) fn written(&mut self, cost: u32, now: Instant) -> u64 {
        self.sent.push_back(WrittenCall { written: now, cost, open: true });
        self.first + self.sent.len() as u64 - 1
    }

    /// Records that the call with this number was answered after `round_trip`. Returns the instant at which its slots
    /// are free; `None` if they already were.
    pub(super) fn answered(
        &mut self,
        number: u64,
        round_trip: Duration,
        trips: &RoundTrips,
    ) -> Option<Instant> {
        let sent = self.close(number)?;
        let excess = trips.excess(round_trip);
        let free = sent.written + self.hold(sent.cost) + excess;
        self.free_at(free, self.slots(sent.cost));
        let hold = (self.second + excess).as_secs_f64();
        self.answers = (self.answers + 1).min(self.total.clamp(16, 1024));
        let weight = 1.0 / f64::from(self.answers);
        self.mean_hold += (hold - self.mean_hold) * weight;
        self.deviation += ((hold - self.mean_hold).abs() - self.deviation) * weight;
        Some(free)
    }

    /// Records that the call with this number will have no answer. It arrived before `now` or never, so its slots are
    /// free a second from now at the latest.
    pub(super) fn lost(&mut self, number: u64, now: Instant, trips: &RoundTrips) -> Option<Instant> {
        let sent = self.close(number)?;
        let free = (now + self.hold(sent.cost)).min(self.unanswered_until(sent, trips));
        self.free_at(free, self.slots(sent.cost));
        Some(free)
    }

    fn close(&mut self, number: u64) -> Option<WrittenCall> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let sent = self.sent.get_mut(at).filter(|sent| sent.open)?;
        sent.open = false;
        Some(*sent)
    }

    /// The messages a second that the slots let through at `now`, and until when that holds (`None`: until further
    /// notice).
    pub(super) fn flow(&self, now: Instant) -> (f64, Option<Instant>) {
        let total = f64::from(self.total);
        match self.before.filter(|before| before.end > now) {
            Some(before) => (total / before.lasts.as_secs_f64(), Some(before.end)),
            None => (total / self.mean_hold, None),
        }
    }

    /// The rate that a schedule must use to reach the flow. Slots come free at random times, so the gaps must be made
    /// up for.
    pub(super) fn brisk_flow(&self, now: Instant) -> f64 {
        let (flow, until) = self.flow(now);
        if until.is_some() { flow } else { flow * (1.000_5 + 2.0 * self.deviation / self.mean_hold) }
    }
}
