//! `mooncast serve`: the host process that runs the project's jobs and loads changed scripts.
//!
//! - `registry`, `decide`, `load`, `version`, `scan`: the active version of each script. `watch`, `script_scanner`,
//!   `files`, `file_watcher`, `debounce`, `links`: detect changed files.
//! - `rehearser`, `rehearsals`: rehearse scripts in processes of their own. `mounts`: the uploaded files of a run.
//! - `scheduler`: which job is next. `claim`, `runner`: its runs, each in a worker. `recover`: continues what a
//!   dead daemon left. `reconcile`: settles messages in doubt by the service's records.
//! - `control`: applies the operators' commands from the ledger. `shutdown`: how the daemon ends. `event`,
//!   `report`, `alerts`: report problems. `status`: publishes the scripts' status for other processes. `systemd`: notifies
//!   the service manager.
//!
//! The daemon runs on one thread. It writes each decision to the ledger before it acts on it, and logs one line for
//! it.

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
mod mounts;
mod project_folder;
mod reconcile;
mod recover;
mod registry;
mod rehearsals;
mod rehearser;
mod report;
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

pub use alerts::{Alert, AlertSender, AlertSubject, AlertTest, AlertText, test_alerts};
pub use event::DaemonEvent;
pub use load::ScriptLoader;
pub use registry::{LoadedJob, ScriptRegistry, ScriptStatus};
pub use rehearser::Rehearser;
pub use settings::SettingsReload;
pub use shutdown::{DaemonSignal, listen};
pub use status::keep_status;
pub use version::short;
pub use watch::ScriptWatcher;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::{Clock, Instant};
use crate::config::{HostRoles, Project};
use crate::delivery::Delivery;
use crate::ledger::{BroadcastId, Instance, Ledger, LedgerError, RegisteredJob};
use crate::run::{BroadcastSupervisor, ScriptOutput};

use report::broadcast_ended;
use runner::RunQueue;
use scheduler::Scheduler;

/// How often the ledger is polled for commands.
pub const POLL: Duration = Duration::from_secs(1);

/// The wait before a failed write to the ledger is retried.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs a job at a scheduled time instead of a worker; returns false to let a worker run it.
pub type RunOverride = Box<dyn Fn(&str, Duration) -> bool>;

/// The parts that a daemon is built from.
pub struct DaemonSetup {
    pub project: Project,
    /// The registry with the project's loaded scripts.
    pub registry: ScriptRegistry,
    /// The apps that scripts may send through, the default one first.
    pub apps: Vec<Rc<Delivery>>,
    /// The ledger in which job runs are claimed.
    pub ledger: Ledger,
    /// This process's instance in the ledger. It also owns what the apps send.
    pub instance: Instance,
    /// The roles of this host: some of `schedule`, `send` and `page`.
    pub roles: HostRoles,
    /// The clock that decides when jobs run, and that scripts see.
    pub clock: Clock,
    /// The executable that workers are started from.
    pub program: PathBuf,
    /// Rehearses scripts.
    pub rehearser: Rc<Rehearser>,
    /// Where the output and the log lines of scripts go.
    pub output: Rc<dyn ScriptOutput>,
    /// How often the ledger is polled for commands: [`POLL`], except in a simulation.
    pub poll: Duration,
    /// Runs jobs instead of workers, for tests with a million runs.
    pub instead: Option<RunOverride>,
    /// Reports an event. The daemon awaits the returned future before it records the event's cause as finished.
    pub report: Box<dyn Fn(DaemonEvent) -> LocalBoxFuture<'static, ()>>,
}

impl DaemonSetup {
    async fn report(&self, event: DaemonEvent) {
        (self.report)(event).await;
    }
}

