//! The jobs that a script declares, and the one that a run is of.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::OnceCell;

use crate::config::Permissions;
use crate::ledger::{Instance, Ledger};
use crate::protocol::{FailureKind, JobDeclaration, RequestFailure};
use crate::schedule::Job;

use super::broadcasts::{BroadcastSupervisor, ProjectInputs};

/// The job run that a script runs for, in a daemon.
pub struct JobContext {
    /// The job's name.
    pub name: String,
    /// The instant that it was scheduled for.
    pub scheduled_at: Duration,
    /// Which run its broadcasts are where they do not say: that instant as text, for a job.
    pub run: String,
    /// The ledger that it was claimed in.
    pub ledger: Ledger,
    /// By whom.
    pub owner: Instance,
    /// Who drives its broadcasts.
    pub keeper: Rc<BroadcastSupervisor>,
    /// What its script, modules and files are now; the run itself has the bytes that it began with.
    pub project: Option<ProjectInputs>,
    /// Set once it is written down that it has sent what might be sent twice.
    pub loose: OnceCell<()>,
}

impl JobContext {
    /// Writes down, once, that something is about to be sent that is neither in a broadcast nor has a key of its own:
    /// after a crash the run must not be entered again unasked.
    pub(super) async fn mark_not_rerunnable(&self) -> Result<(), RequestFailure> {
        let unsent =
            |why: String| RequestFailure::new(FailureKind::Unreachable, format!("{why}; nothing was sent"));
        let write = async || {
            let ours = self.ledger.mark_not_rerunnable(&self.name, self.scheduled_at, &self.owner).await;
            if ours.map_err(|error| unsent(error.to_string()))? {
                Ok(())
            } else {
                Err(unsent("the ledger says that another process has this run".to_owned()))
            }
        };
        self.loose.get_or_try_init(write).await.copied()
    }
}

/// The jobs that a run has declared so far.
#[derive(Debug, Default)]
pub struct DeclaredJobs {
    /// The hooks that are granted.
    hooks: Vec<String>,
    declared: RefCell<Vec<Rc<Job>>>,
    complete: Cell<bool>,
    /// Whether a call was refused as the top level only declares.
    refused: Cell<bool>,
}

impl DeclaredJobs {
    pub(super) fn new(permissions: &Permissions) -> Self {
        Self { hooks: permissions.hooks.clone(), ..Self::default() }
    }

    pub(super) fn declare(&self, declaration: &JobDeclaration) -> Result<(), RequestFailure> {
        let job = Job::new(declaration)
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

    /// The top level of a script that only declares has come to its end.
    pub(super) fn end(&self) {
        self.complete.set(true);
    }

    /// A call of the top level was refused, as that only declares.
    pub(super) fn refuse(&self) {
        self.refused.set(true);
    }

    /// Whether a call of the top level was refused, as that only declares.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.refused.get()
    }

    /// Whether there will be no more, for a top level that only declares has come to its end.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.complete.get()
    }

    /// The one of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Rc<Job>> {
        self.declared.borrow().iter().find(|job| job.name == name).cloned()
    }

    /// All of them, in the order in which they were declared.
    #[must_use]
    pub fn declared(&self) -> Vec<Rc<Job>> {
        self.declared.borrow().clone()
    }
}
