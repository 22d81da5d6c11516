//! The services of the host that one run may use.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::core::UserScope;
use crate::delivery::{Delivery, OpenLedger, SendCounters};
use crate::ledger::{BroadcastId, LedgerError};
use crate::protocol::{FailureKind, RequestFailure};
use crate::schedule::run_id;

use super::broadcasts::RunBroadcasts;
use super::budget::MemoryBudget;
use super::console::Console;
use super::files::ProjectFiles;
use super::inputs::RunInputs;
use super::jobs::{self, DeclaredJobs, JobContext};
use super::lists::GroupLists;
use super::outbound::HttpOut;
use super::output::ScriptOutput;
use super::rest::{RestGrants, RestOut};
use super::script_clock::ScriptClock;
use super::send_policy::SendPolicy;
use super::sources::ModuleSources;
use super::store::ScriptStore;
use super::testing::Testbed;
use super::uploads::UploadSink;
use super::variables::GrantedVariables;

/// The services of the host that one run may use.
pub struct RunServices {
    /// The apps that the run can send through; the first is the default.
    pub apps: Vec<Rc<Delivery>>,
    /// The script's name, as the ledger records it for each send.
    pub origin: String,
    /// The clock of the run.
    pub clock: Clock,
    /// The clock that the script sees.
    pub(super) time: ScriptClock,
    /// Where the groups and members of the apps are read.
    pub(super) lists: GroupLists,
    /// Where uploads go.
    pub(super) uploads: Rc<dyn UploadSink>,
    /// Where the calls of `im.request` go.
    pub(super) rest: Rc<dyn RestOut>,
    /// The permissions for `im.request`.
    pub(super) grants: RestGrants,
    /// Allows or refuses what the run is about to send.
    pub(super) policy: Rc<dyn SendPolicy>,
    /// Where `require` finds modules.
    pub sources: ModuleSources,
    /// The files that the run may open.
    pub files: ProjectFiles,
    /// The environment variables that the run may read or use as secrets.
    pub variables: GrantedVariables,
    /// The users to whom the run may announce.
    pub(super) announce: Vec<UserScope>,
    /// Whether the run may add to the suppression list.
    pub(super) suppress: bool,
    /// Whether the run may send to recipients on the suppression list.
    pub(super) override_suppression: bool,
    /// Requests to other services.
    pub(super) outbound: Box<dyn HttpOut>,
    /// Receives the prints and log lines.
    pub output: Rc<dyn ScriptOutput>,
    /// Counts the results of its messages.
    pub tally: Rc<SendCounters>,
    /// The broadcasts that the run builds and waits for.
    pub broadcasts: RunBroadcasts,
    /// The inputs that the run has read from the project.
    pub inputs: RunInputs,
    pub jobs: DeclaredJobs,
    /// The script's durable data.
    pub store: ScriptStore,
    /// The job run that it executes, in a daemon.
    pub job: Option<Rc<JobContext>>,
    /// Set once the ledger has recorded that its run of the command line sends what a second run would send again.
    pub(super) not_rerunnable: OnceCell<()>,
    /// Ends the waits of its calls.
    pub stop: RunStop,
    /// The memory and open files that its calls may hold in the host.
    pub memory: Rc<MemoryBudget>,
    /// The user who types its lines and confirms its sends, in a console.
    pub console: Option<Rc<dyn Console>>,
    /// The testbed of a file of tests, or the reason why the run has none.
    pub(super) testbed: Result<Rc<Testbed>, &'static str>,
}

impl RunServices {
    /// Returns the app with this number.
    pub(super) fn app(&self, number: u32) -> Result<&Rc<Delivery>, RequestFailure> {
        self.apps.get(number as usize).ok_or_else(no_app)
    }

    /// The id of the recorded run that it executes: a job run of a daemon, or a run of the command line. Opens the ledger of
    /// `app`, because a run of the command line gets its id there. `None` if that fails; what is sent next reports it.
    pub(super) async fn recorded_run(&self, app: &Delivery) -> Option<String> {
        if let Some(job) = &self.job {
            return Some(run_id(&job.name, job.scheduled_at));
        }
        let (open, _) = app.entry().await.ok()??;
        open.command_run.as_ref().map(|(name, at)| run_id(name, *at))
    }