/// A running daemon.
pub struct Daemon {
    setup: Rc<DaemonSetup>,
    supervisor: Rc<BroadcastSupervisor>,
    runner: Rc<RunQueue>,
    scheduler: RefCell<Scheduler>,
    /// Scripts that failed to load, with the error that was reported for each.
    stale: RefCell<BTreeMap<String, String>>,
    /// The plans that wait for an approval and were reported, as hashes by broadcast.
    awaiting: RefCell<BTreeMap<BroadcastId, String>>,
    /// The number of the newest single send or call that was reported because its process ended before the answer.
    abandoned: Cell<i64>,
    /// The jobs for events of apps without a callback secret that were reported.
    unheard: RefCell<BTreeSet<String>>,
    unready: Rc<Cell<Option<&'static str>>>,
}

/// Runs the active jobs until it is told to stop; see [`Daemon::serve`].
///
/// # Errors
///
/// A ledger error before the daemon is ready. Later ledger errors are logged and retried.
pub async fn serve(setup: DaemonSetup, signals: UnboundedReceiver<DaemonSignal>) -> Result<(), LedgerError> {
    Daemon::new(setup).serve(signals).await
}

impl Daemon {
    /// Creates a daemon that does nothing until [`Daemon::serve`].
    pub fn new(setup: DaemonSetup) -> Self {
        let setup = Rc::new(setup);
        let hears = Rc::clone(&setup);
        let supervisor =
            BroadcastSupervisor::new(setup.roles.send, move |kept| broadcast_ended(&hears, kept));
        let runner = RunQueue::new(Rc::clone(&setup), Rc::clone(&supervisor));
        let unready = Rc::new(Cell::new(Some("the active jobs are not yet recorded in the ledger")));
        Self {
            setup,
            supervisor,
            runner,
            scheduler: RefCell::default(),
            stale: RefCell::default(),
            awaiting: RefCell::default(),
            abandoned: Cell::new(0),
            unheard: RefCell::default(),
            unready,
        }
    }

