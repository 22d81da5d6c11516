//! `mooncast serve`: the host that runs the project's jobs for as long as it lives, and takes changed scripts in.
//!
//! - `registry`, `decide`, `load`, `version`, `scan`: which version of each script is in force; `watch` and what it is made of:
//!   how saved files come to be so;
//! - `scheduler`: which job is next; `claim`, `runner`: its runs, each in a worker; `recover`: what a dead daemon has left;
//! - `control`: what people say through the ledger; `shutdown`: how it ends; `event`: what they may want to be told;
//!   `status`: what other processes can see; `systemd`: what the service manager is told.
//!
//! Everything is on one thread; what is decided is in the ledger before it is done, and one log line tells it.
//!
//! May import: `schedule`, `host` and what is below them.

mod alerts;
mod claim;
mod control;
mod debounce;
mod decide;
mod dropped;
mod event;
mod figures;
mod file_watcher;
mod files;
mod late_modules;
mod links;
mod load;
mod project_folder;
mod recover;
mod registry;
mod runner;
pub mod scan;
mod scheduler;
mod script_scanner;
mod settings;
mod shutdown;
mod status;
pub mod systemd;
mod version;
mod watch;

pub use alerts::{Alert, AlertSender};
pub use event::DaemonEvent;
pub use load::{LoadResult, ScriptLoader, worker_limits};
pub use registry::{LoadFailure, LoadedJob, ScriptRegistry, ScriptStatus};
pub use settings::SettingsReload;
pub use shutdown::{DaemonSignal, listen};
pub use status::keep_status;
pub use version::{ScriptVersion, short};
pub use watch::ScriptWatcher;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::{Clock, Instant};
use crate::config::{HostRoles, Project};
use crate::delivery::{Delivery, DriveEnd};
use crate::host::{BroadcastSupervisor, ScriptOutput, SupervisedEnd};
use crate::ledger::{DecidedUntil, Instance, JobRunAction, Ledger, LedgerError, RegisteredJob};
use crate::schedule::{RunVerdict, run_name};

use claim::RunToClaim;
use runner::RunQueue;
use scheduler::{DueJob, Scheduler};

/// The name by which the ledger knows the process of a daemon.
pub const COMMAND: &str = "serve";

/// How often the ledger is asked what people want.
pub const POLL: Duration = Duration::from_secs(1);

/// How long a write of the ledger that failed waits until it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs an instant of a job in place of a worker, or gives false.
pub type RunOverride = Box<dyn Fn(&str, Duration) -> bool>;

/// What a daemon needs of the house.
pub struct DaemonSetup {
    /// The project.
    pub project: Project,
    /// Its scripts, loaded.
    pub registry: ScriptRegistry,
    /// The apps that scripts may send through, the default one first.
    pub apps: Vec<Rc<Delivery>>,
    /// Where job runs are claimed.
    pub ledger: Ledger,
    /// Who this process is there: the owner of what the apps send, too.
    pub owner: Instance,
    /// What it does of all this.
    pub roles: HostRoles,
    /// The time that decides when jobs run, and that their scripts see.
    pub clock: Clock,
    /// The binary that workers are started from.
    pub program: PathBuf,
    /// Where prints and log lines of scripts go.
    pub output: Rc<dyn ScriptOutput>,
    /// How often the ledger is asked what people want: [`POLL`], but where time is simulated.
    pub poll: Duration,
    /// Takes runs in place of a worker: gives whether it has run this instant of a job. For tests with a million.
    pub instead: Option<RunOverride>,
    /// Hears what people may want to be told of. What it gives is done before the event is written down as over.
    pub told: Box<dyn Fn(DaemonEvent) -> LocalBoxFuture<'static, ()>>,
}

impl DaemonSetup {
    async fn tell(&self, event: DaemonEvent) {
        (self.told)(event).await;
    }
}

