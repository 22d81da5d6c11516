//! A validated job.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::protocol::{JobDeclaration, JobTrigger};
use crate::zones::Calendar;

use super::cron::Cron;
use super::event::EventFilter;
use super::hook::Hook;
use super::options::{MissedPolicy, OverlapPolicy};
use super::problem::DeclarationError;
use super::workdays::{HolidayPolicy, Workdays};
use super::{at, zone};

/// How long a missed time may still run, if the script does not say.
const GRACE: Duration = Duration::from_hours(1);

/// The most characters of a name, which is a key in tables and an argument on the command line.
const LONGEST_NAME: usize = 200;

/// A century. Longer durations are mistakes.
const LONGEST: Duration = Duration::from_hours(36_525 * 24);

/// The most by which the single run of an `at` may be delayed.
const DAY: Duration = Duration::from_hours(24);

/// How many scheduled times are compared to find the smallest distance between a job's times.
const LOOKED_AT: usize = 200;

/// The prefix of the name of a script's requested runs, in place of a job's name. The script's path follows.
const RUN: &str = "run ";

/// The folder of these scripts.
const SCRIPTS: &str = "scripts/";

/// What stands in place of a path for code from standard input, and for the code of `mooncast eval`.
pub const FROM_STANDARD_INPUT: &str = "-";
pub const EVALUATED: &str = "eval";

/// The beginning of [`Job::times`] for a hook. The hook's name follows.
pub const AT_EACH_POST: &str = "at each POST /hooks/";

/// The beginning of [`Job::times`] for a job that runs for events. The event's name follows.
pub const ON_EVENT: &str = "on ";

/// 2026-01-01T00:00:00Z, where that comparison starts.
const LOOK_FROM: Duration = Duration::from_hours(490_896);

/// A job whose declaration is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The job's name, unique in the project.
    pub name: String,
    /// The place of the declaration: `scripts/digest.lua:3`.
    pub place: String,
    /// The policy for missed times.
    pub missed: MissedPolicy,
    /// How long a missed time may still run. Default 1 h.
    pub grace: Duration,
    /// The policy for a time at which an earlier run has not ended.
    pub overlap: OverlapPolicy,
    /// The most real time that a run may take. None means the project's limit.
    pub timeout: Option<Duration>,
    /// The most by which a run is delayed; see [`Job::delay`].
    pub jitter: Duration,
    /// Whether an interrupted run is started again, whatever it had sent.
    pub rerun: bool,
    zone: TimeZone,
    times: JobSchedule,
    /// The days on which it runs. None means all days.
    workdays: Option<Workdays>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum JobSchedule {
    Cron(Cron),
    Every(Duration),
    At(Timestamp),
    Hook(Hook),
    Event(EventFilter),
}

impl Job {
    /// Validates a declaration. The worker's checks are repeated, since the host does not trust a worker. `calendar` is the
    /// calendar that it names.
    pub fn new(declared: &JobDeclaration, calendar: Option<Calendar>) -> Result<Self, DeclarationError> {
        check_name(&declared.name)?;
        let policy = HolidayPolicy::read(declared.on_holiday.as_deref())?;
        let workdays = declared.calendar.clone().zip(calendar);
        let workdays = workdays.map(|(name, calendar)| Workdays { name, calendar, policy });
        if workdays.is_none() && declared.on_holiday.is_some() {
            return Err(DeclarationError::new(
                "on_holiday",
                "it applies only with a `calendar`; leave it out",
            ));
        }
        if workdays.is_some() && !matches!(declared.when, JobTrigger::Cron(_)) {
            return Err(DeclarationError::new("calendar", "it applies only to schedule.cron; leave it out"));
        }
        let zone = zone::by_name(declared.tz.as_deref())?;
        let job = Self {
            name: declared.name.clone(),
            place: declared.place.clone(),
            missed: MissedPolicy::read(declared.missed.as_deref())?,
            grace: duration("grace", declared.grace_ms)?.unwrap_or(GRACE),
            overlap: match (&declared.when, declared.overlap.as_deref()) {
                // A posted request or an event must not be lost.
                (JobTrigger::Hook(_) | JobTrigger::Event(_), None) => OverlapPolicy::Queue,
                (_, overlap) => OverlapPolicy::read(overlap)?,
            },
            timeout: duration("timeout", declared.timeout_ms)?,
            jitter: duration("jitter", declared.jitter_ms)?.unwrap_or_default(),
            rerun: declared.rerun,
            times: JobSchedule::read(declared, &zone)?,
            workdays,
            zone,
        };
        if job.timeout == Some(Duration::ZERO) {
            return Err(DeclarationError::new(
                "timeout",
                "it must be more than 0 s; leave it out to use the project's `timeout`",
            ));
        }
        job.check_jitter()?;
        Ok(job)
    }

