//! Decides what a job does now: which scheduled times run, which are missed and recorded, and when to decide again.
//! Pure: the caller gives the earlier decision and the current time.
//!
//! A time found at most [`TOLERANCE`] late is on time and runs, whatever the job's policy. A time found later is
//! missed:
//! - `skip`: it is skipped.
//! - `once`: the latest missed time runs if it is within the grace and no time is on time; the others are skipped.
//! - `all`: the missed times within the grace run in order; the others are skipped.
//!
//! A time that the job's calendar leaves out or moves is decided when it has passed: a calendar that is saved later does
//! not bring it back. So such a job is also decided about at these times.
//!
//! **The clock is set back**: a decided time stays decided, so no time runs twice. No time is due until the clock
//! reaches the last decided time again ([`JobDecision::ahead`]). **The clock is set forward**: the times in between
//! are missed.

use std::time::Duration;

use super::{Job, MissedPolicy};

/// How late a time may be found and still be on time. This covers a busy or restarting host.
pub const TOLERANCE: Duration = Duration::from_secs(5);

/// The most verdicts of one decision. If more times are due, [`JobDecision::wake`] is in the past.
pub const MOST_AT_ONCE: usize = 100;

/// Skipped times are counted up to this number.
const COUNTED: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobDecision {
    /// The verdicts, ordered by time. The caller records each of them. The last one's [`RunVerdict::last`] is the
    /// `last` of the next decision.
    pub verdicts: Vec<RunVerdict>,
    /// The last time that has passed without a verdict because the job's calendar leaves it out or moves it. It is after the
    /// verdicts and before `next`.
    pub left_out: Option<Duration>,
    /// The first undecided time. None if the job has no more.
    pub next: Option<Duration>,
    /// When to decide again: `next` plus its [`Job::delay`], or the next time that the job's calendar leaves out. It is in
    /// the past if more times are due than one decision takes.
    pub wake: Option<Duration>,
    /// How far the last decided time is in the future. None unless the clock was set back.
    pub ahead: Option<Duration>,
}

/// The verdict on one scheduled time or on several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunVerdict {
    /// This time runs.
    Run(Duration),
    Skip(SkippedTimes),
}

/// Skipped times: all scheduled times of the job from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedTimes {
    pub first: Duration,
    pub last: Duration,
    /// How many times are skipped. 1,000 stands for 1,000 or more.
    pub count: usize,
    /// Why they are skipped.
    pub why: SkipReason,
}

/// Why times are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The job's `missed` is `skip`.
    Skip,
    /// They are older than its grace.
    Old,
    /// The job's `missed` is `once`, and a later time runs.
    Superseded,
}

impl SkipReason {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Skip => "missed, and the job's `missed` option is \"skip\"",
            Self::Old => "missed, and older than the job's `grace`",
            Self::Superseded => "missed, and a later scheduled time runs in its place",
        }
    }
}

impl JobDecision {
    /// Returns the time up to which all scheduled times are decided now. `last` is the last one that was decided before.
    pub fn until(&self, last: Duration) -> Duration {
        self.left_out.or_else(|| self.verdicts.last().map(RunVerdict::last)).unwrap_or(last)
    }
}

impl RunVerdict {
    /// Returns the last time that the verdict decides.
    pub const fn last(&self) -> Duration {
        match self {
            Self::Run(scheduled_at) => *scheduled_at,
            Self::Skip(skipped) => skipped.last,
        }
    }
}

/// Decides for a job. `last` is the last decided time. `since` is when the job with its present schedule became
/// active, which is stored over restarts: an earlier time is never missed, except the time of an `at`. All are times
/// since 1970.
pub fn decide(job: &Job, last: Option<Duration>, since: Duration, now: Duration) -> JobDecision {
    let mut look = DecisionBuilder { job, now, decision: JobDecision::default() };
    let known = if job.is_at() { Duration::ZERO } else { since };
    let mut base = last.unwrap_or_default().max(known);
    look.decision.ahead = last.and_then(|last| last.checked_sub(now)).filter(|ahead| !ahead.is_zero());
    base = look.missed(base);
    base = look.on_time(base);
    look.decision.next = job.next_after(base);
    look.decision.wake = look.decision.next.map(|next| next + job.delay(next));
    look.left_out(base);
    look.decision
}

struct DecisionBuilder<'a> {
    job: &'a Job,
    now: Duration,
    decision: JobDecision,
}