/// A daemon at work.
pub struct Daemon {
    setup: Rc<DaemonSetup>,
    keeper: Rc<BroadcastSupervisor>,
    runner: Rc<RunQueue>,
    scheduler: RefCell<Scheduler>,
    /// Scripts that are stale, and what was told of them.
    stale: RefCell<BTreeMap<String, String>>,
    unready: Rc<Cell<Option<&'static str>>>,
}

/// Runs the jobs in force until it is told to stop; see [`Daemon::serve`].
///
/// # Errors
///
/// Faults of the ledger before it has begun; from then on they are told and waited for.
pub async fn serve(setup: DaemonSetup, orders: UnboundedReceiver<DaemonSignal>) -> Result<(), LedgerError> {
    Daemon::new(setup).serve(orders).await
}

impl Daemon {
    /// One that does nothing yet.
    #[must_use]
    pub fn new(setup: DaemonSetup) -> Self {
        let setup = Rc::new(setup);
        let hears = Rc::clone(&setup);
        let keeper = BroadcastSupervisor::new(setup.roles.send, move |kept| broadcast_ended(&hears, kept));
        let runner = RunQueue::new(Rc::clone(&setup), Rc::clone(&keeper));
        let unready = Rc::new(Cell::new(Some("the jobs in force are not in the ledger yet")));
        Self { setup, keeper, runner, scheduler: RefCell::default(), stale: RefCell::default(), unready }
    }

