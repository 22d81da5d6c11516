//! Executes runs, each in its own worker. The number of concurrent runs is limited, and a job has at most one run
//! at a time; other runs wait. A job that runs for events has at most one run at a time for each group, and at most
//! [`EVENT_RUNS`] in all.
//!
//! - `execute`: one run; `held`: holds a requested run to its plan; `end`: how runs end; `removed`: waiting runs whose jobs are gone.

mod end;
mod execute;
mod held;
mod removed;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Instant;
use crate::ledger::{BroadcastCommand, EndedRun, JobRunAction, JobState, NewJobRun, RunRequest};
use crate::protocol::LuaSource;
use crate::run::{
    BroadcastSupervisor, HostMemory, Interrupt, ModuleSnapshot, OutputWriter, RunRecord, RunServices,
};
use crate::schedule::{OverlapPolicy, run_name};

use super::DaemonSetup;
use super::figures::{self, RunMetrics};
use super::version::ScriptVersion;

pub(super) use end::is_alert;

/// The wait before a failed write to the ledger is retried.
const AGAIN: Duration = Duration::from_secs(1);

/// The most runs of a job for events of different groups at a time.
const EVENT_RUNS: usize = 4;

/// Runs with the same key follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RunKey {
    pub(super) job: String,
    /// The group of the event that the run is for.
    pub(super) group: Option<String>,
}

impl RunKey {
    /// The key of runs that are not for events.
    pub(super) fn of_job(job: &str) -> Self {
        Self { job: job.to_owned(), group: None }
    }
}

#[derive(Debug, Clone)]
pub(super) struct ClaimedRun {
    pub(super) job: String,
    pub(super) scheduled_at: Duration,
    pub(super) path: PathBuf,
    pub(super) script: LuaSource,
    pub(super) modules: Arc<ModuleSnapshot>,
    pub(super) timeout: Option<Duration>,
    /// Whether the run may have a stored input: a hook's request, or an event.
    pub(super) has_input: bool,
    /// The group of the event that the run is for.
    pub(super) group: Option<String>,
    /// The arguments and the plan, if the run is of the script itself and not of one of its jobs.
    pub(super) args: Option<RunRequest>,
    /// Whether the run had begun before its process died.
    pub(super) entered: bool,
}

impl ClaimedRun {
    pub(super) fn new(
        version: &ScriptVersion,
        run: &NewJobRun,
        has_input: bool,
        group: Option<String>,
    ) -> Self {
        Self {
            job: run.job.clone(),
            scheduled_at: run.scheduled_at,
            path: version.path.clone(),
            script: version.script.clone(),
            modules: Arc::clone(&version.modules),
            timeout: run.timeout,
            has_input,
            group,
            args: run.args.clone(),
            entered: false,
        }
    }

    pub(super) fn key(&self) -> RunKey {
        RunKey { job: self.job.clone(), group: self.group.clone() }
    }
}

/// A run that is being executed.
struct ActiveRun {
    scheduled_at: Duration,
    /// The number of the instance that claimed the run.
    instance: i64,
    /// Whether another host has taken the run over.
    lost: Cell<bool>,
    interrupt: Interrupt,
    /// The reason of a requested cancel.
    cancelled: OnceCell<String>,
    services: OnceCell<Rc<RunServices>>,
    /// The event that the run is for, in words.
    event: OnceCell<String>,
    /// Whether the run handles an alert of this daemon. Its end raises no alert.
    of_alert: Cell<bool>,
    /// Records its output; `None` if none is kept.
    record: Option<Rc<RunRecord>>,
}

/// Queues and executes job runs.
pub(super) struct RunQueue {
    setup: Rc<DaemonSetup>,
    supervisor: Rc<BroadcastSupervisor>,
    active_runs: RefCell<HashMap<RunKey, Rc<ActiveRun>>>,
    waiting: RefCell<VecDeque<ClaimedRun>>,
    /// Runs that wait for another process.
    held: RefCell<Vec<ClaimedRun>>,
    /// Ended runs that are not recorded yet. `writing` is set while one task records them.
    endings: RefCell<Vec<(EndedRun, oneshot::Sender<()>)>>,
    writing: Cell<bool>,
    stopping: CancellationToken,
    /// Notified when a run for an event has ended, since the next event may have waited for it.
    event_ended: Notify,
    /// The paused jobs. Their waiting runs do not begin.
    paused: RefCell<HashSet<String>>,
    /// Jobs with waiting runs that no script declares, and when that was first seen.
    removed: RefCell<HashMap<String, Instant>>,
    /// Jobs among them that another living host of the fleet has.
    elsewhere: RefCell<BTreeSet<String>>,
    tasks: TaskTracker,
    figures: RunMetrics,
    outputs: Rc<OutputWriter>,
    /// The memory that the calls of all runs on this host hold.
    memory: HostMemory,
}