    /// Returns the first scheduled time after `after`, both since 1970-01-01T00:00:00Z. Returns None if there is
    /// none.
    pub fn next_after(&self, after: Duration) -> Option<Duration> {
        match &self.times {
            JobSchedule::Cron(cron) => {
                let after = zone::timestamp(after);
                let next = match &self.workdays {
                    Some(workdays) => workdays.next_after(cron, after, &self.zone),
                    None => cron.next_after(after, &self.zone),
                };
                zone::since_epoch(next?)
            }
            JobSchedule::Every(length) => {
                let passed = after.as_secs() / length.as_secs();
                Some(Duration::from_secs(passed.checked_add(1)?.checked_mul(length.as_secs())?))
            }
            JobSchedule::At(timestamp) => {
                zone::since_epoch(*timestamp).filter(|scheduled_at| *scheduled_at > after)
            }
            JobSchedule::Hook(_) | JobSchedule::Event(_) => None,
        }
    }

    /// Returns the first time of its cron expression after `after` on any day, also one that its calendar leaves out or
    /// moves. None for a job without a calendar.
    pub(super) fn next_on_any_day(&self, after: Duration) -> Option<Duration> {
        let (JobSchedule::Cron(cron), Some(_)) = (&self.times, &self.workdays) else { return None };
        zone::since_epoch(cron.next_after(zone::timestamp(after), &self.zone)?)
    }

    /// Whether both have the same calendar with the same days, or none.
    pub fn has_days_of(&self, other: &Self) -> bool {
        self.workdays == other.workdays
    }

    /// Returns the hook of a job that is one. A hook has no scheduled times.
    pub const fn hook(&self) -> Option<&Hook> {
        match &self.times {
            JobSchedule::Hook(hook) => Some(hook),
            _ => None,
        }
    }

    /// Returns the events that a job runs for, if it runs for events. Such a job has no scheduled times.
    pub const fn event(&self) -> Option<&EventFilter> {
        match &self.times {
            JobSchedule::Event(event) => Some(event),
            _ => None,
        }
    }

    /// Whether the ledger stores the inputs of the job's runs: a hook's requests, or events.
    pub const fn has_inputs(&self) -> bool {
        self.hook().is_some() || self.event().is_some()
    }

    /// Returns the delay of a scheduled time's run, which is below [`Job::jitter`]. The same job and time always have
    /// the same delay.
    pub fn delay(&self, scheduled_at: Duration) -> Duration {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if most == 0 {
            return Duration::ZERO;
        }
        let mut hash = DefaultHasher::new();
        (&self.name, scheduled_at).hash(&mut hash);
        Duration::from_millis(hash.finish() % most)
    }

    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether the job runs once at a time of its own. Such a time counts as missed also if it is before the job was
    /// registered.
    pub const fn is_at(&self) -> bool {
        matches!(self.times, JobSchedule::At(_))
    }

    /// Returns the schedule as text: `cron "0 9 * * mon-fri" in Asia/Shanghai`, `every 15m`,
    /// `at 2026-12-24T10:00:00Z`. Equal texts mean equal times, so a changed text means a changed schedule.
    pub fn times(&self) -> String {
        match &self.times {
            JobSchedule::Cron(cron) => {
                let days =
                    self.workdays.as_ref().map_or_else(String::new, |days| format!(" {}", days.words()));
                format!("cron \"{}\" in {}{days}", cron.text, crate::zones::words(&self.zone))
            }
            JobSchedule::Every(length) => format!("every {}", words(*length)),
            JobSchedule::At(timestamp) => format!("at {timestamp}"),
            JobSchedule::Hook(_) => format!("{AT_EACH_POST}{}", self.name),
            JobSchedule::Event(event) => event.words(),
        }
    }

