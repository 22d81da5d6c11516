//! Which job is next: the jobs in force by the instant at which each has to be looked at again. Ten thousand that wait
//! cost a place in a heap each, and nothing else.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use crate::schedule::{JobDecision, decide};

use super::registry::LoadedJob;

/// How far the clock may be behind what was decided before that is told.
const AHEAD: Duration = Duration::from_mins(1);

/// The jobs in force. All instants are since 1970-01-01T00:00:00Z.
#[derive(Default)]
pub(super) struct Scheduler {
    slots: HashMap<String, ScheduledJob>,
    /// When to look at which job; an entry whose number is not its job's any more is void.
    heap: BinaryHeap<Reverse<(Duration, u64, String)>>,
    paused: HashSet<String>,
    number: u64,
}

struct ScheduledJob {
    registered: LoadedJob,
    /// All instants up to this one are decided.
    last: Duration,
    number: u64,
    told_ahead: bool,
}

/// A job that has to be decided about now.
pub(super) struct DueJob {
    pub(super) registered: LoadedJob,
    pub(super) decision: JobDecision,
    /// Whether its instants pass without a run.
    pub(super) paused: bool,
    /// All instants up to this one were decided before.
    pub(super) last: Duration,
}

impl DueJob {
    pub(super) fn name(&self) -> &str {
        &self.registered.job.name
    }

    /// The last instant that is decided by this.
    pub(super) fn until(&self) -> Duration {
        self.decision.verdicts.last().map_or(self.last, crate::schedule::RunVerdict::last)
    }
}

impl Scheduler {
    /// Puts these jobs in force, each with the instant up to which all are decided.
    pub(super) fn replace(&mut self, jobs: Vec<(LoadedJob, Duration)>, now: Duration) {
        self.slots.clear();
        self.heap.clear();
        for (registered, last) in jobs {
            let name = registered.job.name.clone();
            self.number += 1;
            let slot = ScheduledJob { registered, last, number: self.number, told_ahead: false };
            // Looked at once, it says itself when it wants to be looked at next.
            self.heap.push(Reverse((now, slot.number, name.clone())));
            self.slots.insert(name, slot);
        }
    }

    /// How many jobs are in force.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// When the next job has to be looked at.
    pub(super) fn next(&mut self) -> Option<Duration> {
        while let Some(Reverse((at, number, name))) = self.heap.peek() {
            if self.slots.get(name).is_some_and(|slot| slot.number == *number) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// The jobs that have to be looked at now, decided. Each is to be settled before it comes up again.
    pub(super) fn due(&mut self, now: Duration) -> Vec<DueJob> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, _, name))) = self.heap.pop() else { break };
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            let decision = decide(&slot.registered.job, Some(slot.last), Duration::ZERO, now);
            if let Some(ahead) = decision.ahead.filter(|ahead| *ahead > AHEAD && !slot.told_ahead) {
                slot.told_ahead = true;
                let (job, seconds) = (name.as_str(), ahead.as_secs());
                tracing::warn!(
                    job,
                    "the clock was set back: the last instant of this job is {seconds} s ahead, and nothing of it comes twice"
                );
            }
            let (registered, last) = (slot.registered.clone(), slot.last);
            due.push(DueJob { registered, decision, paused: self.paused.contains(&name), last });
        }
        due
    }

    /// Says that all instants of a job up to `last` are decided, and when to look at it again.
    pub(super) fn settle(&mut self, name: &str, last: Duration, wake: Option<Duration>) {
        self.number += 1;
        let Some(slot) = self.slots.get_mut(name) else { return };
        slot.last = slot.last.max(last);
        slot.number = self.number;
        if let Some(wake) = wake {
            self.heap.push(Reverse((wake, slot.number, name.to_owned())));
        }
    }

    /// Says which jobs are paused. One that goes on has no instants up to now. Gives what has changed, with whether it
    /// is paused from now on.
    pub(super) fn pause(&mut self, paused: Vec<String>, now: Duration) -> Vec<(String, bool)> {
        let paused: HashSet<String> = paused.into_iter().collect();
        if paused == self.paused {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.paused, paused);
        let mut changed: Vec<(String, bool)> =
            before.difference(&self.paused).map(|name| (name.clone(), false)).collect();
        changed.extend(self.paused.difference(&before).map(|name| (name.clone(), true)));
        for (name, paused) in &changed {
            if !paused {
                self.settle(name, now, Some(now));
            }
        }
        changed
    }
}