impl RunQueue {
    pub(super) fn new(setup: Rc<DaemonSetup>, supervisor: Rc<BroadcastSupervisor>) -> Rc<Self> {
        let outputs = OutputWriter::new(setup.clock.clone());
        Rc::new(Self {
            setup,
            supervisor,
            active_runs: RefCell::default(),
            waiting: RefCell::default(),
            held: RefCell::default(),
            endings: RefCell::default(),
            writing: Cell::new(false),
            stopping: CancellationToken::new(),
            event_ended: Notify::new(),
            paused: RefCell::default(),
            removed: RefCell::default(),
            elsewhere: RefCell::default(),
            tasks: TaskTracker::new(),
            figures: RunMetrics::default(),
            outputs,
            memory: HostMemory::default(),
        })
    }

    /// Decides what happens to a new run of a job, given its active and waiting runs. `taken` counts the runs that
    /// the same decision starts.
    pub(super) async fn entry(&self, key: &RunKey, overlap: OverlapPolicy, taken: usize) -> JobRunAction {
        self.end_lost();
        // The active run belongs to another host now and is only ending here.
        if self.active_runs.borrow().get(key).is_some_and(|active_run| active_run.lost.get()) {
            return JobRunAction::Wait;
        }
        let running = self.active_runs.borrow().get(key).map(|active_run| active_run.scheduled_at);
        if let Some(earlier) = running.or_else(|| self.waits(key)) {
            return match overlap {
                OverlapPolicy::Skip => {
                    let how = if running.is_some() { "is still running" } else { "is still queued" };
                    JobRunAction::Skip(format!("the run of {} {how}", run_name(earlier)))
                }
                OverlapPolicy::Queue => JobRunAction::Wait,
                OverlapPolicy::Cancel => {
                    self.cancel(&key.job, "the job's next scheduled time has come (`overlap = \"cancel\"`)")
                        .await;
                    JobRunAction::Wait
                }
            };
        }
        if self.free(taken) {
            JobRunAction::Run { or_skip: overlap == OverlapPolicy::Skip }
        } else {
            JobRunAction::Wait
        }
    }

    fn free(&self, taken: usize) -> bool {
        let workers = self.setup.registry.settings().scripts.workers as usize;
        let active_runs = self.active_runs.borrow();
        active_runs.len() + taken < workers
            && self
                .waiting
                .borrow()
                .iter()
                .all(|task| active_runs.contains_key(&task.key()) || !self.may_begin(task))
    }

    fn waits(&self, key: &RunKey) -> Option<Duration> {
        let (waiting, held) = (self.waiting.borrow(), self.held.borrow());
        waiting.iter().chain(held.iter()).find(|task| task.key() == *key).map(|task| task.scheduled_at)
    }

    /// Whether a job may have another run for an event. Further events wait in the ledger.
    pub(super) fn takes_event(&self, job: &str) -> bool {
        let (waiting, held) = (self.waiting.borrow(), self.held.borrow());
        let waiting = waiting.iter().chain(held.iter()).filter(|task| task.job == job).count();
        waiting + self.active_runs.borrow().keys().filter(|key| key.job == job).count() < EVENT_RUNS
    }

    /// Returns once a run for an event has ended.
    pub(super) async fn event_ended(&self) {
        self.event_ended.notified().await;
    }

    pub(super) fn queue(self: &Rc<Self>, task: ClaimedRun) {
        tracing::info!(job = task.job, run = run_name(task.scheduled_at), "run queued");
        self.waiting.borrow_mut().push_back(task);
        self.next();
    }

    /// Starts a run that was claimed as running.
    pub(super) fn start(self: &Rc<Self>, task: ClaimedRun, attempt: u32) {
        let active_run = self.add_active(&task);
        let runner = Rc::clone(self);
        self.tasks
            .spawn_local(async move { Box::pin(runner.run_task(task, active_run, Some(attempt))).await });
    }

    /// Starts waiting runs while workers are free.
    fn next(self: &Rc<Self>) {
        let workers = self.setup.registry.settings().scripts.workers as usize;
        while !self.stopping.is_cancelled() && self.active_runs.borrow().len() < workers {
            let task = {
                let (active_runs, mut waiting) = (self.active_runs.borrow(), self.waiting.borrow_mut());
                let may = |task: &ClaimedRun| !active_runs.contains_key(&task.key()) && self.may_begin(task);
                let first = waiting.iter().position(may);
                first.and_then(|index| waiting.remove(index))
            };
            let Some(task) = task else { return };
            let active_run = self.add_active(&task);
            let runner = Rc::clone(self);
            self.tasks.spawn_local(async move { Box::pin(runner.run_task(task, active_run, None)).await });
        }
    }

