//! A year of jobs in simulated time, with restarts and a clock that is set back and forward: each scheduled time runs
//! once. The test itself takes most runs instead of a worker; some are real.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mooncast::{
    AppFlags, Clock, DaemonSetup, DaemonSignal, Environment, JobState, Ledger, Project as Place,
    ScriptLoader, ScriptOutput, ScriptRegistry, Settings, serve,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::support::Project;
use crate::support::store::server;
use crate::survival::random::soak;

/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Collects what scripts print.
#[derive(Default)]
struct Kept(RefCell<Vec<String>>);

impl ScriptOutput for Kept {
    fn print(&self, bytes: &[u8]) {
        self.0.borrow_mut().extend(String::from_utf8_lossy(bytes).lines().map(str::to_owned));
    }
}

/// The size of the test.
struct Scale {
    scripts: u64,
    jobs_a_script: u64,
    days: u64,
    /// A worker runs one of this many scheduled times.
    real: u64,
}

impl Scale {
    fn of_this_run() -> Self {
        if soak() {
            // A thousand jobs, each about every 8 h 45 m: a million scheduled times.
            Self { scripts: 20, jobs_a_script: 50, days: 365, real: 5_000 }
        } else {
            Self { scripts: 2, jobs_a_script: 20, days: 40, real: 300 }
        }
    }

    /// Returns the hours between two times of a job; None for a daily one.
    fn hours(script: u64, job: u64) -> Option<u64> {
        let kind = (script + job) % 10;
        (kind != 9).then_some(4 + kind)
    }

    /// Returns the scheduled times of a job from `from` on, before `until`, in seconds since 1970.
    fn instants(script: u64, job: u64, from: u64, until: u64) -> impl Iterator<Item = u64> {
        let (step, shift) = match Self::hours(script, job) {
            Some(hours) => (hours * HOUR, 0),
            None => (DAY, job % 24 * HOUR + job % 60 * 60),
        };
        let first = (from - shift).div_ceil(step) * step + shift;
        (first..until).step_by(usize::try_from(step).unwrap())
    }

    fn script(&self, script: u64) -> String {
        let mut text = "local schedule = require(\"schedule\")\nlocal function tell(c) print(c.name .. \" \" .. c.run .. \" \" .. c.attempt) end\n".to_owned();
        for job in 0..self.jobs_a_script {
            let (kind, when) = match Self::hours(script, job) {
                Some(hours) => ("every", format!("{hours}h")),
                None => ("cron", format!("{} {} * * *", job % 60, job % 24)),
            };
            let options = "missed = \"all\", grace = \"100h\", overlap = \"queue\"";
            writeln!(text, "schedule.{kind}(\"{when}\", {{ name = \"{script}-{job}\", {options} }}, tell)")
                .unwrap();
        }
        text
    }
}

/// How often each scheduled time of a job ran without a worker.
type Runs = Rc<RefCell<BTreeMap<(String, u64), u32>>>;

/// One run of a daemon, from one time to another.
fn live(project: &Project, runs: &Runs, kept: &Rc<Kept>, scale: &Scale, from: u64, until: u64) {
    let (place, clock) = (Place::at(&project.path("")).unwrap(), Clock::simulated(Duration::from_secs(from)));
    let flags = AppFlags { offline: true, ..AppFlags::default() };
    let settings = Settings::load(&place, &Environment::of(vec![]), &flags).unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_mooncast"));
    let registry = ScriptRegistry::new(
        ScriptLoader::new(place.clone(), vec![], clock.clone(), program.clone()),
        settings,
    );
    let taken = Rc::clone(runs);
    let real = scale.real;
    let instead = move |job: &str, at: Duration| {
        let mut hasher = DefaultHasher::new();
        (job, at).hash(&mut hasher);
        if hasher.finish().is_multiple_of(real) {
            return false;
        }
        *taken.borrow_mut().entry((job.to_owned(), at.as_secs())).or_default() += 1;
        true
    };
    clock
        .block_on(async {
            let leaps = server().is_some();
            let ledger = if leaps {
                Ledger::open_at(&project.place(), clock.clone()).await
            } else {
                Ledger::open_scratch(&project.path(".mooncast"), clock.clone()).await
            };
            let ledger = ledger.unwrap();
            let instance = ledger.register("serve").await.unwrap();
            registry.load_all().await.unwrap();
            let (orders, heard) = tokio::sync::mpsc::unbounded_channel();
            let setup = DaemonSetup {
                project: place.clone(),
                registry,
                apps: vec![],
                ledger,
                instance,
                roles: mooncast::HostRoles::ALL,
                clock: clock.clone(),
                rehearser: Rc::new(mooncast::Rehearser::new(program.clone(), Vec::new())),
                program,
                output: Rc::clone(kept) as Rc<dyn ScriptOutput>,
                poll: Duration::from_hours(6),
                instead: Some(Box::new(instead)),
                report: Box::new(|event| Box::pin(async move { panic!("{event:?}") })),
            };
            let time = clock.clone();
            tokio::task::spawn_local(async move {
                if leaps {
                    leap(&time, until, &orders).await;
                } else {
                    time.sleep(Duration::from_secs(until - from)).await;
                }
                orders.send(DaemonSignal::Stop).unwrap();
            });
            serve(setup, heard).await.unwrap();
        })
        .unwrap();
}

