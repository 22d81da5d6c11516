//! What one run may use of the house.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{Project, Settings};
use crate::delivery::{Delivery, Stop, StopSwitch, Tally};

use super::broadcasts::Broadcasts;
use super::budget::Budget;
use super::console::Console;
use super::files::Files;
use super::inputs::Inputs;
use super::jobs::{Jobs, OfJob};
use super::outbound::{Outbound, net_problem};
use super::output::Output;
use super::rehearsal::{FilesByContent, Gate, Rehearsal, ScriptTime};
use super::sources::Sources;
use super::store::Store;
use super::testing::Testbed;
use super::variables::Variables;

/// What one run may use of the house.
pub struct Services {
    /// The apps it can send through, the default one first.
    pub apps: Vec<Rc<Delivery>>,
    /// What sends: the script's name, as the ledger shows it.
    pub origin: String,
    /// The time that its script sees.
    pub clock: Clock,
    /// Where `require` looks.
    pub sources: Sources,
    /// The files that it may open.
    pub files: Files,
    /// The environment variables that it may name.
    pub variables: Variables,
    /// The other services that it may talk to.
    pub outbound: Outbound,
    /// Where its prints and log lines go.
    pub output: Rc<dyn Output>,
    /// What became of its messages.
    pub tally: Rc<Tally>,
    /// The broadcasts that it builds and waits for.
    pub broadcasts: Broadcasts,
    /// What it has read of the project.
    pub inputs: Inputs,
    /// The jobs that it declares.
    pub jobs: Jobs,
    /// Its durable data.
    pub store: Store,
    /// The job run that it is, in a daemon.
    pub job: Option<Rc<OfJob>>,
    /// How its waits are ended.
    pub stop: RunStop,
    /// The memory and the files that its calls may hold in the host.
    pub memory: Rc<Budget>,
    /// The person who types its lines, and is asked before it sends.
    pub console: Option<Rc<dyn Console>>,
    /// What it is held to, or what it is a rehearsal of.
    pub part: Part,
}

/// Why a run cannot get what it needs.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// A host in the permissions that is none.
    #[error("net, of [permissions] or --allow-net: {0}")]
    Net(String),
    /// The folder or the script is not there any more.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Missing(PathBuf, #[source] io::Error),
}

impl Services {
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
        output: Rc<dyn Output>,
    ) -> Result<Self, SetUpError> {
        let permissions = &settings.permissions;
        if let Some(problem) = net_problem(&permissions.net) {
            return Err(SetUpError::Net(problem));
        }
        let missing = |path: &Path| {
            let path = path.to_owned();
            move |error| SetUpError::Missing(path, error)
        };
        // The file of a job's script may be gone by now; its run has the bytes.
        let script = script.canonicalize().unwrap_or_else(|_| script.to_owned());
        Ok(Self {
            apps,
            store: Store::new(&project.shown(&script)),
            origin: project.shown(&script),
            clock: clock.clone(),
            sources: Sources::new(project, &script).without(&settings.secret_files),
            files: Files::new(project, permissions, &settings.secret_files, Some(&script))
                .map_err(missing(&project.root))?,
            variables: Variables::new(permissions),
            outbound: Outbound::new(permissions, clock.clone()),
            output,
            tally: Rc::new(Tally::default()),
            broadcasts: Broadcasts::default(),
            inputs: Inputs::default(),
            jobs: Jobs::new(permissions),
            job: None,
            stop: RunStop::default(),
            memory: Budget::alone(settings.scripts.host_memory),
            console: None,
            part: Part::default(),
        })
    }
}

/// What part a run plays beside a rehearsal.
#[derive(Debug, Default)]
pub enum Part {
    /// None: it sends what its script says.
    #[default]
    Free,
    /// It is the rehearsal.
    Rehearsal(Rc<Rehearsal>, FilesByContent),
    /// It sends only what was rehearsed.
    Planned(Planned),
    /// It is a test.
    Test(Rc<Testbed>),
    /// It is run by a test.
    Tested(Rc<Testbed>),
}

/// What holds a run to its rehearsal.
#[derive(Debug)]
pub struct Planned {
    /// What may leave.
    pub(super) gate: Gate,
    /// The time that its script sees.
    pub(super) time: ScriptTime,
    pub(super) files: FilesByContent,
}

impl Part {
    /// The part of a rehearsal.
    #[must_use]
    pub fn rehearsal(rehearsal: Rc<Rehearsal>) -> Self {
        Self::Rehearsal(rehearsal, FilesByContent::default())
    }

    /// The part of a run that is held to a rehearsal which began at `start`.
    #[must_use]
    pub fn planned(gate: Gate, start: Duration) -> Self {
        Self::Planned(Planned { gate, time: ScriptTime::new(start), files: FilesByContent::default() })
    }

    pub(super) const fn as_rehearsal(&self) -> Option<&Rc<Rehearsal>> {
        match self {
            Self::Rehearsal(rehearsal, _) => Some(rehearsal),
            _ => None,
        }
    }

    pub(super) const fn as_planned(&self) -> Option<&Planned> {
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
    now: RefCell<(StopSwitch, Stop)>,
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
    pub(super) fn stop(&self) -> Stop {
        self.now.borrow().1.clone()
    }
}
