//! What is to be done now: which of a job's instants run, which were missed and are noted, and how long there is
//! nothing to do. Pure: what was decided before and the time are given.
//!
//! An instant found at most [`TOLERANCE`] late is on time and runs, whatever the job's policy. One found later was
//! missed:
//! - `skip`: it is left out.
//! - `once`: the latest that was missed runs if it is within the grace and none is on time; the others are left out.
//! - `all`: those within the grace run in their order, the others are left out.
//!
//! **The clock set back**: an instant that was decided is past for ever, so nothing comes twice; until the clock is
//! there again nothing is due ([`Decision::ahead`]). **Set forth**: what it jumped over was missed.

use std::time::Duration;

use super::{Job, MissedPolicy};

/// How late an instant may be found and still be on time: a busy or restarting host's lateness.
pub const TOLERANCE: Duration = Duration::from_secs(5);

/// Verdicts of one decision; where more is due, [`Decision::wake`] is in the past.
pub const MOST_AT_ONCE: usize = 100;

/// Instants left out are counted up to here.
const COUNTED: usize = 1000;

/// What is to be done with a job now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobDecision {
    /// In the order of their instants. Each is to be recorded; the last one's [`Verdict::last`] is the `last` of the
    /// next decision.
    pub verdicts: Vec<RunVerdict>,
    /// The first instant that is not decided yet; none when the job has no more.
    pub next: Option<Duration>,
    /// When to decide again: `next` put off by its [`Job::delay`]. It is past when more is due than one decision takes.
    pub wake: Option<Duration>,
    /// By how much the last decided instant is in the future, where the clock was set back.
    pub ahead: Option<Duration>,
}

/// What becomes of an instant, or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunVerdict {
    /// It runs.
    Run(Duration),
    /// They are left out.
    Skip(SkippedTimes),
}

/// Instants that do not run: all that the job has from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedTimes {
    /// The first of them.
    pub first: Duration,
    /// The last of them.
    pub last: Duration,
    /// How many they are; 1,000 stands for that many or more.
    pub count: usize,
    /// Why.
    pub why: SkipReason,
}

/// Why instants are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The job's `missed` is `skip`.
    Skip,
    /// They are older than its grace.
    Old,
    /// The job's `missed` is `once`, and a later instant runs.
    Superseded,
}

impl SkipReason {
    /// In words, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Skip => "missed, and the job skips what it missed",
            Self::Old => "missed, and older than the job's grace",
            Self::Superseded => "missed, and a later one runs in its place",
        }
    }
}

impl RunVerdict {
    /// The last instant that it decides.
    #[must_use]
    pub const fn last(&self) -> Duration {
        match self {
            Self::Run(instant) => *instant,
            Self::Skip(skipped) => skipped.last,
        }
    }
}

/// Decides. `last` is the last instant that was decided; `since` is when the job with its present times came into
/// force, kept over restarts: what is before it was never missed, but for an `at`. All are times since 1970.
#[must_use]
pub fn decide(job: &Job, last: Option<Duration>, since: Duration, now: Duration) -> JobDecision {
    let mut look = DecisionBuilder { job, now, decision: JobDecision::default() };
    let known = if job.is_at() { Duration::ZERO } else { since };
    let mut base = last.unwrap_or_default().max(known);
    look.decision.ahead = last.and_then(|last| last.checked_sub(now)).filter(|ahead| !ahead.is_zero());
    base = look.missed(base);
    base = look.on_time(base);
    look.decision.next = job.next_after(base);
    look.decision.wake = look.decision.next.map(|next| next + job.delay(next));
    look.decision
}

struct DecisionBuilder<'a> {
    job: &'a Job,
    now: Duration,
    decision: JobDecision,
}

impl DecisionBuilder<'_> {
    /// Decides what was missed after `base`; gives the last instant decided.
    fn missed(&mut self, base: Duration) -> Duration {
        let late = self.now.saturating_sub(TOLERANCE);
        let Some(latest) = self.latest_due(base, late) else { return base };
        match self.job.missed {
            MissedPolicy::Skip => self.skip(base, latest, SkipReason::Skip),
            MissedPolicy::Once if self.due(latest).is_some() => {
                self.skip(base, latest, SkipReason::Superseded)
            }
            MissedPolicy::Once if self.within_grace(latest) => {
                if let Some(before) = self.latest(base, latest, |instant| instant) {
                    self.skip(base, before, SkipReason::Superseded);
                }
                self.decision.verdicts.push(RunVerdict::Run(latest));
            }
            MissedPolicy::Once => self.skip(base, latest, SkipReason::Old),
            MissedPolicy::All => return self.catch_up(base, latest),
        }
        latest
    }

    /// Runs all up to `latest` that are within the grace.
    fn catch_up(&mut self, base: Duration, latest: Duration) -> Duration {
        let mut done = base;
        // A delay is put on top, and nothing that is within the grace may be left out.
        let too_old = self.now.saturating_sub(self.job.grace + self.job.jitter);
        if let Some(old) = self.latest_due(base, too_old) {
            self.skip(base, old, SkipReason::Old);
            done = old;
        }
        while let Some(instant) = self.job.next_after(done).filter(|instant| *instant <= latest) {
            if self.decision.verdicts.len() >= MOST_AT_ONCE {
                break;
            }
            if self.within_grace(instant) {
                self.decision.verdicts.push(RunVerdict::Run(instant));
            } else {
                self.skip(done, instant, SkipReason::Old);
            }
            done = instant;
        }
        done
    }

    /// Runs what is due and not late.
    fn on_time(&mut self, base: Duration) -> Duration {
        let mut done = base;
        while let Some(instant) = self.due(done) {
            if self.decision.verdicts.len() >= MOST_AT_ONCE {
                break;
            }
            self.decision.verdicts.push(RunVerdict::Run(instant));
            done = instant;
        }
        done
    }

    /// The instant after `done`, if its time has come.
    fn due(&self, done: Duration) -> Option<Duration> {
        self.job.next_after(done).filter(|instant| *instant + self.job.delay(*instant) <= self.now)
    }

    fn within_grace(&self, instant: Duration) -> bool {
        self.now.saturating_sub(instant + self.job.delay(instant)) <= self.job.grace
    }

    /// The last instant after `base` that was due before `until`.
    fn latest_due(&self, base: Duration, until: Duration) -> Option<Duration> {
        self.latest(base, until, |instant| instant + self.job.delay(instant))
    }

    /// The last instant after `base` whose `time` is before `until`, found from the end: there may be millions.
    fn latest(
        &self,
        base: Duration,
        until: Duration,
        time: impl Fn(Duration) -> Duration,
    ) -> Option<Duration> {
        let mut back = Duration::from_secs(64);
        loop {
            let from = until.saturating_sub(back).max(base);
            let ahead = |after| self.job.next_after(after).filter(|next| time(*next) < until);
            if let Some(last) = std::iter::successors(ahead(from), |last| ahead(*last)).last() {
                return Some(last);
            }
            if from == base {
                return None;
            }
            back = back.saturating_mul(4);
        }
    }

    /// Leaves out all after `base` up to `last`, which is one of them.
    fn skip(&mut self, base: Duration, last: Duration, why: SkipReason) {
        let instants =
            std::iter::successors(self.job.next_after(base), |instant| self.job.next_after(*instant));
        let mut instants = instants.take_while(|instant| *instant <= last).take(COUNTED);
        let Some(first) = instants.next() else { return };
        let count = 1 + instants.count();
        self.decision.verdicts.push(RunVerdict::Skip(SkippedTimes { first, last, count, why }));
    }
}
