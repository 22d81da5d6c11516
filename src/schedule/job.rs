//! A job as a script declared it, understood.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::protocol::{JobDeclaration, JobTrigger};

use super::cron::Cron;
use super::hook::Hook;
use super::options::{MissedPolicy, OverlapPolicy};
use super::problem::DeclarationError;
use super::{at, zone};

/// For how long a missed instant is worth running, where a script does not say.
const GRACE: Duration = Duration::from_hours(1);

/// Characters of a name: it is a row of tables, and a word on the command line.
const LONGEST_NAME: usize = 200;

/// A century: longer durations are mistakes.
const LONGEST: Duration = Duration::from_hours(36_525 * 24);

/// The most by which the one run of an `at` may be put off.
const DAY: Duration = Duration::from_hours(24);

/// So many instants tell how close together a job's are.
const LOOKED_AT: usize = 200;

/// How the runs of a script begin that somebody asks for, in place of a job's name; its path follows.
const RUN: &str = "run ";

/// Where such scripts are.
const SCRIPTS: &str = "scripts/";

/// How [`Job::times`] begins for a hook; its name follows.
pub const AT_EACH_POST: &str = "at each POST /hooks/";

/// 2026-01-01T00:00:00Z, where that look begins.
const LOOK_FROM: Duration = Duration::from_hours(490_896);

/// A job that is declared and makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Unique in the project.
    pub name: String,
    /// Where it is declared: `scripts/digest.lua:3`.
    pub place: String,
    /// What becomes of missed instants.
    pub missed: MissedPolicy,
    /// For how long a missed instant is worth running. Default 1 h.
    pub grace: Duration,
    /// What an instant does that finds an earlier run going on.
    pub overlap: OverlapPolicy,
    /// Real time that a run may take; without one the project's.
    pub timeout: Option<Duration>,
    /// The most by which a run is put off; see [`Job::delay`].
    pub jitter: Duration,
    /// Whether a run that was killed half-way is entered again whatever it had sent.
    pub rerun: bool,
    zone: TimeZone,
    times: JobSchedule,
}

/// When it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum JobSchedule {
    Cron(Cron),
    Every(Duration),
    At(Timestamp),
    Hook(Hook),
}

impl Job {
    /// Understands a declaration. Whatever the worker has checked is checked again, for a worker is not trusted.
    ///
    /// # Errors
    ///
    /// The first [`Problem`].
    pub fn new(declared: &JobDeclaration) -> Result<Self, DeclarationError> {
        check_name(&declared.name)?;
        let zone = zone::by_name(declared.tz.as_deref())?;
        let job = Self {
            name: declared.name.clone(),
            place: declared.place.clone(),
            missed: MissedPolicy::read(declared.missed.as_deref())?,
            grace: duration("grace", declared.grace_ms)?.unwrap_or(GRACE),
            overlap: match (&declared.when, declared.overlap.as_deref()) {
                // What somebody has posted is not to be lost.
                (JobTrigger::Hook(_), None) => OverlapPolicy::Queue,
                (_, overlap) => OverlapPolicy::read(overlap)?,
            },
            timeout: duration("timeout", declared.timeout_ms)?,
            jitter: duration("jitter", declared.jitter_ms)?.unwrap_or_default(),
            rerun: declared.rerun,
            times: JobSchedule::read(declared, &zone)?,
            zone,
        };
        if job.timeout == Some(Duration::ZERO) {
            return Err(DeclarationError::new(
                "timeout",
                "0 s is no time to run in; leave it out for the project's",
            ));
        }
        job.check_jitter()?;
        Ok(job)
    }

    /// The first instant after `after` at which it runs, both since 1970-01-01T00:00:00Z; none when there is no more.
    #[must_use]
    pub fn next_after(&self, after: Duration) -> Option<Duration> {
        match &self.times {
            JobSchedule::Cron(cron) => {
                zone::since_epoch(cron.next_after(zone::timestamp(after), &self.zone)?)
            }
            JobSchedule::Every(length) => {
                let passed = after.as_secs() / length.as_secs();
                Some(Duration::from_secs(passed.checked_add(1)?.checked_mul(length.as_secs())?))
            }
            JobSchedule::At(instant) => zone::since_epoch(*instant).filter(|instant| *instant > after),
            JobSchedule::Hook(_) => None,
        }
    }

    /// How its requests show who they are from, where it is a hook: it has no instants then.
    #[must_use]
    pub const fn hook(&self) -> Option<&Hook> {
        match &self.times {
            JobSchedule::Hook(hook) => Some(hook),
            _ => None,
        }
    }

    /// By how much the run of an instant is put off: the same for the same job and instant, below [`Job::jitter`].
    #[must_use]
    pub fn delay(&self, instant: Duration) -> Duration {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if most == 0 {
            return Duration::ZERO;
        }
        let mut hash = DefaultHasher::new();
        (&self.name, instant).hash(&mut hash);
        Duration::from_millis(hash.finish() % most)
    }

