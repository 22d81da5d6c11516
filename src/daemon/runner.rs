//! Executes runs, each in its own worker. The number of concurrent runs is limited, and a job has at most one run
//! at a time; other runs wait.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::clock::Instant;
use crate::ledger::{BeginResult, BroadcastCommand, EndedRun, JobRunAction, JobState, NewJobRun};
use crate::protocol::{HookRequest, JobStart, LuaSource};
use crate::run::{
    BroadcastSupervisor, HostMemory, Interrupt, InterruptSwitch, JobContext, ModuleSnapshot, ProjectInputs,
    RunBuilder, RunEnd, RunError, RunServices, job_start,
};
use crate::schedule::{OverlapPolicy, run_name};

use super::alerts::ALERT_HEADER;
use super::figures::{self, RunMetrics};
use super::version::ScriptVersion;
use super::{DaemonEvent, DaemonSetup};

/// How long a job must be gone before its waiting runs are cancelled. A hook's runs wait longer, because the hook
/// accepted their requests.
const REMOVED: Duration = Duration::from_secs(10);
const REMOVED_HOOK: Duration = Duration::from_hours(24);

/// The note of a run that is cancelled because its job is gone.
const NO_JOB: &str = "no script declares the job any more";

/// The wait before a failed write to the ledger is retried.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(super) struct ClaimedRun {
    pub(super) job: String,
    pub(super) scheduled_at: Duration,
    pub(super) path: PathBuf,
    pub(super) script: LuaSource,
    pub(super) modules: Arc<ModuleSnapshot>,
    pub(super) timeout: Option<Duration>,
    /// Whether this may be the run of a hook's request.
    pub(super) hook: bool,
    /// The arguments, if the run is a run of the script itself and not of one of its jobs.
    pub(super) args: Option<Vec<String>>,
    /// Whether the run had begun before its process died.
    pub(super) entered: bool,
}

impl ClaimedRun {
    pub(super) fn new(version: &ScriptVersion, run: &NewJobRun, hook: bool) -> Self {
        Self {
            job: run.job.clone(),
            scheduled_at: run.scheduled_at,
            path: version.path.clone(),
            script: version.script.clone(),
            modules: Arc::clone(&version.modules),
            timeout: run.timeout,
            hook,
            args: run.args.clone(),
            entered: false,
        }
    }
}

/// A run that is being executed.
struct ActiveRun {
    scheduled_at: Duration,
    /// The number of the instance that claimed the run.
    owner: i64,
    /// Whether another host has taken the run over.
    lost: Cell<bool>,
    switch: InterruptSwitch,
    interrupt: Interrupt,
    /// The reason of a requested cancel.
    cancelled: OnceCell<String>,
    services: OnceCell<Rc<RunServices>>,
    /// Whether the run handles an alert of this daemon. Its end raises no alert.
    of_alert: Cell<bool>,
}

/// Queues and executes job runs.
pub(super) struct RunQueue {
    setup: Rc<DaemonSetup>,
    keeper: Rc<BroadcastSupervisor>,
    flights: RefCell<HashMap<String, Rc<ActiveRun>>>,
    waiting: RefCell<VecDeque<ClaimedRun>>,
    /// Runs that wait for another process.
    held: RefCell<Vec<ClaimedRun>>,
    /// Ended runs that are not recorded yet. `writing` is set while one task records them.
    endings: RefCell<Vec<(EndedRun, oneshot::Sender<()>)>>,
    writing: Cell<bool>,
    stopping: Cell<bool>,
    /// The paused jobs. Their waiting runs do not begin.
    paused: RefCell<HashSet<String>>,
    /// Jobs with waiting runs that no script declares, and when that was first seen.
    removed: RefCell<HashMap<String, Instant>>,
    /// Jobs among them that another living host of the fleet has.
    elsewhere: RefCell<BTreeSet<String>>,
    idle: Notify,
    figures: RunMetrics,
    /// The memory that the calls of all runs on this host hold.
    memory: HostMemory,
}

impl RunQueue {
    pub(super) fn new(setup: Rc<DaemonSetup>, keeper: Rc<BroadcastSupervisor>) -> Rc<Self> {
        Rc::new(Self {
            setup,
            keeper,
            flights: RefCell::default(),
            waiting: RefCell::default(),
            held: RefCell::default(),
            endings: RefCell::default(),
            writing: Cell::new(false),
            stopping: Cell::new(false),
            paused: RefCell::default(),
            removed: RefCell::default(),
            elsewhere: RefCell::default(),
            idle: Notify::new(),
            figures: RunMetrics::default(),
            memory: HostMemory::default(),
        })
    }

