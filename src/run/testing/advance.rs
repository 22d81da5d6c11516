//! The simulated clock of a test, and the jobs that become due while it moves.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::protocol::{FailureKind, HookRequest, JobInput, JobStart, LoadMode, LuaSource, RequestFailure};
use crate::run::jobs::job_start;
use crate::schedule::{Job, OverlapPolicy};

use super::Testbed;
use super::play::TestRunSpec;

/// A job of a script that a test has loaded.
#[derive(Debug, Clone)]
pub(super) struct TestJob {
    pub(super) job: Rc<Job>,
    pub(super) path: PathBuf,
    pub(super) source: LuaSource,
    /// Since 1970. Scheduled times up to this one have been handled.
    pub(super) after: Duration,
    pub(super) running: bool,
}

/// A scheduled time of a job.
struct DueTestJob {
    name: String,
    at: Duration,
}

impl Testbed {
    /// Runs a job of a loaded script now.
    pub(super) async fn trigger(
        self: &Rc<Self>,
        name: &str,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        self.run_now(name, None, stop).await
    }

    /// Runs a hook of a loaded script with a request. The request needs no signature here.
    pub(super) async fn post(
        self: &Rc<Self>,
        name: &str,
        request: HookRequest,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        if self.with(name, |loaded| loaded.job.hook().is_none()) == Some(true) {
            let message = format!("job: `{name}` is not a hook and takes no request; run it with t.trigger");
            return Err(RequestFailure::invalid("job", message));
        }
        self.run_now(name, Some(JobInput::Request(request)), stop).await
    }

    pub(super) async fn run_now(
        self: &Rc<Self>,
        name: &str,
        input: Option<JobInput>,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        if !self.loaded.borrow().iter().any(|loaded| loaded.job.name == name) {
            let loaded: Vec<String> =
                self.loaded.borrow().iter().map(|loaded| format!("`{}`", loaded.job.name)).collect();
            let known = match loaded.as_slice() {
                [] => "no script with jobs is loaded; begin with t.load(\"scripts/NAME.lua\")".to_owned(),
                names => format!("loaded: {}", names.join(", ")),
            };
            return Err(RequestFailure::invalid("job", format!("job: there is no `{name}`; {known}")));
        }
        // Whole seconds, as in `run --job`.
        let at = Duration::from_secs(self.parts.clock.unix_time().as_secs());
        self.run_job(DueTestJob { name: name.to_owned(), at }, input, stop).await
    }

    /// Moves the clock, and runs the jobs of loaded scripts that become due. Returns when they have ended.
    ///
    /// As in the daemon, jobs run side by side, and a scheduled time whose job is still running follows the job's
    /// `overlap`. But `cancel` is treated as `skip`, and there is no jitter.
    pub(super) async fn advance(
        self: &Rc<Self>,
        by: Duration,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        let clock = &self.parts.clock;
        let end = clock.now() + by;
        let mut running = FuturesUnordered::new();
        let mut runs = Vec::new();
        loop {
            let left = end - clock.now();
            let due = self.next_due().filter(|due| due.at.saturating_sub(clock.unix_time()) <= left);
            let wait = due.as_ref().map_or(left, |due| due.at.saturating_sub(clock.unix_time()));
            tokio::select! {
                biased;
                Some(ended) = running.next(), if !running.is_empty() => runs.push(ended),
                () = stop.cancelled() => {
                    return Err(RequestFailure::new(FailureKind::Cancelled, "the clock stopped because the test ends"));
                }
                () = clock.sleep(wait) => match due {
                    None => break,
                    Some(due) => {
                        if self.begins(&due) {
                            running.push(self.due_run(due, stop));
                        }
                    }
                },
            }
        }
        while let Some(ended) = running.next().await {
            runs.push(ended);
        }
        Ok(Value::Array(runs.into_iter().collect::<Result<_, _>>()?))
    }

    async fn due_run(
        self: &Rc<Self>,
        due: DueTestJob,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        let name = due.name.clone();
        let ended = self.run_job(due, None, stop).await;
        self.with(&name, |loaded| loaded.running = false);
        ended
    }

    /// Returns the next scheduled time of all jobs.
    fn next_due(&self) -> Option<DueTestJob> {
        let loaded = self.loaded.borrow();
        let waits = |loaded: &&TestJob| !(loaded.running && loaded.job.overlap == OverlapPolicy::Queue);
        let due = |loaded: &TestJob| {
            let at = loaded.job.next_after(loaded.after)?;
            Some(DueTestJob { name: loaded.job.name.clone(), at })
        };
        loaded.iter().filter(waits).filter_map(due).min_by_key(|due| due.at)
    }

    /// Handles a scheduled time. Returns whether it begins a run.
    fn begins(&self, due: &DueTestJob) -> bool {
        self.with(&due.name, |loaded| {
            loaded.after = due.at;
            !std::mem::replace(&mut loaded.running, true)
        })
        .unwrap_or(false)
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut TestJob) -> T) -> Option<T> {
        self.loaded.borrow_mut().iter_mut().find(|loaded| loaded.job.name == name).map(act)
    }

    async fn run_job(
        self: &Rc<Self>,
        due: DueTestJob,
        input: Option<JobInput>,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        let Some(TestJob { path, source, .. }) = self.with(&due.name, |loaded| loaded.clone()) else {
            return Err(RequestFailure::invalid("job", format!("job: there is no `{}` any more", due.name)));
        };
        let job = JobStart { input, ..job_start(&due.name, due.at) };
        let run = job.run.clone();
        let play = TestRunSpec { path: &path, source, mode: LoadMode::Job, job: Some(job), args: Vec::new() };
        let (mut came, _) = self.play(play, stop).await?;
        came["job"] = due.name.into();
        came["run"] = run.into();
        came["scheduled_at"] = json!(due.at.as_secs_f64());
        Ok(came)
    }
}
