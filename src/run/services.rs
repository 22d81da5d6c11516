//! The services of the host that one run may use.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{Project, Settings};
use crate::delivery::{Delivery, SendCounters, StopSignal, StopSwitch};

use super::broadcasts::RunBroadcasts;
use super::budget::MemoryBudget;
use super::console::Console;
use super::files::ProjectFiles;
use super::inputs::RunInputs;
use super::jobs::{DeclaredJobs, JobContext};
use super::outbound::{OutboundHttp, net_problem};
use super::output::ScriptOutput;
use super::rehearsal::{FilesByContent, PlanGuard, Rehearsal, ScriptTime};
use super::sources::ModuleSources;
use super::store::ScriptStore;
use super::testing::Testbed;
use super::variables::GrantedVariables;

/// The services of the host that one run may use.
pub struct RunServices {
    /// The apps that the run can send through; the first is the default.
    pub apps: Vec<Rc<Delivery>>,
    /// The script's name, as the ledger records it for each send.
    pub origin: String,
    /// The clock that the script sees.
    pub clock: Clock,
    /// Where `require` finds modules.
    pub sources: ModuleSources,
    /// The files that the run may open.
    pub files: ProjectFiles,
    /// The environment variables that the run may read or use as secrets.
    pub variables: GrantedVariables,
    /// Requests to other services.
    pub outbound: OutboundHttp,
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
    /// Whether it is an ordinary run, a rehearsal, a run held to a plan, or a test.
    pub part: RunMode,
}

/// Why the services of a run cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An entry of `net` in the permissions names no host.
    #[error("net, of [permissions] or --allow-net: {0}")]
    Net(String),
    /// The project folder or the script is missing.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Missing(PathBuf, #[source] io::Error),
}

impl RunServices {
    /// Creates the services of a project's script, with defaults for everything that is not a parameter.
    pub fn new(
        project: &Project,
        settings: &Settings,
        apps: Vec<Rc<Delivery>>,
        clock: &Clock,
        script: &Path,
        output: Rc<dyn ScriptOutput>,
    ) -> Result<Self, SetupError> {
        let permissions = &settings.permissions;
        if let Some(problem) = net_problem(&permissions.net) {
            return Err(SetupError::Net(problem));
        }
        let missing = |path: &Path| {
            let path = path.to_owned();
            move |error| SetupError::Missing(path, error)
        };
        // The file of a job's script may have been deleted; its run has the bytes.
        let script = script.canonicalize().unwrap_or_else(|_| script.to_owned());
        Ok(Self {
            apps,
            store: ScriptStore::new(&project.shown(&script)),
            origin: project.shown(&script),
            clock: clock.clone(),
            sources: ModuleSources::new(project, &script).without(&settings.secret_files),
            files: ProjectFiles::new(project, permissions, &settings.secret_files, Some(&script))
                .map_err(missing(&project.root))?,
            variables: GrantedVariables::new(permissions),
            outbound: OutboundHttp::new(permissions, clock.clone()),
            output,
            tally: Rc::new(SendCounters::default()),
            broadcasts: RunBroadcasts::default(),
            inputs: RunInputs::default(),
            jobs: DeclaredJobs::new(permissions),
            job: None,
            stop: RunStop::default(),
            memory: MemoryBudget::alone(settings.scripts.host_memory),
            console: None,
            part: RunMode::default(),
        })
    }
}

/// How a run relates to a rehearsal or a test.
#[derive(Debug, Default)]
pub enum RunMode {
    /// An ordinary run: it sends what its script says.
    #[default]
    Free,
    Rehearsal(Rc<Rehearsal>, FilesByContent),
    /// The run sends only what was rehearsed.
    Planned(PlannedRun),
    /// The run executes a file of tests.
    Test(Rc<Testbed>),
    /// The run executes a script that a test started.
    Tested(Rc<Testbed>),
}

/// The restrictions of a run that is held to its rehearsal.
#[derive(Debug)]
pub struct PlannedRun {
    /// Checks each message against the rehearsal.
    pub(super) gate: PlanGuard,
    /// The time that the script sees.
    pub(super) time: ScriptTime,
    pub(super) files: FilesByContent,
}

impl RunMode {
    pub fn rehearsal(rehearsal: Rc<Rehearsal>) -> Self {
        Self::Rehearsal(rehearsal, FilesByContent::default())
    }

    /// Creates the mode of a run that is held to a rehearsal. `start` is the time at which the rehearsal began.
    pub fn planned(gate: PlanGuard, start: Duration) -> Self {
        Self::Planned(PlannedRun { gate, time: ScriptTime::new(start), files: FilesByContent::default() })
    }

    pub(super) const fn as_rehearsal(&self) -> Option<&Rc<Rehearsal>> {
        match self {
            Self::Rehearsal(rehearsal, _) => Some(rehearsal),
            _ => None,
        }
    }

    pub(super) const fn as_planned(&self) -> Option<&PlannedRun> {
        match self {
            Self::Planned(planned) => Some(planned),
            _ => None,
        }
    }

    /// Returns the testbed, in a test.
    pub(super) const fn testbed(&self) -> Option<&Rc<Testbed>> {
        match self {
            Self::Test(bed) | Self::Tested(bed) => Some(bed),
            _ => None,
        }
    }

    /// Returns the files of this run by content, in a rehearsal and in a run held to one.
    pub(super) const fn files(&self) -> Option<&FilesByContent> {
        match self {
            Self::Free | Self::Test(_) | Self::Tested(_) => None,
            Self::Rehearsal(_, files) => Some(files),
            Self::Planned(planned) => Some(&planned.files),
        }
    }
}

/// Tells the calls of a run that they must begin nothing new.
#[derive(Debug)]
pub struct RunStop {
    now: RefCell<(StopSwitch, StopSignal)>,
    pressed: Cell<bool>,
}

impl Default for RunStop {
    fn default() -> Self {
        Self { now: RefCell::new(StopSwitch::new()), pressed: Cell::new(false) }
    }
}

impl RunStop {
    /// Ends all waits, including those of later calls.
    pub(super) fn press(&self) {
        if !self.pressed.replace(true) {
            self.now.borrow().0.press();
        }
    }

    /// Ends the waits of the calls made so far, because the user interrupted a line of a console.
    pub(super) fn end_line(&self) {
        if !self.pressed.get() {
            let (switch, _) = self.now.replace(StopSwitch::new());
            switch.press();
        }
    }

    /// Returns the stop signal for a call that begins now.
    pub(super) fn stop(&self) -> StopSignal {
        self.now.borrow().1.clone()
    }
}