    /// Checks that delayed runs keep their order.
    fn check_jitter(&self) -> Result<(), DeclarationError> {
        if self.jitter.is_zero() {
            return Ok(());
        }
        let (most, between) = match &self.times {
            JobSchedule::At(_) | JobSchedule::Hook(_) | JobSchedule::Event(_) => (DAY, "a day"),
            JobSchedule::Every(length) => (*length, "the time between two runs"),
            JobSchedule::Cron(_) => {
                let instants =
                    std::iter::successors(self.next_after(LOOK_FROM), |last| self.next_after(*last));
                let mut last = None;
                let closest = instants
                    .take(LOOKED_AT)
                    .filter_map(|scheduled_at| scheduled_at.checked_sub(last.replace(scheduled_at)?))
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
            JobTrigger::Event(event) => EventFilter::read(event).map(Self::Event),
            JobTrigger::Cron(text) => Cron::parse(text)
                .map(Self::Cron)
                .map_err(|why| DeclarationError::new("expr", format!("\"{}\": {why}", text.escape_debug()))),
            JobTrigger::Every { ms } => {
                let length = Duration::from_millis(*ms);
                if length.is_zero() || length.subsec_nanos() != 0 || length > LONGEST {
                    let length = length.as_secs_f64();
                    return Err(DeclarationError::new(
                        "duration",
                        format!("{length} s is invalid; write whole seconds, from 1 s to 100 years"),
                    ));
                }
                Ok(Self::Every(length))
            }
            JobTrigger::At(text) => {
                let timestamp = at::parse(text, zone).map_err(|why| DeclarationError::new("time", why))?;
                Self::at(timestamp)
                    .ok_or_else(|| DeclarationError::new("time", format!("{timestamp} is before 1970")))
            }
            JobTrigger::AtInstant { ms } => {
                Timestamp::from_millisecond(*ms).ok().and_then(Self::at).ok_or_else(|| {
                    DeclarationError::new("time", format!("{ms} ms is not a time from 1970 to 9999"))
                })
            }
        }
    }

    fn at(timestamp: Timestamp) -> Option<Self> {
        (timestamp > Timestamp::UNIX_EPOCH).then_some(Self::At(timestamp))
    }
}

/// Returns the name under which a script's requested runs are recorded: `run scripts/news.lua`. No job can have this
/// name.
pub fn runs_of(script: &str) -> String {
    format!("{RUN}{script}")
}

/// Returns the name under which the runs of a script on the command line are recorded. For a script in `scripts/` it is
/// that of [`runs_of`]; for any other it is `run ./news.lua`, `run /tmp/news.lua`, `run -` or `run eval`. `script` is a path
/// below the project's folder, an absolute path, [`FROM_STANDARD_INPUT`] or [`EVALUATED`].
pub fn command_runs_of(script: &str) -> String {
    let script: String =
        script.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    if is_of_script(&script) { runs_of(&script) } else { runs_of(&format!("./{script}")) }
}

/// Returns the script of a name that [`runs_of`] or [`command_runs_of`] made.
pub fn script_of(job: &str) -> Option<&str> {
    job.strip_prefix(RUN).filter(|script| is_of_script(script))
}

/// Whether a script can run on request: whether it is in `scripts/`.
pub fn is_requestable(script: &str) -> bool {
    script.starts_with(SCRIPTS)
}

/// Whether a text names a script in the name of a run.
fn is_of_script(text: &str) -> bool {
    is_requestable(text)
        || text.starts_with("./")
        || text.starts_with('/')
        || [FROM_STANDARD_INPUT, EVALUATED].contains(&text)
}

fn check_name(name: &str) -> Result<(), DeclarationError> {
    let wrong = |what: String| Err(DeclarationError::new("name", what));
    let length = name.chars().count();
    if name.is_empty() {
        return wrong("it is empty; give the job a name that is unique in the project".to_owned());
    }
    if length > LONGEST_NAME {
        return wrong(format!("it has {length} characters; at most {LONGEST_NAME} are allowed"));
    }
    if script_of(name).is_some() {
        return wrong(format!("`{name}` is reserved for runs of a script; write another name"));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return wrong(format!(
            "`{}` begins or ends with white space, or contains control characters",
            name.escape_debug()
        ));
    }
    Ok(())
}

fn duration(field: &'static str, ms: Option<u64>) -> Result<Option<Duration>, DeclarationError> {
    match ms.map(Duration::from_millis) {
        Some(long) if long > LONGEST => {
            Err(DeclarationError::new(field, format!("{} s is more than 100 years", long.as_secs())))
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