    /// Sets the paused jobs. Their waiting runs keep waiting.
    pub(super) fn pause(&self, paused: HashSet<String>) {
        self.paused.replace(paused);
    }

    /// Whether a waiting run may begin: its job is neither paused nor removed. A run that had begun before its
    /// process died runs again, whatever became of the job.
    fn may_begin(&self, task: &ClaimedRun) -> bool {
        task.entered || !(self.paused.borrow().contains(&task.job) || self.is_removed(task))
    }

    /// Retries the runs that wait for another process.
    pub(super) fn retry_held(self: &Rc<Self>) {
        let held = std::mem::take(&mut *self.held.borrow_mut());
        self.waiting.borrow_mut().extend(held);
        self.next();
    }

    fn add_active(&self, task: &ClaimedRun) -> Rc<ActiveRun> {
        let scripts = self.setup.registry.settings().scripts;
        let kept = !scripts.keep_output.is_zero();
        let (ledger, at) = (self.setup.ledger.clone(), task.scheduled_at);
        let run_row = move || Some((ledger.clone(), at));
        let record = || self.outputs.record(&task.job, run_row, scripts.keep_output_size);
        let active_run = Rc::new(ActiveRun {
            scheduled_at: task.scheduled_at,
            instance: self.setup.instance.id(),
            lost: Cell::new(false),
            interrupt: Interrupt::default(),
            cancelled: OnceCell::new(),
            services: OnceCell::new(),
            event: OnceCell::new(),
            of_alert: Cell::new(false),
            record: kept.then(record),
        });
        self.active_runs.borrow_mut().insert(task.key(), Rc::clone(&active_run));
        self.figures.running.set(self.count() as f64);
        active_run
    }

    /// Cancels the active runs of a job, with their broadcasts, and its waiting runs. Returns the number of runs.
    pub(super) async fn cancel(&self, job: &str, why: &str) -> usize {
        let gone: Vec<ClaimedRun> = {
            let (held, waiting) = (self.held.borrow(), self.waiting.borrow());
            held.iter().chain(waiting.iter()).filter(|task| task.job == job).cloned().collect()
        };
        self.held.borrow_mut().retain(|task| task.job != job);
        self.waiting.borrow_mut().retain(|task| task.job != job);
        for task in &gone {
            let run = run_name(task.scheduled_at);
            figures::run_ended(job, JobState::Cancelled);
            tracing::warn!(job, run, "queued run cancelled: {why}");
            self.record_end(task, JobState::Cancelled, Some(why)).await;
        }
        let active_runs: Vec<Rc<ActiveRun>> = {
            let active_runs = self.active_runs.borrow();
            let of_job =
                active_runs.iter().filter(|(key, active_run)| key.job == job && !active_run.lost.get());
            of_job.map(|(_, active_run)| Rc::clone(active_run)).collect()
        };
        for active_run in &active_runs {
            if active_run.cancelled.set(why.to_owned()).is_ok() {
                active_run.interrupt.cancel();
                let broadcasts = active_run.services.get().map(|services| services.broadcasts.driven());
                for id in broadcasts.unwrap_or_default() {
                    // A finished broadcast needs no cancel.
                    let _ = self.setup.ledger.request_command(id, BroadcastCommand::Cancel, Some(why)).await;
                }
            }
        }
        gone.len() + active_runs.len()
    }

    /// Ends at once the runs that another host took over because this host sent no heartbeat for too long. They are
    /// run again there if their job allows it.
    pub(super) fn end_lost(&self) {
        let instance = self.setup.instance.id();
        for (RunKey { job, .. }, active_run) in self.active_runs.borrow().iter() {
            if active_run.instance != instance && !active_run.lost.replace(true) {
                let run = run_name(active_run.scheduled_at);
                tracing::warn!(
                    job,
                    run,
                    "stopping this run: this host sent no heartbeat for too long, so another host took the run over"
                );
                active_run.interrupt.end_at_once();
            }
        }
    }

    /// Stops starting new runs.
    pub(super) fn stop(&self) {
        self.stopping.cancel();
    }

    /// Asks all runs to finish what is in flight. A second call ends them at once.
    pub(super) fn interrupt(&self) {
        for active_run in self.active_runs.borrow().values() {
            active_run.interrupt.cancel();
        }
    }

    /// The number of active runs.
    pub(super) fn count(&self) -> usize {
        self.active_runs.borrow().len()
    }

    /// Waits until no run is active.
    pub(super) async fn idle(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
