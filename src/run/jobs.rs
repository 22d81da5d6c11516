//! The jobs that a script declares, and the job run that a script runs for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::config::Permissions;
use crate::ledger::{Instance, Ledger};
use crate::protocol::{FailureKind, JobDeclaration, JobStart, RequestFailure};
use crate::schedule::{Job, run_name};
use crate::zones::Calendar;

use super::broadcasts::{BroadcastSupervisor, ProjectInputs};

/// Returns the start of the first attempt of a job's run.
pub fn job_start(name: &str, scheduled_at: Duration) -> JobStart {
    JobStart {
        name: name.to_owned(),
        scheduled_at_ms: i64::try_from(scheduled_at.as_millis()).unwrap_or(i64::MAX),
        run: run_name(scheduled_at),
        attempt: 1,
        input: None,
    }
}

/// The job run that a script runs for, in a daemon.
pub struct JobContext {
    pub name: String,
    /// The scheduled time, since 1970.
    pub scheduled_at: Duration,
    /// The default `run` of its broadcasts. For a job it is the scheduled time as text.
    pub run: String,
    /// The ledger in which the run was claimed.
    pub ledger: Ledger,
    /// The instance that claimed it.
    pub instance: Instance,
    /// The supervisor that drives its broadcasts.
    pub supervisor: Rc<BroadcastSupervisor>,
    /// The current script, modules and files of the project. The run itself uses the bytes that it began with.
    pub project: Option<ProjectInputs>,
    /// Set once the ledger has recorded that the run is not rerunnable.
    pub not_rerunnable: OnceCell<()>,
}

impl JobContext {
    /// Records in the ledger, once, that the run is about to send something that is neither part of a broadcast nor
    /// has a `once` key. After a crash such a run must not start again automatically.
    pub(super) async fn mark_not_rerunnable(&self) -> Result<(), RequestFailure> {
        let write =
            async || mark_not_rerunnable(&self.ledger, &self.name, self.scheduled_at, &self.instance).await;
        self.not_rerunnable.get_or_try_init(write).await.copied()
    }
}

/// Records in the ledger that a second run would send again what this run is about to send.
pub(super) async fn mark_not_rerunnable(
    ledger: &Ledger,
    name: &str,
    scheduled_at: Duration,
    owner: &Instance,
) -> Result<(), RequestFailure> {
    let unsent =
        |why: String| RequestFailure::new(FailureKind::Unreachable, format!("{why}; nothing was sent"));
    let ours = ledger.mark_not_rerunnable(name, scheduled_at, owner).await;
    if ours.map_err(|error| unsent(error.to_string()))? {
        Ok(())
    } else {
        Err(unsent("another process has claimed this run in the ledger".to_owned()))
    }
}

/// The jobs that a run has declared so far.
#[derive(Debug, Default)]
pub struct DeclaredJobs {
    /// The names of the hooks that the permissions grant.
    hooks: Vec<String>,
    declared: RefCell<Vec<Rc<Job>>>,
    complete: Cell<bool>,
    /// Whether the top level of the script made a call that only a job's function may make. The call was refused.
    refused: Cell<bool>,
}

impl DeclaredJobs {
    pub(super) fn new(permissions: &Permissions) -> Self {
        Self { hooks: permissions.hooks.clone(), ..Self::default() }
    }

    /// Declares a job; `calendar` is the calendar that it names.
    pub(super) fn declare(
        &self,
        declaration: &JobDeclaration,
        calendar: Option<Calendar>,
    ) -> Result<(), RequestFailure> {
        let job = Job::new(declaration, calendar)
            .map_err(|problem| RequestFailure::invalid(problem.field, problem.message))?;
        let name = &job.name;
        if job.hook().is_some() && !self.hooks.contains(name) {
            let message = format!(
                "the hook {name} is not granted; to grant it: `[permissions] hooks = [\"{name}\"]` or --allow-hook={name}"
            );
            return Err(RequestFailure { field: Some("name".into()), ..RequestFailure::denied(message) });
        }
        if let Some(other) = self.find(&job.name) {
            let message = format!(
                "a job named `{}` is declared at {} already; give each a `name` of its own",
                job.name, other.place
            );
            return Err(RequestFailure::invalid("name", message));
        }
        self.declared.borrow_mut().push(Rc::new(job));
        Ok(())
    }

    /// Marks the declarations as complete: the top level has ended.
    pub(super) fn end(&self) {
        self.complete.set(true);
    }

    /// Records that a call of the script's top level was refused, because there a script may only declare jobs.
    pub(super) fn refuse(&self) {
        self.refused.set(true);
    }

    /// Whether a call of the script's top level was refused, because there a script may only declare jobs.
    pub fn was_refused(&self) -> bool {
        self.refused.get()
    }

    /// Whether the script's top level has ended, in a mode in which it only declares jobs. No more jobs follow then.
    pub fn are_complete(&self) -> bool {
        self.complete.get()
    }

    pub fn find(&self, name: &str) -> Option<Rc<Job>> {
        self.declared.borrow().iter().find(|job| job.name == name).cloned()
    }

    /// Returns all declared jobs, in the order of their declaration.
    pub fn declared(&self) -> Vec<Rc<Job>> {
        self.declared.borrow().clone()
    }
}