    /// Returns a function that gives the reason why the daemon begins no runs now, or `None` if it is ready.
    pub fn unready(&self) -> impl Fn() -> Option<&'static str> + use<> {
        let unready = Rc::clone(&self.unready);
        move || unready.get()
    }

    /// Runs the active jobs until it is told to stop. When this returns, all activity has ended, except what did
    /// not finish within the time limit.
    ///
    /// # Errors
    ///
    /// A ledger error before the daemon is ready. Later ledger errors are logged and retried.
    pub async fn serve(self, mut signals: UnboundedReceiver<DaemonSignal>) -> Result<(), LedgerError> {
        let mut changed = self.setup.registry.changed();
        changed.mark_unchanged();
        self.register_jobs(true).await?;
        self.prune_versions().await;
        self.unready.set(None);
        systemd::ready();
        tokio::select! {
            biased;
            () = self.run(&mut signals, &mut changed) => {}
            () = self.reconcile() => {}
        }
        self.unready.set(Some("the daemon is shutting down"));
        systemd::stopping();
        self.shut_down(&mut signals).await;
        Ok(())
    }

    async fn run(
        &self,
        signals: &mut UnboundedReceiver<DaemonSignal>,
        changed: &mut tokio::sync::watch::Receiver<u64>,
    ) {
        let DaemonSetup { clock, registry, poll, .. } = &*self.setup;
        self.report_unreported_ends().await;
        // Continues broadcasts first, then interrupted runs, then starts what is due.
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
                signal = signals.recv() => match signal {
                    Some(DaemonSignal::Rescan) => {
                        tracing::info!("scanning all files again");
                        registry.look_again();
                    }
                    Some(DaemonSignal::PollCommands) => self.poll_commands().await,
                    Some(DaemonSignal::Stop) | None => return,
                },
                Ok(()) = changed.changed() => {
                    changed.mark_unchanged();
                    if let Err(error) = self.register_jobs(false).await {
                        tracing::error!("cannot record the active jobs in the ledger, retrying: {error}");
                        clock.sleep(AGAIN).await;
                        changed.mark_changed();
                    }
                }
                () = self.runner.event_ended(), if self.setup.roles.schedule => self.poll_commands().await,
                () = clock.sleep_until(until) => {}
            }
        }
    }

    /// Writes to the ledger what could not be written before, and polls it for broadcasts and runs without a living
    /// process, and for commands.
    async fn poll_ledger(&self) {
        let roles = &self.setup.roles;
        for app in &self.setup.apps {
            app.write_deferred().await;
        }
        if !self.reap_dead_hosts().await {
            return;
        }
        if roles.send {
            self.resume_broadcasts().await;
        }
        self.report_awaiting().await;
        if roles.schedule {
            self.rerun_orphans().await;
            self.poll_commands().await;
        }
        self.report_abandoned().await;
        self.runner.end_removed().await;
        self.runner.retry_held();
    }

    /// Takes over from dead hosts, and makes sure that the other hosts know this one. Returns whether this host may
    /// continue. A host that the others counted as dead holds nothing until it is registered again.
    async fn reap_dead_hosts(&self) -> bool {
        let DaemonSetup { ledger, instance, .. } = &*self.setup;
        match ledger.is_known(instance).await {
            Ok(true) => self.runner.end_lost(),
            Ok(false) => return false,
            Err(error) => {
                tracing::error!("cannot check whether the other hosts count this host as alive: {error}");
            }
        }
        match ledger.reap_dead_hosts().await {
            Ok(reaped) if reaped.instances > 0 => {
                let (processes, in_doubt) = (reaped.instances, reaped.in_doubt);
                tracing::warn!(
                    processes,
                    in_doubt,
                    "other processes sent no heartbeat for too long and count as dead"
                );
                self.report_unreported_ends().await;
            }
            Ok(_) => {}
            Err(error) => tracing::error!("cannot check for dead hosts: {error}"),
        }
        match ledger.must_register_jobs(instance).await {
            Ok(true) => {
                if let Err(error) = self.register_jobs(false).await {
                    tracing::error!("cannot record the jobs of this host in the ledger, retrying: {error}");
                }
            }
            Ok(false) => {}
            Err(error) => tracing::error!("cannot check whether other hosts have the same jobs: {error}"),
        }
        true
    }

    /// When to wake up. The wall clock may be set in the meantime, so the wait is never longer than the polling
    /// interval.
    fn wake(&self, next_look: Instant) -> Instant {
        let clock = &self.setup.clock;
        let next = self.scheduler.borrow_mut().next();
        let wait = next.map(|at| at.saturating_sub(clock.unix_time()));
        wait.map_or(next_look, |wait| next_look.min(clock.now() + wait))
    }

    /// Takes the active jobs from the registry. A new job has no scheduled times before now, except an `at`, whose
    /// time may have been missed. A job that comes back, or whose script failed to load for a while, continues
    /// after its last decided time.
    async fn register_jobs(&self, first: bool) -> Result<(), LedgerError> {
        let DaemonSetup { ledger, instance, roles, clock, registry, .. } = &*self.setup;
        let (jobs, now) = (registry.jobs(), clock.unix_time());
        ledger.describe(instance, &roles.to_string(), &registry.fingerprint()).await?;
        // A host that does not schedule registers no jobs.
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
        let passed = self.scheduler.borrow().decided_by_calendar(&jobs, now);
        if !passed.is_empty() {
            self.claim(&[], &passed).await?;
        }
        let old = if roles.schedule { ledger.previous_schedules(&enlisted).await? } else { Vec::new() };
        let decided =
            if roles.schedule { ledger.register_jobs(instance, &enlisted).await? } else { Vec::new() };
        dropped::note(self, &jobs, old, now).await?;
        self.scheduler.borrow_mut().replace(jobs.into_iter().zip(decided).collect(), now);
        self.report_stale().await;
        self.report_unheard();
        if first {
            let (scripts, jobs) = (registry.scripts().len(), self.scheduler.borrow().len());
            tracing::info!(scripts, jobs, "serving");
        }
        Ok(())
    }
}
