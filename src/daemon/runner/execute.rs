//! Executes one run in its worker.

use std::rc::Rc;
use std::sync::Arc;

use crate::ledger::BeginResult;
use crate::protocol::{JobInput, JobStart};
use crate::run::{JobContext, ProjectInputs, RecordedOutput, RunBuilder, RunEnd, RunError, job_start};
use crate::schedule::run_name;

use super::super::DaemonSetup;
use super::is_alert;
use super::{AGAIN, ActiveRun, ClaimedRun, RunQueue};

impl RunQueue {
    /// Executes one run from beginning to end.
    pub(super) async fn run_task(
        self: Rc<Self>,
        task: ClaimedRun,
        active_run: Rc<ActiveRun>,
        attempt: Option<u32>,
    ) {
        if let Some(attempt) = self.begun(&task, attempt).await {
            let ended = Box::pin(self.run(&task, &active_run, attempt)).await;
            self.ended(&task, &active_run, attempt, &ended).await;
        }
        self.active_runs.borrow_mut().remove(&task.key());
        if task.group.is_some() {
            self.event_ended.notify_one();
        }
        self.figures.running.set(self.count() as f64);
        self.next();
    }

    /// Begins the run in the ledger and returns its attempt number. `None` if the run does not begin.
    async fn begun(&self, task: &ClaimedRun, attempt: Option<u32>) -> Option<u32> {
        if attempt.is_some() {
            return attempt;
        }
        let DaemonSetup { ledger, instance, clock, .. } = &*self.setup;
        loop {
            match ledger.begin_job_run(&task.job, task.scheduled_at, instance).await {
                Ok(BeginResult::Begun { attempt }) => return Some(attempt),
                Ok(BeginResult::Busy) => {
                    self.held.borrow_mut().push(task.clone());
                    return None;
                }
                Ok(BeginResult::Gone) => return None,
                Err(_) if self.stopping.is_cancelled() => return None,
                Err(error) => {
                    let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
                    tracing::error!(job, run, "cannot start the run: {error}");
                    clock.sleep(AGAIN).await;
                }
            }
        }
    }

    async fn run(&self, task: &ClaimedRun, active_run: &ActiveRun, attempt: u32) -> RunEnd {
        if self.setup.instead.as_ref().is_some_and(|instead| instead(&task.job, task.scheduled_at)) {
            return RunEnd::Finished;
        }
        if let Some(record) = active_run.record.as_ref().filter(|_| attempt > 1)
            && let Err(error) = record.go_on(attempt).await
        {
            let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
            tracing::warn!(job, run, "cannot read the output of the run's earlier attempts: {error}");
        }
        let input = match self.input(task).await {
            Ok(input) => input,
            Err(ended) => return ended,
        };
        if let Some(words) = input.as_ref().and_then(JobInput::event_words) {
            // This is the only place that sets it.
            let _ = active_run.event.set(words);
        }
        active_run.of_alert.set(input.as_ref().is_some_and(is_alert));
        if task.group.is_some() && input.is_none() {
            // The event was dropped between its choice and its claim. The run is new, so it is not cancelled yet.
            let _ =
                active_run.cancelled.set("its event was dropped, because too many events wait".to_owned());
            return RunEnd::Interrupted;
        }
        let DaemonSetup { registry, apps, clock, output, program, ledger, instance, .. } = &*self.setup;
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
        prepared.output = match &active_run.record {
            Some(record) => Rc::new(RecordedOutput { next: Rc::clone(output), record: Rc::clone(record) }),
            None => Rc::clone(output),
        };
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
            instance: instance.clone(),
            supervisor: Rc::clone(&self.supervisor),
            project: ProjectInputs::of(&here, &settings, &task.script.name).ok(),
            not_rerunnable: tokio::sync::OnceCell::new(),
        });
        if task.args.is_none() {
            prepared.run_job(JobStart { attempt, input, ..job_start(&task.job, task.scheduled_at) });
        }
        // The uploaded files live as long as the run.
        let held_to_plan = self.hold(task, &here, &path, &mut prepared);
        let _files = tokio::select! {
            files = held_to_plan => match files {
                Ok(files) => files,
                // The refusal says by itself that nothing was sent.
                Err(why) => return RunEnd::Failed(RunError::Stopped(why)),
            },
            () = active_run.interrupt.finish.cancelled() => return RunEnd::Interrupted,
        };
        let prepared = match prepared.build() {
            Ok(prepared) if held.is_at(&here) => prepared,
            Ok(_) => {
                return not_started("the project's folder was renamed while the run was starting".to_owned());
            }
            Err(error) => return not_started(error.to_string()),
        };
        if task.args.as_ref().is_some_and(|request| request.test_only) {
            prepared.services.broadcasts.only_test();
        }
        // This is the only place that sets it.
        let _ = active_run.services.set(Rc::clone(&prepared.services));
        if let Some(record) = &active_run.record {
            record.hide_secrets_of(&prepared.services);
        }
        self.log_begin(task, active_run, attempt);
        prepared.run_until(active_run.interrupt.clone()).await
    }

    fn log_begin(&self, task: &ClaimedRun, active_run: &ActiveRun, attempt: u32) {
        let (clock, run) = (&self.setup.clock, run_name(task.scheduled_at));
        let late = clock.unix_time().saturating_sub(task.scheduled_at);
        self.figures.begins(attempt, late);
        let (job, script) = (task.job.as_str(), task.script.name.as_str());
        tracing::info!(
            job,
            run,
            attempt,
            script,
            event = active_run.event.get().map(String::as_str),
            late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX),
            "run started"
        );
    }

    /// The hook's request or the event that this run handles. The run ends if the stored input is invalid, or if the
    /// daemon stops before the input can be read.
    async fn input(&self, task: &ClaimedRun) -> Result<Option<JobInput>, RunEnd> {
        if !task.has_input {
            return Ok(None);
        }
        let DaemonSetup { ledger, clock, .. } = &*self.setup;
        loop {
            match ledger.hook_request(&task.job, task.scheduled_at).await {
                Ok(None) => return Ok(None),
                Ok(Some((head, body))) => {
                    return JobInput::of_parts(&head, body).map(Some).map_err(|error| {
                        let why = format!("its input in the ledger is invalid: {error}");
                        RunEnd::Failed(RunError::NotStarted(why))
                    });
                }
                Err(_) if self.stopping.is_cancelled() => return Err(RunEnd::Interrupted),
                Err(error) => {
                    let (job, run) = (task.job.as_str(), run_name(task.scheduled_at));
                    tracing::error!(
                        job,
                        run,
                        "cannot read the run's input from the ledger, retrying: {error}"
                    );
                    clock.sleep(AGAIN).await;
                }
            }
        }
    }
}
