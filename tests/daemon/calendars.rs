//! Jobs with a calendar in a daemon, in simulated time: a saved calendar brings no time back that has passed.
//!
//! Store: file

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use mooncast::{
    AppFlags, Clock, DaemonSetup, DaemonSignal, Environment, HostRoles, Ledger, Project as Place, Rehearser,
    ScriptLoader, ScriptOutput, ScriptRegistry, Settings, run_name, serve,
};

use crate::support::Project;

/// 2026-01-06T17:00:00Z, a Tuesday.
const START: u64 = 1_767_718_800;
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// Today is a holiday, and tomorrow is not.
const HOLIDAY: &str = "date,kind\n2026-01-06,holiday\n2026-12-31,holiday\n";
const WORKDAY: &str = "date,kind\n2026-12-31,holiday\n";

/// Scripts of these tests print nothing.
struct Silent;

impl ScriptOutput for Silent {
    fn print(&self, _: &[u8]) {}
}

struct Desk {
    project: Project,
    /// The runs, which no worker takes.
    runs: Rc<RefCell<Vec<String>>>,
}

impl Desk {
    fn new(times: &str, options: &str, calendar: &str) -> Self {
        let script = format!(
            "require('schedule').cron('{times}', {{ name = 'job', tz = 'UTC', calendar = 'c'{options} }}, function() end)"
        );
        let project = Project::with_script(script).file("calendars/c.csv", calendar);
        Self { project, runs: Rc::default() }
    }

    /// Runs a daemon from one time to another. At `save` the calendar is saved.
    fn serve(&self, from: u64, until: u64, save: Option<(u64, &str)>) {
        let place = Place::at(&self.project.path("")).unwrap();
        let clock = Clock::simulated(Duration::from_secs(from));
        let flags = AppFlags { offline: true, ..AppFlags::default() };
        let settings = Settings::load(&place, &Environment::of(vec![]), &flags).unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_mooncast"));
        let loader = ScriptLoader::new(place.clone(), vec![], clock.clone(), program.clone());
        let registry = ScriptRegistry::new(loader, settings);
        let runs = Rc::clone(&self.runs);
        let instead = move |_: &str, at: Duration| {
            runs.borrow_mut().push(run_name(at));
            true
        };
        let served = clock.block_on(async {
            let ledger = Ledger::open_scratch(&self.project.path(".mooncast"), clock.clone()).await.unwrap();
            let owner = ledger.register("serve").await.unwrap();
            registry.load_all().await.unwrap();
            let (signals, heard) = tokio::sync::mpsc::unbounded_channel();
            let setup = DaemonSetup {
                project: place.clone(),
                registry: registry.clone(),
                apps: vec![],
                ledger,
                instance: owner,
                roles: HostRoles::ALL,
                clock: clock.clone(),
                rehearser: Rc::new(Rehearser::new(program.clone(), Vec::new())),
                program,
                output: Rc::new(Silent),
                poll: Duration::from_hours(6),
                instead: Some(Box::new(instead)),
                report: Box::new(|event| Box::pin(async move { panic!("{event:?}") })),
            };
            let life = async {
                if let Some((at, calendar)) = save {
                    clock.sleep(Duration::from_secs(at - from)).await;
                    self.project.write("calendars/c.csv", calendar);
                    registry.load_all().await.unwrap();
                }
                clock.sleep(Duration::from_secs(until).saturating_sub(clock.unix_time())).await;
                signals.send(DaemonSignal::Stop).unwrap();
            };
            let (served, ()) = futures_util::future::join(serve(setup, heard), life).await;
            served.unwrap();
        });
        served.unwrap();
    }
}

#[test]
fn a_saved_calendar_starts_no_run_that_it_had_left_out() {
    for (times, first) in [("23 17 * * *", "2026-01-07T17:23:00Z"), ("* * * * *", "2026-01-06T17:26:00Z")] {
        // Saved while a daemon runs.
        let desk = Desk::new(times, "", HOLIDAY);
        let saved = START + 25 * MINUTE + 30;
        desk.serve(START, START + DAY + 24 * MINUTE, Some((saved, WORKDAY)));
        assert_eq!(desk.runs.borrow().first().map(String::as_str), Some(first), "{times}");
        // Saved while none runs, after one left it out.
        let desk = Desk::new(times, "", HOLIDAY);
        desk.serve(START, START + 25 * MINUTE + 30, None);
        desk.project.write("calendars/c.csv", WORKDAY);
        desk.serve(START + 25 * MINUTE + 40, START + DAY + 24 * MINUTE, None);
        assert_eq!(desk.runs.borrow().first().map(String::as_str), Some(first), "{times}, restarted");
    }
}

/// A holiday that is added moves a time of yesterday to today, where it has passed.
#[test]
fn a_saved_calendar_starts_no_run_that_it_moves_to_a_time_that_has_passed() {
    let desk = Desk::new("10 17 5 1 *", ", on_holiday = 'next'", WORKDAY);
    let moved = "date,kind\n2026-01-05,holiday\n2026-12-31,holiday\n";
    desk.serve(START, START + DAY, Some((START + 20 * MINUTE, moved)));
    assert_eq!(*desk.runs.borrow(), [] as [String; 0]);
}