    /// The zone that its times are meant in.
    #[must_use]
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether it runs once at a time of its own, so that an instant before the job was known is missed, not none.
    #[must_use]
    pub const fn is_at(&self) -> bool {
        matches!(self.times, JobSchedule::At(_))
    }

    /// When it runs, in words: `cron "0 9 * * mon-fri" in Asia/Shanghai`, `every 15m`, `at 2026-12-24T10:00:00Z`. The same words mean the
    /// same instants, so a change of them is a change of the schedule.
    #[must_use]
    pub fn times(&self) -> String {
        match &self.times {
            JobSchedule::Cron(cron) => {
                format!("cron \"{}\" in {}", cron.text, crate::zones::words(&self.zone))
            }
            JobSchedule::Every(length) => format!("every {}", words(*length)),
            JobSchedule::At(instant) => format!("at {instant}"),
            JobSchedule::Hook(_) => format!("{AT_EACH_POST}{}", self.name),
        }
    }

    /// Runs that are put off must not pass one another.
    fn check_jitter(&self) -> Result<(), DeclarationError> {
        if self.jitter.is_zero() {
            return Ok(());
        }
        let (most, between) = match &self.times {
            JobSchedule::At(_) | JobSchedule::Hook(_) => (DAY, "a day"),
            JobSchedule::Every(length) => (*length, "the time between two runs"),
            JobSchedule::Cron(_) => {
                let instants =
                    std::iter::successors(self.next_after(LOOK_FROM), |last| self.next_after(*last));
                let mut last = None;
                let closest = instants
                    .take(LOOKED_AT)
                    .filter_map(|instant| instant.checked_sub(last.replace(instant)?))
                    .min()
                    .unwrap_or(DAY);
                (closest, "the shortest time between two runs")
            }
        };
        if self.jitter < most {
            return Ok(());
        }
        let (jitter, most) = (words(self.jitter), words(most));
        Err(DeclarationError::new("jitter", format!("{jitter} must be less than {between}, {most}")))
    }
}

impl JobSchedule {
    fn read(declared: &JobDeclaration, zone: &TimeZone) -> Result<Self, DeclarationError> {
        match &declared.when {
            JobTrigger::Hook(hook) => Hook::read(&declared.name, hook).map(Self::Hook),
            JobTrigger::Cron(text) => Cron::parse(text)
                .map(Self::Cron)
                .map_err(|why| DeclarationError::new("expr", format!("\"{}\": {why}", text.escape_debug()))),
            JobTrigger::Every { ms } => {
                let length = Duration::from_millis(*ms);
                if length.is_zero() || length.subsec_nanos() != 0 || length > LONGEST {
                    let length = length.as_secs_f64();
                    return Err(DeclarationError::new(
                        "duration",
                        format!("{length} s is not right: whole seconds, from 1 s to 100 years"),
                    ));
                }
                Ok(Self::Every(length))
            }
            JobTrigger::At(text) => {
                let instant = at::parse(text, zone).map_err(|why| DeclarationError::new("time", why))?;
                Self::at(instant)
                    .ok_or_else(|| DeclarationError::new("time", format!("{instant} is before 1970")))
            }
            JobTrigger::AtInstant { ms } => {
                Timestamp::from_millisecond(*ms).ok().and_then(Self::at).ok_or_else(|| {
                    DeclarationError::new("time", format!("{ms} ms is no instant from 1970 to 9999"))
                })
            }
        }
    }

    fn at(instant: Timestamp) -> Option<Self> {
        (instant > Timestamp::UNIX_EPOCH).then_some(Self::At(instant))
    }
}

/// By what the runs of a script are known that somebody asks for: `run scripts/news.lua`, which no job can be.
#[must_use]
pub fn runs_of(script: &str) -> String {
    format!("{RUN}{script}")
}

/// The script whose runs are known by that.
#[must_use]
pub fn script_of(job: &str) -> Option<&str> {
    job.strip_prefix(RUN).filter(|script| script.starts_with(SCRIPTS))
}

fn check_name(name: &str) -> Result<(), DeclarationError> {
    let wrong = |what: String| Err(DeclarationError::new("name", what));
    let length = name.chars().count();
    if name.is_empty() {
        return wrong("it is empty; give the job a name that is unique in the project".to_owned());
    }
    if length > LONGEST_NAME {
        return wrong(format!("it has {length} characters, and {LONGEST_NAME} is the most"));
    }
    if script_of(name).is_some() {
        return wrong(format!("`{name}` is what the runs of a script are called that somebody asks for"));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return wrong(format!(
            "`{}` begins or ends with space, or has control characters",
            name.escape_debug()
        ));
    }
    Ok(())
}

fn duration(field: &'static str, ms: Option<u64>) -> Result<Option<Duration>, DeclarationError> {
    match ms.map(Duration::from_millis) {
        Some(long) if long > LONGEST => {
            Err(DeclarationError::new(field, format!("{} s is over 100 years", long.as_secs())))
        }
        within => Ok(within),
    }
}

/// `1h 30m`
fn words(length: Duration) -> String {
    let (seconds, ms) = (length.as_secs(), length.subsec_millis());
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (ms.into(), "ms"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}