impl DecisionBuilder<'_> {
    /// Decides the missed times after `base` and returns the last decided time.
    fn missed(&mut self, base: Duration) -> Duration {
        let late = self.now.saturating_sub(TOLERANCE);
        let Some(latest) = self.latest_due(base, late) else { return base };
        match self.job.missed {
            MissedPolicy::Skip => self.skip(base, latest, SkipReason::Skip),
            MissedPolicy::Once if self.due(latest).is_some() => {
                self.skip(base, latest, SkipReason::Superseded);
            }
            MissedPolicy::Once if self.within_grace(latest) => {
                if let Some(before) = self.latest(base, latest, |scheduled_at| scheduled_at) {
                    self.skip(base, before, SkipReason::Superseded);
                }
                self.decision.verdicts.push(RunVerdict::Run(latest));
            }
            MissedPolicy::Once => self.skip(base, latest, SkipReason::Old),
            MissedPolicy::All => return self.catch_up(base, latest),
        }
        latest
    }

    /// Runs all times up to `latest` that are within the grace.
    fn catch_up(&mut self, base: Duration, latest: Duration) -> Duration {
        let mut done = base;
        // The delay extends the grace, so that no time within the grace is skipped.
        let too_old = self.now.saturating_sub(self.job.grace + self.job.jitter);
        if let Some(old) = self.latest_due(base, too_old) {
            self.skip(base, old, SkipReason::Old);
            done = old;
        }
        while let Some(scheduled_at) =
            self.job.next_after(done).filter(|scheduled_at| *scheduled_at <= latest)
        {
            if self.decision.verdicts.len() >= MOST_AT_ONCE {
                break;
            }
            if self.within_grace(scheduled_at) {
                self.decision.verdicts.push(RunVerdict::Run(scheduled_at));
            } else {
                self.skip(done, scheduled_at, SkipReason::Old);
            }
            done = scheduled_at;
        }
        done
    }

    /// Runs the times that are due and not late.
    fn on_time(&mut self, base: Duration) -> Duration {
        let mut done = base;
        while let Some(scheduled_at) = self.due(done) {
            if self.decision.verdicts.len() >= MOST_AT_ONCE {
                break;
            }
            self.decision.verdicts.push(RunVerdict::Run(scheduled_at));
            done = scheduled_at;
        }
        done
    }

    /// Decides the times after `base`, the last verdict, that passed because the calendar leaves them out.
    fn left_out(&mut self, base: Duration) {
        let (job, decision) = (self.job, &mut self.decision);
        let Some(ahead) = job.next_on_any_day(self.now.max(base)) else { return };
        decision.wake = Some(decision.wake.map_or(ahead, |wake| wake.min(ahead)));
        let until = decision.next.unwrap_or(Duration::MAX).min(self.now + Duration::from_millis(1));
        self.decision.left_out =
            latest(base, until, |after| job.next_on_any_day(after).filter(|next| *next < until));
    }

    /// Returns the time after `done`, if it is due.
    fn due(&self, done: Duration) -> Option<Duration> {
        self.job
            .next_after(done)
            .filter(|scheduled_at| *scheduled_at + self.job.delay(*scheduled_at) <= self.now)
    }

    fn within_grace(&self, scheduled_at: Duration) -> bool {
        self.now.saturating_sub(scheduled_at + self.job.delay(scheduled_at)) <= self.job.grace
    }

    /// Returns the last time after `base` that was due before `until`.
    fn latest_due(&self, base: Duration, until: Duration) -> Option<Duration> {
        self.latest(base, until, |scheduled_at| scheduled_at + self.job.delay(scheduled_at))
    }

    /// Returns the last scheduled time after `base` whose `time` is before `until`.
    fn latest(
        &self,
        base: Duration,
        until: Duration,
        time: impl Fn(Duration) -> Duration,
    ) -> Option<Duration> {
        latest(base, until, |after| self.job.next_after(after).filter(|next| time(*next) < until))
    }

    /// Skips all times after `base` up to `last`, which is one of them.
    fn skip(&mut self, base: Duration, last: Duration, why: SkipReason) {
        let instants = std::iter::successors(self.job.next_after(base), |scheduled_at| {
            self.job.next_after(*scheduled_at)
        });
        let mut instants = instants.take_while(|scheduled_at| *scheduled_at <= last).take(COUNTED);
        let Some(first) = instants.next() else { return };
        let count = 1 + instants.count();
        self.decision.verdicts.push(RunVerdict::Skip(SkippedTimes { first, last, count, why }));
    }
}

/// Returns the last of the times after `base`, all before `until`; `next` gives the one after a time. The search starts at
/// the end, since there may be millions.
fn latest(base: Duration, until: Duration, next: impl Fn(Duration) -> Option<Duration>) -> Option<Duration> {
    let mut back = Duration::from_secs(64);
    loop {
        let from = until.saturating_sub(back).max(base);
        if let Some(last) = std::iter::successors(next(from), |last| next(*last)).last() {
            return Some(last);
        }
        if from == base {
            return None;
        }
        back = back.saturating_mul(4);
    }
}
