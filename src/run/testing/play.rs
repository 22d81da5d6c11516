//! Runs within a test: of scripts as `mooncast run` runs them, and of jobs as the daemon does.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::protocol::{JobStart, LoadMode, LogLine, LuaSource, RequestFailure};

use super::super::builder::RunBuilder;
use super::super::interrupt::Interrupt;
use super::super::output::ScriptOutput;
use super::super::services::RunServices;
use super::super::session::{RunEnd, RunError};
use super::super::sources::MAX_SOURCE;
use super::advance::TestJob;
use super::{Testbed, TestbedParts};

/// The most bytes of output that are kept.
const SAID: usize = 64 * 1024;

/// Captures what a run prints and logs.
#[derive(Debug, Default)]
pub struct CapturedOutput(Mutex<String>);

impl CapturedOutput {
    /// Returns the captured text, up to 64 `KiB`.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds text, until the limit is reached.
    pub fn add(&self, more: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if text.len() < SAID {
            text.push_str(more);
        }
    }
}

impl ScriptOutput for Arc<CapturedOutput> {
    fn print(&self, bytes: &[u8]) {
        self.add(&String::from_utf8_lossy(bytes));
    }

    fn log(&self, line: &LogLine) {
        let level = format!("{:?}", line.level).to_lowercase();
        let fields = if line.fields.is_empty() { String::new() } else { format!(" {}", line.fields) };
        self.add(&format!("{level}: {}: {}{fields}\n", line.location, line.message));
    }
}

/// The output of one run, which is added to the test's output too.
struct TeeOutput(Arc<CapturedOutput>, Arc<CapturedOutput>);

impl ScriptOutput for TeeOutput {
    fn print(&self, bytes: &[u8]) {
        self.0.print(bytes);
        self.1.print(bytes);
    }

    fn log(&self, line: &LogLine) {
        self.0.log(line);
        self.1.log(line);
    }
}

/// What a testbed runs.
pub(super) struct TestRunSpec<'a> {
    pub(super) path: &'a Path,
    pub(super) source: LuaSource,
    pub(super) mode: LoadMode,
    pub(super) job: Option<JobStart>,
    pub(super) args: Vec<String>,
}

impl Testbed {
    /// Runs a script to its end.
    pub(super) async fn run_script(
        self: &Rc<Self>,
        script: &str,
        args: Vec<String>,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        let (path, source) = self.open(script)?;
        let play = TestRunSpec { path: &path, source, mode: LoadMode::Run, job: None, args };
        Ok(self.play(play, stop).await?.0)
    }

    /// Loads the jobs of a script.
    pub(super) async fn load(
        self: &Rc<Self>,
        script: &str,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        let (path, source) = self.open(script)?;
        let play = TestRunSpec {
            path: &path,
            source: source.clone(),
            mode: LoadMode::Declare,
            job: None,
            args: Vec::new(),
        };
        let (came, services) = self.play(play, stop).await?;
        if let Some(error) = came["error"].as_str() {
            return Err(RequestFailure::invalid("script", format!("{script} cannot be loaded: {error}")));
        }
        let mut loaded = self.loaded.borrow_mut();
        let mut names = Vec::new();
        loaded.retain(|other| other.source.name != source.name);
        for job in services.jobs.declared() {
            if let Some(other) = loaded.iter().find(|other| other.job.name == job.name) {
                let message =
                    format!("a job named `{}` is declared at {} already", job.name, other.job.place);
                return Err(RequestFailure::invalid("script", message));
            }
            names.push(job.name.clone());
            let after = self.parts.clock.unix_time();
            loaded.push(TestJob { job, path: path.clone(), source: source.clone(), after, running: false });
        }
        Ok(json!(names))
    }

    /// Runs a script, a load or a job in a worker of its own. Returns the result, and the services that it used.
    pub(super) async fn play(
        self: &Rc<Self>,
        play: TestRunSpec<'_>,
        stop: &CancellationToken,
    ) -> Result<(Value, Rc<RunServices>), RequestFailure> {
        let said = Arc::new(CapturedOutput::default());
        let output = Rc::new(TeeOutput(Arc::clone(&said), Arc::clone(&self.said)));
        let mut run = self.run_of(play.path, play.source);
        run.tested(self);
        (run.output, run.load, run.job, run.args) = (output, play.mode, play.job, play.args);
        (run.limits.timeout, run.seed) = (None, self.seed());
        let run = run.build().map_err(|error| RequestFailure::invalid("script", error.to_string()))?;
        let services = Rc::clone(&run.services);
        let interrupt = Interrupt::default();
        // Boxed, because the types are recursive: a run answers steps, and a step can start a run.
        let mut run = Box::pin(run.run_until(interrupt.clone()));
        let ended = tokio::select! {
            biased;
            ended = &mut run => ended,
            () = stop.cancelled() => {
                interrupt.end_at_once();
                run.await
            }
        };
        let error = match ended {
            RunEnd::Finished => None,
            RunEnd::Interrupted => Some("it was interrupted".to_owned()),
            RunEnd::Failed(RunError::Script(error)) => Some(error.message),
            RunEnd::Failed(failed) => Some(failed.to_string()),
        };
        let counts = services.tally.counts();
        let mut came = json!({
            "ok": error.is_none(),
            "output": said.text(),
            "sent": counts.sent,
            "rejected": counts.rejected,
            "in_doubt": counts.in_doubt,
            "not_sent": counts.not_sent,
            "throttled": counts.throttled,
            "delivered": counts.all_delivered(),
        });
        if let Some(error) = error {
            came["error"] = error.into();
        }
        Ok((came, services))
    }

    /// Begins to build a run of a script on this testbed.
    pub fn run_of(&self, file: &Path, script: LuaSource) -> RunBuilder<'_> {
        let TestbedParts { project, settings, apps, clock, .. } = &self.parts;
        RunBuilder::new(project, settings, apps, clock, file, script)
    }

    /// Returns the seed of the next run. It is the same in every execution of the test.
    fn seed(&self) -> u64 {
        let run = self.runs.get() + 1;
        self.runs.set(run);
        run
    }

    /// Reads a script of the project, by its path in the project.
    fn open(&self, script: &str) -> Result<(PathBuf, LuaSource), RequestFailure> {
        let wrong = |why: &dyn std::fmt::Display| {
            RequestFailure::invalid("script", format!("script: `{script}`: {why}"))
        };
        let project = &self.parts.project;
        let path = project.root.join(script).canonicalize().map_err(|error| wrong(&error))?;
        if !path.starts_with(&project.root) {
            return Err(wrong(&"it is outside of the project"));
        }
        let metadata = std::fs::metadata(&path).map_err(|error| wrong(&error))?;
        if !metadata.is_file() || metadata.len() > MAX_SOURCE {
            return Err(wrong(&format!("it is not a file of at most {MAX_SOURCE} bytes")));
        }
        let text = std::fs::read(&path).map_err(|error| wrong(&error))?;
        Ok((path.clone(), LuaSource::new(project.shown(&path), text)))
    }
}
