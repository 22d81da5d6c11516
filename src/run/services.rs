//! The services of the host that one run may use.

use std::cell::RefCell;
use std::rc::Rc;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::{Delivery, SendCounters};
use crate::protocol::{FailureKind, RequestFailure};

use super::broadcasts::RunBroadcasts;
use super::budget::MemoryBudget;
use super::console::Console;
use super::files::ProjectFiles;
use super::inputs::RunInputs;
use super::jobs::{DeclaredJobs, JobContext};
use super::lists::GroupLists;
use super::outbound::HttpOut;
use super::output::ScriptOutput;
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
    /// Allows or refuses what the run is about to send.
    pub(super) policy: Rc<dyn SendPolicy>,
    /// Where `require` finds modules.
    pub sources: ModuleSources,
    /// The files that the run may open.
    pub files: ProjectFiles,
    /// The environment variables that the run may read or use as secrets.
    pub variables: GrantedVariables,
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
    /// The token of the calls made since the last interrupted line of a console; a child of the run's.
    line: RefCell<Option<CancellationToken>>,
}

impl RunStop {
    /// Ends all waits, including those of later calls.
    pub(super) fn press(&self) {
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