    /// Decides what happens to a new run of a job, given its active and waiting runs. `taken` counts the runs that
    /// the same decision starts.
    pub(super) async fn entry(&self, job: &str, overlap: OverlapPolicy, taken: usize) -> JobRunAction {
        self.end_lost();
        // The active run belongs to another host now and is only ending here.
        if self.flights.borrow().get(job).is_some_and(|flight| flight.lost.get()) {
            return JobRunAction::Wait;
        }
        let running = self.flights.borrow().get(job).map(|flight| flight.scheduled_at);
        if let Some(earlier) = running.or_else(|| self.waits(job)) {
            return match overlap {
                OverlapPolicy::Skip => {
                    let how = if running.is_some() { "goes on" } else { "waits for its turn" };
                    JobRunAction::Skip(format!("the run of {} {how}", run_name(earlier)))
                }
                OverlapPolicy::Queue => JobRunAction::Wait,
                OverlapPolicy::Cancel => {
                    self.cancel(job, "the job's next instant has come (`overlap = \"cancel\"`)").await;
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
        let flights = self.flights.borrow();
        flights.len() + taken < workers
            && self
                .waiting
                .borrow()
                .iter()
                .all(|task| flights.contains_key(&task.job) || !self.may_begin(task))
    }

    fn waits(&self, job: &str) -> Option<Duration> {
        let (waiting, held) = (self.waiting.borrow(), self.held.borrow());
        waiting.iter().chain(held.iter()).find(|task| task.job == job).map(|task| task.scheduled_at)
    }

    pub(super) fn queue(self: &Rc<Self>, task: ClaimedRun) {
        tracing::info!(job = task.job, run = run_name(task.scheduled_at), "a run waits for its turn");
        self.waiting.borrow_mut().push_back(task);
        self.next();
    }

    /// Starts a run that was claimed as running.
    pub(super) fn start(self: &Rc<Self>, task: ClaimedRun, attempt: u32) {
        let flight = self.add_active(&task);
        let runner = Rc::clone(self);
        tokio::task::spawn_local(async move { Box::pin(runner.run_task(task, flight, Some(attempt))).await });
    }

    /// Starts waiting runs while workers are free.
    fn next(self: &Rc<Self>) {
        let workers = self.setup.registry.settings().scripts.workers as usize;
        while !self.stopping.get() && self.flights.borrow().len() < workers {
            let task = {
                let (flights, mut waiting) = (self.flights.borrow(), self.waiting.borrow_mut());
                let may = |task: &ClaimedRun| !flights.contains_key(&task.job) && self.may_begin(task);
                let first = waiting.iter().position(may);
                first.and_then(|index| waiting.remove(index))
            };
            let Some(task) = task else { return };
            let flight = self.add_active(&task);
            let runner = Rc::clone(self);
            tokio::task::spawn_local(async move { Box::pin(runner.run_task(task, flight, None)).await });
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

    /// Whether no script on any living host of the fleet declares the run's job.
    fn is_removed(&self, task: &ClaimedRun) -> bool {
        self.is_gone_here(task) && (task.args.is_some() || !self.elsewhere.borrow().contains(&task.job))
    }

    /// Whether no script of this host declares the run's job. A job whose script fails to load at the moment is not
    /// gone.
    fn is_gone_here(&self, task: &ClaimedRun) -> bool {
        let registry = &self.setup.registry;
        match &task.args {
            Some(_) => registry.script(&task.script.name).is_none() && !registry.knows(&task.path),
            None => registry.find(&task.job).is_none() && !registry.is_refused(&task.path),
        }
    }

    /// Asks the ledger which of the jobs that are gone here another living host has. Returns false if the ledger
    /// cannot tell.
    async fn ask_the_others(&self) -> bool {
        let DaemonSetup { ledger, owner, .. } = &*self.setup;
        if !ledger.is_shared() {
            return true;
        }
        let jobs: Vec<String> = {
            let (waiting, held) = (self.waiting.borrow(), self.held.borrow());
            let gone = waiting.iter().chain(held.iter()).filter(|task| self.is_gone_here(task));
            gone.map(|task| task.job.clone()).collect()
        };
        match ledger.jobs_elsewhere(owner, &jobs).await {
            Ok(found) => {
                self.elsewhere.replace(found);
                true
            }
            Err(error) => {
                tracing::error!(
                    "whether another host has the jobs of runs that wait cannot be seen: {error}"
                );
                false
            }
        }
    }

    /// Cancels the waiting runs of removed jobs, once a job has been gone for a while: a script is briefly absent
    /// while it is replaced.
    pub(super) async fn end_removed(&self) {
        if !self.ask_the_others().await {
            return;
        }
        let now = self.setup.clock.now();
        let waiting: Vec<ClaimedRun> = self.waiting.borrow().iter().cloned().collect();
        let gone: Vec<ClaimedRun> =
            waiting.into_iter().filter(|task| !task.entered && self.is_removed(task)).collect();
        let due: Vec<ClaimedRun> = {
            let mut removed = self.removed.borrow_mut();
            removed.retain(|job, _| gone.iter().any(|task| task.job == *job));
            gone.into_iter()
                .filter(|task| {
                    let since = *removed.entry(task.job.clone()).or_insert(now);
                    let patience = if task.hook { REMOVED_HOOK } else { REMOVED };
                    now.saturating_since(since) >= patience
                })
                .collect()
        };
        for task in due {
            let is_it = |other: &ClaimedRun| other.job == task.job && other.scheduled_at == task.scheduled_at;
            self.waiting.borrow_mut().retain(|other| !is_it(other));
            let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
            figures::run_ended(job, JobState::Cancelled);
            tracing::warn!(job, run, "a run that waited is ended: {NO_JOB}");
            self.record_end(&task, JobState::Cancelled, Some(NO_JOB)).await;
        }
    }

    /// Retries the runs that wait for another process.
    pub(super) fn retry_held(self: &Rc<Self>) {
        let held = std::mem::take(&mut *self.held.borrow_mut());
        self.waiting.borrow_mut().extend(held);
        self.next();
    }

    fn add_active(&self, task: &ClaimedRun) -> Rc<ActiveRun> {
        let (switch, interrupt) = InterruptSwitch::new();
        let flight = Rc::new(ActiveRun {
            scheduled_at: task.scheduled_at,
            owner: self.setup.owner.id(),
            lost: Cell::new(false),
            switch,
            interrupt,
            cancelled: OnceCell::new(),
            services: OnceCell::new(),
            of_alert: Cell::new(false),
        });
        self.flights.borrow_mut().insert(task.job.clone(), Rc::clone(&flight));
        self.figures.running.set(self.count() as f64);
        flight
    }

    /// Executes one run from beginning to end.
    async fn run_task(self: Rc<Self>, task: ClaimedRun, flight: Rc<ActiveRun>, attempt: Option<u32>) {
        if let Some(attempt) = self.begun(&task, attempt).await {
            let ended = self.run(&task, &flight, attempt).await;
            self.ended(&task, &flight, ended).await;
        }
        self.flights.borrow_mut().remove(&task.job);
        self.figures.running.set(self.count() as f64);
        self.next();
        self.idle.notify_waiters();
    }

    /// Begins the run in the ledger and returns its attempt number. `None` if the run does not begin.
    async fn begun(&self, task: &ClaimedRun, attempt: Option<u32>) -> Option<u32> {
        if attempt.is_some() {
            return attempt;
        }
        let DaemonSetup { ledger, owner, clock, .. } = &*self.setup;
        loop {
            match ledger.begin_job_run(&task.job, task.scheduled_at, owner).await {
                Ok(BeginResult::Begun { attempt }) => return Some(attempt),
                Ok(BeginResult::Busy) => {
                    self.held.borrow_mut().push(task.clone());
                    return None;
                }
                Ok(BeginResult::Gone) => return None,
                Err(_) if self.stopping.get() => return None,
                Err(error) => {
                    let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
                    tracing::error!(job, run, "the run cannot begin: {error}");
                    clock.sleep(AGAIN).await;
                }
            }
        }
    }

    async fn run(&self, task: &ClaimedRun, flight: &ActiveRun, attempt: u32) -> RunEnd {
        if self.setup.instead.as_ref().is_some_and(|instead| instead(&task.job, task.scheduled_at)) {
            return RunEnd::Finished;
        }
        let request = match self.request(task).await {
            Ok(request) => request,
            Err(ended) => return ended,
        };
        flight.of_alert.set(request.as_ref().is_some_and(is_alert));
        let DaemonSetup { registry, apps, clock, output, program, ledger, owner, .. } = &*self.setup;
        let settings = registry.settings();
        let run = run_name(task.scheduled_at);
        let not_started = |why: String| RunEnd::Failed(RunError::NotStarted(why));
        // The files come from the folder in which the daemon started, even if it was moved.
        let held = &registry.loader().held;
        let here = match held.current() {
            Ok(here) => here,
            Err(error) => return not_started(error.to_string()),
        };
        let path = held.moved(&here, &task.path);
        let path = path.canonicalize().unwrap_or(path);
        let mut prepared = RunBuilder::new(&here, &settings, apps, clock, &path, task.script.clone());
        prepared.program.clone_from(program);
        prepared.output = Rc::clone(output);
        prepared.modules = Some(Arc::clone(&task.modules));
        prepared.memory = Some(self.memory.of_run(settings.scripts.host_memory));
        prepared.limits.timeout = task.timeout.or(settings.scripts.timeout);
        prepared.context = Some(JobContext {
            name: task.job.clone(),
            scheduled_at: task.scheduled_at,
            // A script's run sends the same broadcasts as `mooncast run`. To send one again, the script sets
            // another `run`.
            run: if task.args.is_some() { "1".to_owned() } else { run.clone() },
            ledger: ledger.clone(),
            owner: owner.clone(),
            keeper: Rc::clone(&self.keeper),
            project: ProjectInputs::of(&here, &settings, &task.script.name).ok(),
            loose: tokio::sync::OnceCell::new(),
        });
        match &task.args {
            Some(args) => prepared.args.clone_from(args),
            None => {
                prepared.run_job(JobStart { attempt, request, ..job_start(&task.job, task.scheduled_at) });
            }
        }
        let prepared = match prepared.build() {
            Ok(prepared) if held.is_at(&here) => prepared,
            Ok(_) => return not_started("the project's folder was renamed while the run began".to_owned()),
            Err(error) => return not_started(error.to_string()),
        };
        // This is the only place that sets it.
        let _ = flight.services.set(Rc::clone(&prepared.services));
        let late = clock.unix_time().saturating_sub(task.scheduled_at);
        self.figures.begins(attempt, late);
        let (job, script) = (task.job.as_str(), task.script.name.as_str());
        tracing::info!(
            job,
            run,
            attempt,
            script,
            late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            "a run begins"
        );
        prepared.run_until(flight.interrupt.clone()).await
    }

    /// The hook's request that this run handles. The run ends if the stored request is invalid, or if the daemon
    /// stops before the request can be read.
    async fn request(&self, task: &ClaimedRun) -> Result<Option<HookRequest>, RunEnd> {
        if !task.hook {
            return Ok(None);
        }
        let DaemonSetup { ledger, clock, .. } = &*self.setup;
        loop {
            match ledger.hook_request(&task.job, task.scheduled_at).await {
                Ok(None) => return Ok(None),
                Ok(Some((head, body))) => {
                    return HookRequest::of_parts(&head, body).map(Some).map_err(|error| {
                        let why = format!("its request in the ledger makes no sense: {error}");
                        RunEnd::Failed(RunError::NotStarted(why))
                    });
                }
                Err(_) if self.stopping.get() => return Err(RunEnd::Interrupted),
                Err(error) => {
                    let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
                    tracing::error!(job, run, "the request of a run cannot be read: {error}");
                    clock.sleep(AGAIN).await;
                }
            }
        }
    }

    /// Records how a run ended. A run that ended only because the daemon stops is left to the next daemon.
    async fn ended(&self, task: &ClaimedRun, flight: &ActiveRun, ended: RunEnd) {
        if flight.lost.get() {
            return;
        }
        let (job, run) = (task.job.clone(), run_name(task.scheduled_at));
        let counts = flight.services.get().map(|services| services.tally.counts()).unwrap_or_default();
        let cut_short = |failed: &RunError| matches!(failed, RunError::Script(error) if error.kind.as_deref() == Some("cancelled"));
        let (state, note) = match (flight.cancelled.get(), ended) {
            (Some(why), RunEnd::Failed(_) | RunEnd::Interrupted) => (JobState::Cancelled, Some(why.clone())),
            (_, RunEnd::Finished) => (JobState::Done, None),
            (None, RunEnd::Interrupted) => return self.cut_short(task).await,
            (None, RunEnd::Failed(failed)) if self.stopping.get() && cut_short(&failed) => {
                return self.cut_short(task).await;
            }
            (None, RunEnd::Failed(failed)) => (JobState::Failed, Some(failed.to_string())),
        };
        figures::run_ended(&job, state);
        let note_text = note.as_deref().unwrap_or_default();
        match state {
            JobState::Done => tracing::info!(job, run, "a run is done"),
            JobState::Cancelled => tracing::warn!(job, run, "a run is cancelled: {note_text}"),
            _ => tracing::error!(job, run, "a run failed: {note_text}"),
        }
        // Raised before the end is recorded in the ledger: a crash in between repeats the alert instead of losing
        // it.
        let tells = !flight.of_alert.get();
        if !tells && (state == JobState::Failed || !counts.all_delivered()) {
            tracing::error!(
                job,
                run,
                "a run that takes an alert failed or did not deliver: no alert tells of it"
            );
        }
        if state == JobState::Failed && tells {
            let why = note.clone().unwrap_or_default();
            let (job, script, run) = (job.clone(), task.script.name.clone(), run.clone());
            self.setup.tell(DaemonEvent::RunFailed { job, script, run, why }).await;
        }
        if !counts.all_delivered() && tells {
            let groups = counts.rejected + counts.in_doubt + counts.not_sent;
            self.setup.tell(DaemonEvent::RunUndelivered { job, run, groups }).await;
        }
        self.record_end(task, state, note.as_deref()).await;
    }

    /// Leaves a run to the next daemon, and records in the ledger that this daemon did not crash during it.
    async fn cut_short(&self, task: &ClaimedRun) {
        let DaemonSetup { ledger, owner, .. } = &*self.setup;
        let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
        tracing::warn!(job, run, "a run is cut short: the daemon stops");
        if let Err(error) = ledger.mark_run_interrupted(job, task.scheduled_at, owner).await {
            tracing::warn!(job, run, "that the daemon stopped in order is not in the ledger: {error}");
        }
    }

    /// Records how a run ended. Runs that end at the same time share a commit.
    async fn record_end(&self, task: &ClaimedRun, state: JobState, note: Option<&str>) {
        let (written, wait) = oneshot::channel();
        let note = note.map(str::to_owned);
        let run = EndedRun { job: task.job.clone(), scheduled_at: task.scheduled_at, state, note };
        self.endings.borrow_mut().push((run, written));
        if !self.writing.replace(true) {
            self.write_endings().await;
            self.writing.set(false);
        }
        // The sender was dropped, so the end is written.
        let _ = wait.await;
    }

    async fn write_endings(&self) {
        let DaemonSetup { ledger, owner, clock, .. } = &*self.setup;
        loop {
            let (runs, written): (Vec<EndedRun>, Vec<_>) = self.endings.borrow_mut().drain(..).unzip();
            if runs.is_empty() {
                return;
            }
            while let Err(error) = ledger.finish_job_runs(owner, &runs).await {
                let count = runs.len();
                tracing::error!(count, "that runs are over is not in the ledger yet: {error}");
                clock.sleep(AGAIN).await;
            }
            for written in written {
                // The receiver still exists.
                let _ = written.send(());
            }
        }
    }

    /// Cancels the active run of a job, with its broadcasts, and its waiting runs. Returns the number of runs.
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
            tracing::warn!(job, run, "a run that waited is cancelled: {why}");
            self.record_end(task, JobState::Cancelled, Some(why)).await;
        }
        let flight = self.flights.borrow().get(job).filter(|flight| !flight.lost.get()).map(Rc::clone);
        let Some(flight) = flight else { return gone.len() };
        if flight.cancelled.set(why.to_owned()).is_ok() {
            flight.switch.press();
            let broadcasts = flight.services.get().map(|services| services.broadcasts.driven());
            for id in broadcasts.unwrap_or_default() {
                // A finished broadcast needs no cancel.
                let _ = self.setup.ledger.request_command(id, BroadcastCommand::Cancel, Some(why)).await;
            }
        }
        gone.len() + 1
    }

    /// Ends at once the runs that another host took over because this host sent no heartbeat for too long. They are
    /// run again there if their job allows it.
    pub(super) fn end_lost(&self) {
        let owner = self.setup.owner.id();
        for (job, flight) in self.flights.borrow().iter() {
            if flight.owner != owner && !flight.lost.replace(true) {
                let run = run_name(flight.scheduled_at);
                tracing::warn!(
                    job,
                    run,
                    "a run is ended here: the others took this host for dead, and have it now"
                );
                flight.switch.press();
                flight.switch.press();
            }
        }
    }

    /// Stops starting new runs.
    pub(super) fn stop(&self) {
        self.stopping.set(true);
    }

    /// Asks all runs to finish what is in flight. A second call ends them at once.
    pub(super) fn interrupt(&self) {
        for flight in self.flights.borrow().values() {
            flight.switch.press();
        }
    }

    /// The number of active runs.
    pub(super) fn count(&self) -> usize {
        self.flights.borrow().len()
    }

    /// Waits until no run is active.
    pub(super) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.flights.borrow().is_empty() {
                return;
            }
            idle.await;
        }
    }
}

/// Whether a request is an alert that a Mooncast daemon posted.
pub(super) fn is_alert(request: &HookRequest) -> bool {
    request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(ALERT_HEADER))
}
