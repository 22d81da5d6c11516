//! Callbacks after sending: what the service posts to the app's own server.
//!
//! `event.rs` writes them, this file has their queue, and `post.rs` posts them.

mod event;
mod post;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::SecretString;
use serde_json::Value;

pub(super) use event::{EventWriter, SimulatedEvent};

use super::fault::{CallbackFault, FaultEffect};
use super::service::SimulatorState;
use super::settings::SimulatorSettings;
use super::time::ClockReading;
use super::{Latency, ServiceCall};

/// The most callbacks that wait; more are lost. They take about 70 MB if the messages are short texts.
const WAITING: usize = 100_000;
/// This many failed posts within [`FAILURES_WITHIN`] ban the rule for [`BANNED_FOR`] (contract).
const FAILURES: usize = 90;
const FAILURES_WITHIN: Duration = Duration::from_secs(30);
const BANNED_FOR: Duration = Duration::from_mins(5);
/// The longest that a swapped callback waits for the next one, and its distance behind it.
const SWAPPED_WAIT: Duration = Duration::from_secs(30);
const SWAPPED_BEHIND: Duration = Duration::from_millis(50);
/// The most members of a group that has read receipts (contract).
pub(super) const RECEIPT_MEMBERS: u64 = 200;

/// Where the service posts callbacks, and when.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// An address with `http://`. The simulator has no TLS.
    pub url: String,
    /// The secret of the callback rule, which signs each callback.
    pub secret: SecretString,
    /// The time between an event and its callback, drawn for each. Default none.
    pub delay: Latency,
    /// How long the service waits for the answer to a post. Default 5 s.
    pub timeout: Duration,
    /// The share of a group's members that read a message sent with `need_group_ack`, from 0 to 1. Default 0.
    pub read_share: f64,
}

impl CallbackSettings {
    pub fn new(url: &str, secret: SecretString) -> Self {
        let (delay, timeout) = (Latency::default(), Duration::from_secs(5));
        Self { url: url.to_owned(), secret, delay, timeout, read_share: 0.0 }
    }
}

/// The callbacks that wait, and the state of the rule.
#[derive(Debug)]
pub(super) struct CallbackQueue {
    rng: StdRng,
    /// By the time when they are due, then by their number.
    waiting: BTreeMap<(Duration, u64), Bytes>,
    next_number: u64,
    /// The callback that is posted after the next one.
    swapped: Option<(Duration, u64)>,
    /// The times of the last failed posts.
    failures: VecDeque<Duration>,
    banned_until: Duration,
}

/// The next step of the task that posts callbacks.
#[derive(Debug)]
enum NextCallback {
    Due(Bytes),
    After(Duration),
    Empty,
}

impl CallbackQueue {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            // The choices for callbacks do not change those for calls.
            rng: StdRng::seed_from_u64(seed.wrapping_add(1)),
            waiting: BTreeMap::new(),
            next_number: 0,
            swapped: None,
            failures: VecDeque::new(),
            banned_until: Duration::ZERO,
        }
    }

    /// Returns the number of callbacks that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.swapped = None;
    }

    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// Adds a callback and returns its key, or `None` if too many wait.
    fn push(&mut self, due: Duration, body: Bytes) -> Option<(Duration, u64)> {
        if self.waiting.len() >= WAITING {
            return None;
        }
        let key = (due, self.next_number);
        self.next_number += 1;
        self.waiting.insert(key, body);
        Some(key)
    }

    /// Moves the swapped callback shortly behind the one that is due at this time.
    fn release_swapped(&mut self, due: Duration) {
        if let Some(body) = self.swapped.take().and_then(|key| self.waiting.remove(&key)) {
            self.push(due + SWAPPED_BEHIND, body);
        }
    }

    fn next(&mut self, now: Duration) -> NextCallback {
        match self.waiting.first_entry() {
            Some(first) if first.key().0 <= now => NextCallback::Due(first.remove()),
            Some(first) => NextCallback::After(first.key().0.saturating_sub(now)),
            None => NextCallback::Empty,
        }
    }

    fn is_banned(&self, now: Duration) -> bool {
        now < self.banned_until
    }

    /// Counts a failed post. Returns whether it bans the rule.
    fn failed(&mut self, now: Duration) -> bool {
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|&at| now.saturating_sub(at) >= FAILURES_WITHIN) {
            self.failures.pop_front();
        }
        let bans = self.failures.len() >= FAILURES;
        if bans {
            self.failures.clear();
            self.banned_until = now + BANNED_FOR;
        }
        bans
    }
}

impl SimulatorState {
    /// Queues the callback of an event, with the delay and the fault that the settings and the plan give it.
    pub(super) fn callback(
        &mut self,
        settings: &SimulatorSettings,
        event: &SimulatedEvent,
        now: ClockReading,
    ) {
        let Some(callback) = &settings.callback else { return };
        let writer = EventWriter { settings, files: &self.files, now };
        let json = writer.write(event, &callback.secret, &mut self.callbacks.rng);
        self.queue(callback, &json, now);
    }

    fn queue(&mut self, settings: &CallbackSettings, json: &Value, now: ClockReading) {
        let body = Bytes::from(json.to_string());
        let queue = &mut self.callbacks;
        let fault =
            self.plan.next_fault(ServiceCall::Callback, &body, &mut queue.rng).map(|(fault, rule)| {
                *self.stats.faults.entry(rule).or_default() += 1;
                fault.what
            });
        let due = now.elapsed + settings.delay.whole(&mut queue.rng);
        let added = match fault {
            Some(FaultEffect::Callback(CallbackFault::Lost)) => return,
            Some(FaultEffect::Callback(CallbackFault::Doubled)) => {
                queue.push(due, body.clone()).and_then(|_| queue.push(due, body))
            }
            Some(FaultEffect::Callback(CallbackFault::Delayed(seconds))) => {
                queue.push(due.saturating_add(Duration::from_secs(seconds)), body)
            }
            Some(FaultEffect::Callback(CallbackFault::Swapped)) => {
                let key = queue.push(due + SWAPPED_WAIT, body);
                queue.swapped = key;
                return self.count_callback("dropped", u64::from(key.is_none()));
            }
            _ => queue.push(due, body),
        };
        queue.release_swapped(due);
        self.count_callback("dropped", u64::from(added.is_none()));
    }

    fn count_callback(&mut self, outcome: &'static str, count: u64) {
        if count > 0 {
            *self.stats.callbacks.entry(outcome).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_failures_in_thirty_seconds_ban_for_five_minutes() {
        let seconds = Duration::from_secs;
        let mut queue = CallbackQueue::new(0);
        assert!((0..89).all(|_| !queue.failed(seconds(100))));
        // The first 89 no longer count.
        assert!(!queue.failed(seconds(130)));
        assert!((0..88).all(|_| !queue.failed(seconds(159))));
        assert!(queue.failed(seconds(159)));
        assert!(queue.is_banned(seconds(458)) && !queue.is_banned(seconds(459)));
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut queue = CallbackQueue::new(0);
        assert!((0..WAITING).all(|_| queue.push(Duration::ZERO, Bytes::new()).is_some()));
        assert!(queue.push(Duration::ZERO, Bytes::new()).is_none());
        assert_eq!(queue.len(), WAITING);
    }
}