    /// Gives why it begins nothing now, if it does not, for as long as it is asked.
    pub fn unready(&self) -> impl Fn() -> Option<&'static str> + use<> {
        let unready = Rc::clone(&self.unready);
        move || unready.get()
    }

    /// Who drives its broadcasts.
    #[must_use]
    pub const fn supervisor(&self) -> &Rc<BroadcastSupervisor> {
        &self.keeper
    }

    /// Runs the jobs in force until it is told to stop. When this returns, nothing goes on any more, or what does
    /// could not be finished in the time that it had.
    ///
    /// # Errors
    ///
    /// Faults of the ledger before it has begun; from then on they are told and waited for.
    pub async fn serve(self, mut orders: UnboundedReceiver<DaemonSignal>) -> Result<(), LedgerError> {
        let mut changed = self.setup.registry.changed();
        changed.mark_unchanged();
        self.register_jobs(true).await?;
        self.prune_versions().await;
        self.unready.set(None);
        systemd::ready();
        self.run(&mut orders, &mut changed).await;
        self.unready.set(Some("the daemon stops"));
        systemd::stopping();
        self.shut_down(&mut orders).await;
        Ok(())
    }

    async fn run(
        &self,
        orders: &mut UnboundedReceiver<DaemonSignal>,
        changed: &mut tokio::sync::watch::Receiver<u64>,
    ) {
        let DaemonSetup { clock, registry, poll, .. } = &*self.setup;
        self.report_unreported_ends().await;
        // What was begun before comes first: broadcasts, then runs; then what is due by now.
        self.poll_ledger().await;
        let mut next_look = clock.now() + *poll;
        let mut next_prune = clock.now() + recover::PRUNE;
        loop {
            self.claim_due().await;
            if clock.now() >= next_look {
                next_look = clock.now() + *poll;
                self.poll_ledger().await;
            }
            if clock.now() >= next_prune {
                next_prune = clock.now() + recover::PRUNE;
                self.prune_versions().await;
            }
            let until = self.wake(next_look);
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(DaemonSignal::Look) => {
                        tracing::info!("looking at all files again");
                        registry.look_again();
                    }
                    Some(DaemonSignal::Heed) => self.poll_commands().await,
                    Some(DaemonSignal::Stop) | None => return,
                },
                Ok(()) = changed.changed() => {
                    changed.mark_unchanged();
                    if let Err(error) = self.register_jobs(false).await {
                        tracing::error!("the jobs in force are not in the ledger yet: {error}");
                        clock.sleep(AGAIN).await;
                        changed.mark_changed();
                    }
                }
                () = clock.sleep_until(until) => {}
            }
        }
    }

    /// Looks for what nobody goes on with, and for what people say.
    async fn poll_ledger(&self) {
        let DaemonSetup { ledger, roles, .. } = &*self.setup;
        if ledger.is_shared() && !self.reap_dead_hosts().await {
            return;
        }
        if roles.send {
            self.resume_broadcasts().await;
        }
        if roles.schedule {
            self.rerun_orphans().await;
            self.poll_commands().await;
        }
        self.runner.end_removed().await;
        self.runner.retry_held();
    }

    /// Settles what hosts have left that are dead, and sees to it that the others know this one; gives whether it may go
    /// on. One that they took for dead holds nothing until it is back.
    async fn reap_dead_hosts(&self) -> bool {
        let DaemonSetup { ledger, owner, .. } = &*self.setup;
        match ledger.is_known(owner).await {
            Ok(true) => self.runner.end_lost(),
            Ok(false) => return false,
            Err(error) => tracing::error!("whether the others know this host cannot be seen: {error}"),
        }
        match ledger.reap_dead().await {
            Ok(buried) if buried.owners > 0 => {
                let (processes, in_doubt) = (buried.owners, buried.in_doubt);
                tracing::warn!(processes, in_doubt, "other processes are silent, and count as dead");
            }
            Ok(_) => {}
            Err(error) => tracing::error!("dead hosts cannot be looked for: {error}"),
        }
        match ledger.must_register_jobs(owner).await {
            Ok(true) => {
                if let Err(error) = self.register_jobs(false).await {
                    tracing::error!("the jobs of this host are not in the ledger yet: {error}");
                }
            }
            Ok(false) => {}
            Err(error) => tracing::error!("whether the others have its jobs cannot be seen: {error}"),
        }
        true
    }

    /// When to look again: the wall clock may be set meanwhile, so that is never far.
    fn wake(&self, next_look: Instant) -> Instant {
        let clock = &self.setup.clock;
        let next = self.scheduler.borrow_mut().next();
        let wait = next.map(|at| at.saturating_sub(clock.unix_time()));
        wait.map_or(next_look, |wait| next_look.min(clock.now() + wait))
    }

    /// Takes the jobs in force from the registry. What is new has no instants up to now, but for an `at`, whose time may have
    /// been missed. A job that comes back, or whose script could not be loaded for a while, goes on from where it was
    /// decided.
    async fn register_jobs(&self, first: bool) -> Result<(), LedgerError> {
        let DaemonSetup { ledger, owner, roles, clock, registry, .. } = &*self.setup;
        let (jobs, now) = (registry.jobs(), clock.unix_time());
        ledger.describe(owner, &roles.to_string(), &registry.fingerprint()).await?;
        // One that runs no jobs has none.
        let jobs = if roles.schedule { jobs } else { Vec::new() };
        let enlisted: Vec<RegisteredJob> = jobs
            .iter()
            .map(|registered| RegisteredJob {
                name: registered.job.name.clone(),
                script: registered.version.name().to_owned(),
                times: registered.job.times(),
                decided_until: if registered.job.is_at() { Duration::ZERO } else { now },
                version: registered.version.hash.clone(),
            })
            .collect();
        let old = if roles.schedule { ledger.previous_schedules(&enlisted).await? } else { Vec::new() };
        let decided = if roles.schedule { ledger.register_jobs(owner, &enlisted).await? } else { Vec::new() };
        dropped::note(self, &jobs, old, now).await?;
        self.scheduler.borrow_mut().replace(jobs.into_iter().zip(decided).collect(), now);
        self.tell_stale().await;
        if first {
            let (scripts, jobs) = (registry.scripts().len(), self.scheduler.borrow().len());
            tracing::info!(scripts, jobs, "serving");
        }
        Ok(())
    }

    /// Tells of scripts that have become stale.
    async fn tell_stale(&self) {
        let scripts = self.setup.registry.scripts();
        let stale: BTreeMap<String, String> =
            scripts.into_iter().filter_map(|script| Some((script.name, script.stale?.error))).collect();
        let before = self.stale.replace(stale.clone());
        for (script, error) in stale {
            if before.get(&script) != Some(&error) {
                self.setup.tell(DaemonEvent::ScriptStale { script, error }).await;
            }
        }
    }

    /// Decides about all instants whose time has come, and begins what is to run.
    async fn claim_due(&self) {
        let due = self.scheduler.borrow_mut().due(self.setup.clock.unix_time());
        if due.is_empty() {
            return;
        }
        let runs = self.entries(&due).await;
        let decided: Vec<DecidedUntil> = due
            .iter()
            .map(|due| DecidedUntil {
                job: due.name().to_owned(),
                until: due.until(),
                next: due.decision.next,
            })
            .collect();
        let claimed = self.claim(&runs, &decided).await;
        let mut scheduler = self.scheduler.borrow_mut();
        for due in due {
            match &claimed {
                Ok(_) => scheduler.settle(due.name(), due.until(), due.decision.wake),
                Err(_) => scheduler.settle(due.name(), due.last, Some(self.setup.clock.unix_time() + AGAIN)),
            }
        }
        if let Err(error) = claimed {
            tracing::error!("nothing begins while runs cannot be claimed: {error}");
        }
    }

    /// What becomes of the instants that are due.
    async fn entries(&self, due: &[DueJob]) -> Vec<RunToClaim> {
        let mut runs = Vec::new();
        let mut taken = 0;
        for due in due.iter().filter(|due| !due.paused) {
            let mut first = true;
            for verdict in &due.decision.verdicts {
                let (at, entry) = match verdict {
                    RunVerdict::Skip(skipped) => {
                        let (job, first, last) =
                            (due.name(), run_name(skipped.first), run_name(skipped.last));
                        let (count, why) = (skipped.count, skipped.why.words());
                        tracing::warn!(job, first, last, count, "instants are left out: {why}");
                        (skipped.last, JobRunAction::Skip(format!("{count} from {first} on: {why}")))
                    }
                    RunVerdict::Run(at) if std::mem::take(&mut first) => {
                        let job = &due.registered.job;
                        (*at, self.runner.entry(&job.name, job.overlap, taken).await)
                    }
                    // Of several that are due the later ones wait for the first, whatever overlap says.
                    RunVerdict::Run(at) => (*at, JobRunAction::Wait),
                };
                taken += usize::from(matches!(entry, JobRunAction::Run { .. }));
                runs.push(RunToClaim::of_job(&due.registered, at, entry));
            }
        }
        runs
    }
}

