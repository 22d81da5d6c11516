//! What one run may use of the house.

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

/// What one run may use of the house.
pub struct RunServices {
    /// The apps it can send through, the default one first.
    pub apps: Vec<Rc<Delivery>>,
    /// What sends: the script's name, as the ledger shows it.
    pub origin: String,
    /// The time that its script sees.
    pub clock: Clock,
    /// Where `require` looks.
    pub sources: ModuleSources,
    /// The files that it may open.
    pub files: ProjectFiles,
    /// The environment variables that it may name.
    pub variables: GrantedVariables,
    /// The other services that it may talk to.
    pub outbound: OutboundHttp,
    /// Where its prints and log lines go.
    pub output: Rc<dyn ScriptOutput>,
    /// What became of its messages.
    pub tally: Rc<SendCounters>,
    /// The broadcasts that it builds and waits for.
    pub broadcasts: RunBroadcasts,
    /// What it has read of the project.
    pub inputs: RunInputs,
    /// The jobs that it declares.
    pub jobs: DeclaredJobs,
    /// Its durable data.
    pub store: ScriptStore,
    /// The job run that it is, in a daemon.
    pub job: Option<Rc<JobContext>>,
    /// How its waits are ended.
    pub stop: RunStop,
    /// The memory and the files that its calls may hold in the host.
    pub memory: Rc<MemoryBudget>,
    /// The person who types its lines, and is asked before it sends.
    pub console: Option<Rc<dyn Console>>,
    /// What it is held to, or what it is a rehearsal of.
    pub part: RunMode,
}

/// Why a run cannot get what it needs.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A host in the permissions that is none.
    #[error("net, of [permissions] or --allow-net: {0}")]
    Net(String),
    /// The folder or the script is not there any more.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Missing(PathBuf, #[source] io::Error),
}

impl RunServices {
    /// What a script of a project gets, with everything else as it is for most.
    ///
    /// # Errors
    ///
    /// [`SetUpError`], before anything is done.
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
        // The file of a job's script may be gone by now; its run has the bytes.
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

/// What part a run plays beside a rehearsal.
#[derive(Debug, Default)]
pub enum RunMode {
    /// None: it sends what its script says.
    #[default]
    Free,
    /// It is the rehearsal.
    Rehearsal(Rc<Rehearsal>, FilesByContent),
    /// It sends only what was rehearsed.
    Planned(PlannedRun),
    /// It is a test.
    Test(Rc<Testbed>),
    /// It is run by a test.
    Tested(Rc<Testbed>),
}

/// What holds a run to its rehearsal.
#[derive(Debug)]
pub struct PlannedRun {
    /// What may leave.
    pub(super) gate: PlanGuard,
    /// The time that its script sees.
    pub(super) time: ScriptTime,
    pub(super) files: FilesByContent,
}

impl RunMode {
    /// The part of a rehearsal.
    #[must_use]
    pub fn rehearsal(rehearsal: Rc<Rehearsal>) -> Self {
        Self::Rehearsal(rehearsal, FilesByContent::default())
    }

    /// The part of a run that is held to a rehearsal which began at `start`.
    #[must_use]
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

    /// The testbed that it is on.
    pub(super) const fn testbed(&self) -> Option<&Rc<Testbed>> {
        match self {
            Self::Test(bed) | Self::Tested(bed) => Some(bed),
            _ => None,
        }
    }

    /// The files of this run by content, where that matters.
    pub(super) const fn files(&self) -> Option<&FilesByContent> {
        match self {
            Self::Free | Self::Test(_) | Self::Tested(_) => None,
            Self::Rehearsal(_, files) => Some(files),
            Self::Planned(planned) => Some(&planned.files),
        }
    }
}

/// Tells the calls of a run that nothing new is to begin.
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
    /// Ends all waits, those of later calls too.
    pub(super) fn press(&self) {
        if !self.pressed.replace(true) {
            self.now.borrow().0.press();
        }
    }

    /// Ends the waits of the calls that were made so far: a line of a console was interrupted.
    pub(super) fn end_line(&self) {
        if !self.pressed.get() {
            let (switch, _) = self.now.replace(StopSwitch::new());
            switch.press();
        }
    }

    /// For a call that begins now.
    pub(super) fn stop(&self) -> StopSignal {
        self.now.borrow().1.clone()
    }
}
