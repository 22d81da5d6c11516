//! Executes one run in its worker.

use std::rc::Rc;
use std::sync::Arc;

use crate::ledger::BeginResult;
use crate::protocol::{HookRequest, JobStart};
use crate::run::{JobContext, ProjectInputs, RunBuilder, RunEnd, RunError, job_start};
use crate::schedule::run_name;

use super::super::DaemonSetup;
use super::is_alert;
use super::{AGAIN, ActiveRun, ClaimedRun, RunQueue};

impl RunQueue {
    /// Executes one run from beginning to end.
    pub(super) async fn run_task(
        self: Rc<Self>,
        task: ClaimedRun,
        flight: Rc<ActiveRun>,
        attempt: Option<u32>,
    ) {
        if let Some(attempt) = self.begun(&task, attempt).await {
            let ended = self.run(&task, &flight, attempt).await;
            self.ended(&task, &flight, ended).await;
        }
        self.flights.borrow_mut().remove(&task.job);
        self.figures.running.set(self.count() as f64);
        self.next();
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
                    tracing::error!(job, run, "cannot start the run: {error}");
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
            Ok(_) => {
                return not_started("the project's folder was renamed while the run was starting".to_owned());
            }
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
            "run started"
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
                        let why = format!("its request in the ledger is invalid: {error}");
                        RunEnd::Failed(RunError::NotStarted(why))
                    });
                }
                Err(_) if self.stopping.get() => return Err(RunEnd::Interrupted),
                Err(error) => {
                    let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
                    tracing::error!(
                        job,
                        run,
                        "cannot read the run's request from the ledger, retrying: {error}"
                    );
                    clock.sleep(AGAIN).await;
                }
            }
        }
    }
}