/// Passes the time as a machine does that sleeps and wakes. A host that shares a store sends a heartbeat every few
/// seconds, which would be millions of them. Each time the daemon is woken, as at its next poll.
async fn leap(clock: &Clock, until: u64, orders: &UnboundedSender<DaemonSignal>) {
    let (until, mut asleep) = (Duration::from_secs(until), Duration::ZERO);
    loop {
        let left = until.saturating_sub(clock.unix_time());
        if left.is_zero() {
            return;
        }
        let awake = left.min(Duration::from_secs(5));
        clock.set_unix_time(clock.unix_time() + left.saturating_sub(awake).min(asleep));
        clock.sleep(awake).await;
        orders.send(DaemonSignal::Rescan).unwrap();
        // The daemon first has to load its scripts.
        asleep = Duration::from_mins(90);
    }
}

#[test]
fn a_year_of_jobs_with_restarts_and_a_clock_set_back_and_forth_runs_each_instant_once() {
    let scale = Scale::of_this_run();
    let project = Project::new();
    for script in 0..scale.scripts {
        project.write(&format!("scripts/s{script}.lua"), scale.script(script));
    }
    let (runs, kept) = (Runs::default(), Rc::new(Kept::default()));
    let began = Instant::now();
    // Daemons that run for some days. After each the clock goes on, is set back by some hours, or no daemon runs for
    // a day. None ends at a scheduled time of a job.
    let end = START + scale.days * DAY + 1801;
    let (mut from, mut lives) = (START - 1, 0_u64);
    while from < end {
        let until = (from + scale.days * DAY / 12).min(end);
        live(&project, &runs, &kept, &scale, from, until);
        lives += 1;
        from = match lives % 3 {
            _ if until == end => end,
            0 => until + DAY,
            1 => until,
            _ => until - 7 * HOUR,
        };
    }
    let clock = Clock::real();
    let ledger = clock.block_on(async {
        let ledger = Ledger::open_at(&project.place(), clock.clone()).await.unwrap();
        ledger.job_runs(None, u32::MAX).await.unwrap()
    });
    let ledger = ledger.unwrap();
    let mut real: BTreeMap<String, u32> = BTreeMap::new();
    for line in kept.0.borrow().iter() {
        *real.entry(line.clone()).or_default() += 1;
    }
    let (mut expected, mut by_workers) = (0, 0);
    let mut noted: BTreeMap<(&str, u64), JobState> = BTreeMap::new();
    for run in &ledger {
        assert_eq!(run.attempt, 1, "{run:?}");
        assert!(noted.insert((&run.job, run.scheduled_at.as_secs()), run.state).is_none(), "{run:?}");
    }
    for (script, job) in (0..scale.scripts).flat_map(|s| (0..scale.jobs_a_script).map(move |j| (s, j))) {
        let name = format!("{script}-{job}");
        for at in Scale::instants(script, job, START, end) {
            expected += 1;
            let text = mooncast::run_name(Duration::from_secs(at));
            let worked = real.get(&format!("{name} {text} 1")).copied().unwrap_or(0);
            let stood_in = runs.borrow().get(&(name.clone(), at)).copied().unwrap_or(0);
            let state = noted.get(&(name.as_str(), at));
            let ran = format!("{name} {text}: {worked} by workers, {stood_in} without, noted as {state:?}");
            assert_eq!((worked + stood_in, state), (1, Some(&JobState::Done)), "{ran}");
            by_workers += worked;
        }
    }
    assert_eq!(ledger.len(), expected, "runs that no schedule has");
    assert!(by_workers > 0);
    let jobs = scale.scripts * scale.jobs_a_script;
    println!(
        "{jobs} jobs, {expected} instants in {} days and {lives} lives, {by_workers} by workers: each once, in {:?}",
        scale.days,
        began.elapsed()
    );
}