    /// Records in the ledger, once, that the run is about to send something that is neither part of a broadcast nor has a
    /// `once` key, if a later run may go on where this one is interrupted.
    pub(super) async fn mark_not_rerunnable(&self, app: &Delivery) -> Result<(), RequestFailure> {
        if let Some(job) = &self.job {
            return job.mark_not_rerunnable().await;
        }
        if !self.policy.outlives_its_run() {
            return Ok(());
        }
        let Some((open, _)) = app.entry().await? else { return Ok(()) };
        let Some((name, at)) = &open.command_run else { return Ok(()) };
        let write = async || jobs::mark_not_rerunnable(&open.ledger, name, *at, &open.instance).await;
        self.not_rerunnable.get_or_try_init(write).await.copied()
    }

    /// Records in the ledger that the run makes or continues a broadcast, or finds it sent.
    pub(super) async fn link_broadcast(&self, open: &OpenLedger, id: BroadcastId) -> Result<(), LedgerError> {
        let run = match &self.job {
            Some(job) => Some((job.name.as_str(), job.scheduled_at)),
            None => open.command_run.as_ref().map(|(name, at)| (name.as_str(), *at)),
        };
        match run {
            Some((name, at)) => open.ledger.link_broadcast(name, at, id).await,
            None => Ok(()),
        }
    }
}

/// Refuses an announcement to users that the permissions do not name.
pub fn announce_refused(granted: &[UserScope], scope: UserScope) -> Option<RequestFailure> {
    (!granted.contains(&scope)).then(|| {
        RequestFailure::denied(format!(
            "an announcement to {} is not granted; nothing was sent. It cannot be recalled. To grant it: `[permissions] announce = [\"{scope}\"]` or --allow-announce={scope}",
            scope.users()
        ))
    })
}

/// Why `im.suppress` is refused without its permission.
pub const NO_SUPPRESS: &str = "im.suppress is not granted; nothing was added. To grant it: `[permissions] suppress = true` or --allow-suppress";

/// Why `override = true` is refused without its permission.
pub const NO_OVERRIDE: &str = "`override = true` sends to recipients on the suppression list, which is not granted; nothing was sent. To grant it: `[permissions] override_suppression = true` or --allow-override-suppression";

/// Refuses to send to recipients on the suppression list if the permissions do not grant it.
pub(super) fn override_refused(services: &RunServices) -> Result<(), RequestFailure> {
    if services.override_suppression { Ok(()) } else { Err(RequestFailure::denied(NO_OVERRIDE)) }
}

/// Returns the failure for an app that is not configured.
pub(super) fn no_app() -> RequestFailure {
    let message = "no app is configured, so nothing can be sent; see `mooncast doctor`";
    RequestFailure::new(FailureKind::Invalid, message)
}

/// Tells the calls of a run that they must begin nothing new.
#[derive(Debug, Default)]
pub struct RunStop {
    run: CancellationToken,
    /// Cancels the calls made since a line of the console was last interrupted. A child of `run`; the first such call makes
    /// it.
    line: RefCell<Option<CancellationToken>>,
}

impl RunStop {
    /// Ends all waits, including those of later calls.
    pub(super) fn cancel(&self) {
        self.run.cancel();
    }

    /// Ends the waits of the calls made so far, because the user interrupted a line of a console.
    pub(super) fn end_line(&self) {
        if let Some(line) = self.line.take() {
            line.cancel();
        }
    }

    /// Waits for `work`, or fails with the sentence `why` when the run is stopped.
    pub(super) async fn unless_stopped<T>(
        &self,
        why: &str,
        work: impl Future<Output = Result<T, RequestFailure>>,
    ) -> Result<T, RequestFailure> {
        let stop = self.stop();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(RequestFailure::new(FailureKind::Cancelled, why)),
            done = work => done,
        }
    }

    /// Returns the token for a call that begins now.
    pub(super) fn stop(&self) -> CancellationToken {
        self.line.borrow_mut().get_or_insert_with(|| self.run.child_token()).clone()
    }
}
