//! Decides which job is next: a heap of the active jobs by the time of their next decision. A waiting job costs one
//! heap entry, so ten thousand jobs are cheap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use crate::ledger::DecidedUntil;
use crate::schedule::{JobDecision, decide};

use super::registry::LoadedJob;

/// How far the clock may be behind the last decided time before this is logged.
const AHEAD: Duration = Duration::from_mins(1);

/// The active jobs. All times are since 1970-01-01T00:00:00Z.
#[derive(Default)]
pub(super) struct Scheduler {
    slots: HashMap<String, ScheduledJob>,
    /// The time of the next decision about each job. An entry is void if its number is not the job's current
    /// number.
    heap: BinaryHeap<Reverse<(Duration, u64, String)>>,
    paused: HashSet<String>,
    number: u64,
}

struct ScheduledJob {
    registered: LoadedJob,
    /// All scheduled times up to this one are decided.
    last: Duration,
    number: u64,
    logged_ahead: bool,
}

/// A job that needs a decision now.
pub(super) struct DueJob {
    pub(super) registered: LoadedJob,
    pub(super) decision: JobDecision,
    /// Whether its scheduled times pass without a run.
    pub(super) paused: bool,
    /// All scheduled times up to this one were decided before.
    pub(super) last: Duration,
}

impl DueJob {
    pub(super) fn name(&self) -> &str {
        &self.registered.job.name
    }

    /// The last scheduled time that this decision covers.
    pub(super) fn until(&self) -> Duration {
        self.decision.until(self.last)
    }
}

impl Scheduler {
    /// Replaces the active jobs. Each comes with the time up to which its scheduled times are decided.
    pub(super) fn replace(&mut self, jobs: Vec<(LoadedJob, Duration)>, now: Duration) {
        self.slots.clear();
        self.heap.clear();
        for (registered, last) in jobs {
            let name = registered.job.name.clone();
            self.number += 1;
            let slot = ScheduledJob { registered, last, number: self.number, logged_ahead: false };
            // The first decision, which is due at once, sets the time of the next one.
            self.heap.push(Reverse((now, slot.number, name.clone())));
            self.slots.insert(name, slot);
        }
    }

    /// Up to which times the jobs are decided whose calendar is another one in `jobs`: the times until now that passed by
    /// the calendar until now. So the new one brings none of them back, and adds none before now.
    pub(super) fn decided_by_calendar(&self, jobs: &[LoadedJob], now: Duration) -> Vec<DecidedUntil> {
        let decided = jobs.iter().filter_map(|LoadedJob { job, .. }| {
            let slot = self.slots.get(&job.name)?;
            let old = &slot.registered.job;
            if old.times() != job.times() || old.has_days_of(job) {
                return None;
            }
            let due = old.next_after(slot.last).filter(|next| *next <= now);
            let until = due.map_or(now, |due| due.saturating_sub(Duration::from_millis(1)));
            let next = job.next_after(until);
            (until > slot.last).then(|| DecidedUntil { job: job.name.clone(), until, next })
        });
        decided.collect()
    }

    /// The number of active jobs.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The time of the next decision about any job.
    pub(super) fn next(&mut self) -> Option<Duration> {
        while let Some(Reverse((at, number, name))) = self.heap.peek() {
            if self.slots.get(name).is_some_and(|slot| slot.number == *number) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// The decisions that are due now. A job does not come up again before [`Scheduler::settle`].
    pub(super) fn due(&mut self, now: Duration) -> Vec<DueJob> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse((_, _, name))) = self.heap.pop() else { break };
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            let decision = decide(&slot.registered.job, Some(slot.last), Duration::ZERO, now);
            if let Some(ahead) = decision.ahead.filter(|ahead| *ahead > AHEAD && !slot.logged_ahead) {
                slot.logged_ahead = true;
                let (job, seconds) = (name.as_str(), ahead.as_secs());
                tracing::warn!(
                    job,
                    "the clock was set back: the last scheduled time of this job is {seconds} s in the future, so the job does not run until then"
                );
            }
            let (registered, last) = (slot.registered.clone(), slot.last);
            due.push(DueJob { registered, decision, paused: self.paused.contains(&name), last });
        }
        due
    }

    /// Records that all scheduled times of a job up to `last` are decided, and sets the time of its next decision.
    pub(super) fn settle(&mut self, name: &str, last: Duration, wake: Option<Duration>) {
        self.number += 1;
        let Some(slot) = self.slots.get_mut(name) else { return };
        slot.last = slot.last.max(last);
        slot.number = self.number;
        if let Some(wake) = wake {
            self.heap.push(Reverse((wake, slot.number, name.to_owned())));
        }
    }

    /// Sets the paused jobs. A job that resumes has no scheduled times before now. Returns the changed jobs, with
    /// whether each is paused now.
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