/// A broadcast that the daemon drove came to its end, or stopped.
fn broadcast_ended(setup: &Rc<DaemonSetup>, kept: SupervisedEnd) {
    let SupervisedEnd { id, name, run, end } = kept;
    match end {
        Ok(driven) => match driven.end {
            DriveEnd::Finished | DriveEnd::Cancelled => {
                let report = driven.report;
                let (sent, total) = (report.sent, report.total);
                let (rejected, in_doubt, cancelled) = (report.rejected, report.in_doubt, report.cancelled);
                tracing::info!(name, run, sent, total, rejected, in_doubt, cancelled, "a broadcast is over");
                let setup = Rc::clone(setup);
                tokio::task::spawn_local(async move { setup.tell_end(id, report).await });
            }
            DriveEnd::Paused(why) => {
                tracing::error!(
                    name,
                    run,
                    "a broadcast paused by itself: {why}; `mooncast runs resume` lets it go on"
                );
                tell(setup, DaemonEvent::BroadcastHalted { name, run, why });
            }
            DriveEnd::Stopped => {
                tracing::info!(name, run, "a broadcast stopped: it goes on with the next start")
            }
        },
        Err(why) => {
            tracing::error!(name, run, "a broadcast cannot be sent: {why}");
            tell(setup, DaemonEvent::BroadcastHalted { name, run, why });
        }
    }
}

/// Tells of an event from where nobody can wait for it.
fn tell(setup: &Rc<DaemonSetup>, event: DaemonEvent) {
    let setup = Rc::clone(setup);
    tokio::task::spawn_local(async move { setup.tell(event).await });
}
