//! Builds a run of a script in one of four modes: live, dry run, test, or held to a plan (a run that may send only what
//! its rehearsal showed).
//!
//! For each mode this file chooses the implementations of `Transport` (with the delivery), `HttpOut`, `UploadSink`,
//! `RestOut`, `FileStore` and `SendPolicy`. No other file knows the mode.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rand::Rng;
use tokio::sync::OnceCell;

use crate::clock::Clock;
use crate::config::{Project, ScriptLimits, Settings};
use crate::delivery::{Delivery, SendCounters};
use crate::protocol::{JobStart, LoadMode, LuaSource, RequestFailure, WorkerLimits};

use super::arguments::{ArgumentError, RunArguments};
use super::broadcasts::RunBroadcasts;
use super::budget::MemoryBudget;
use super::console::Console;
use super::files::{MountedFile, ProjectFiles};
use super::inputs::RunInputs;
use super::interrupt::{Interrupt, cancel_at_signals};
use super::jobs::{DeclaredJobs, JobContext};
use super::lists::GroupLists;
use super::outbound::{HttpOut, OutboundHttp, net_problem};
use super::output::{DiscardOutput, ScriptOutput};
use super::rehearsal::{GuardParts, PlanGuard, Rehearsal, RehearsedHttp};
use super::rest::{RestGrants, ServiceRest};
use super::script_clock::ScriptClock;
use super::send_policy::AllowAll;
use super::services::{RunServices, RunStop, no_app};
use super::session::{OWN_BINARY, RunEnd, RunSpec, run_script};
use super::sources::{ModuleSnapshot, ModuleSources};
use super::store::ScriptStore;
use super::testing::{TestHttp, Testbed};
use super::uploads::ServiceUploads;
use super::variables::GrantedVariables;

/// Why the services of a run cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An entry of `net` in the permissions names no host.
    #[error("net, of [permissions] or --allow-net: {0}")]
    Net(String),
    /// The project folder or the script is missing.
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Missing(PathBuf, #[source] io::Error),
    /// The script's form, or its arguments, are wrong.
    #[error(transparent)]
    Arguments(#[from] ArgumentError),
}

/// The mode of a run.
enum RunMode {
    /// It sends what its script says.
    Live,
    /// It sends nothing, and records what it would send.
    DryRun(Rc<Rehearsal>),
    /// It sends only what was rehearsed.
    Planned(PlanGuard),
    /// It executes a file of tests.
    Test(Rc<Testbed>),
    /// It executes a script that a test started.
    Tested(Rc<Testbed>),
}

/// Builds a run. A new builder has the limits of the settings, a random seed, and discards the output.
pub struct RunBuilder<'a> {
    project: &'a Project,
    settings: &'a Settings,
    apps: &'a [Rc<Delivery>],
    clock: &'a Clock,
    file: PathBuf,
    script: LuaSource,
    mode: RunMode,
    /// The binary that workers are started from.
    pub program: PathBuf,
    /// The purpose of the run, such as to run the script, to check it, or to load its jobs.
    pub load: LoadMode,
    /// The job to run, with [`LoadMode::Job`].
    pub job: Option<JobStart>,
    /// The arguments of the script.
    pub args: Vec<String>,
    /// The limits of the worker.
    pub limits: ScriptLimits,
    /// The seed of `math.random`.
    pub seed: u64,
    /// Receives the prints and log lines.
    pub output: Rc<dyn ScriptOutput>,
    /// The user who types its lines and confirms its sends, in a console.
    pub console: Option<Rc<dyn Console>>,
    /// The job run that it executes, in a daemon.
    pub context: Option<JobContext>,
    /// Modules whose source is fixed, whatever their files have.
    pub modules: Option<Arc<ModuleSnapshot>>,
    /// Files that it may read under other names.
    pub mounts: Vec<MountedFile>,
    /// The memory and open files that its calls may hold; by default those of a single run.
    pub memory: Option<Rc<MemoryBudget>>,
}

impl<'a> RunBuilder<'a> {
    /// Begins to build a live run of a project's script. `file` is the place of the script, which may be gone. The
    /// first of the apps is the default.
    pub fn new(
        project: &'a Project,
        settings: &'a Settings,
        apps: &'a [Rc<Delivery>],
        clock: &'a Clock,
        file: &Path,
        script: LuaSource,
    ) -> Self {
        Self {
            project,
            settings,
            apps,
            clock,
            file: file.to_owned(),
            script,
            mode: RunMode::Live,
            program: OWN_BINARY.into(),
            load: LoadMode::Run,
            job: None,
            args: Vec::new(),
            limits: settings.scripts,
            seed: rand::rng().random(),
            output: Rc::new(DiscardOutput),
            console: None,
            context: None,
            modules: None,
            mounts: Vec::new(),
            memory: None,
        }
    }

    /// Runs this job of the script instead of the script.
    pub fn run_job(&mut self, job: JobStart) {
        (self.load, self.job) = (LoadMode::Job, Some(job));
    }

    /// Makes a dry run of it. The apps must deliver to this rehearsal.
    pub fn dry_run(&mut self, rehearsal: &Rc<Rehearsal>) {
        self.mode = RunMode::DryRun(Rc::clone(rehearsal));
    }

    /// Holds the run to its rehearsal.
    pub fn hold_to(&mut self, guard: PlanGuard) {
        self.mode = RunMode::Planned(guard);
    }

    /// Holds the run to a rehearsal in another process.
    pub fn hold_to_parts(&mut self, parts: GuardParts) {
        self.mode = RunMode::Planned(parts.into());
    }

    /// Makes a run of a file of tests of it.
    pub fn test(&mut self, testbed: &Rc<Testbed>) {
        self.mode = RunMode::Test(Rc::clone(testbed));
    }

    /// Makes a run of it that a test started.
    pub(super) fn tested(&mut self, testbed: &Rc<Testbed>) {
        self.mode = RunMode::Tested(Rc::clone(testbed));
    }

    /// Opens what the run needs.
    ///
    /// # Errors
    ///
    /// Returns [`SetupError`] before anything is opened for the run.
    pub fn build(self) -> Result<PreparedRun, SetupError> {
        let Self { project, settings, clock, limits, .. } = self;
        let permissions = &settings.permissions;
        if let Some(problem) = net_problem(&permissions.net) {
            return Err(SetupError::Net(problem));
        }
        let args = RunArguments::of(&self.script, self.load, self.args)?;
        // The file of a job's script may have been deleted; its run has the bytes.
        let file = self.file.canonicalize().unwrap_or(self.file);
        let secret_files = &settings.secret_files;
        let files = ProjectFiles::mounting(project, permissions, secret_files, Some(&file), &self.mounts)
            .map_err(|error| SetupError::Missing(project.root.clone(), error))?;
        let network = OutboundHttp::new(permissions, clock.clone());
        let mut sources = ModuleSources::new(project, &file).without(&settings.secret_files);
        if let Some(modules) = self.modules {
            sources = sources.pinned(modules);
        }
        let live = |outbound: Box<dyn HttpOut>| RunServices {
            apps: self.apps.to_vec(),
            origin: self.script.name.clone(),
            clock: clock.clone(),
            time: ScriptClock::of(clock.clone()),
            lists: GroupLists::of(self.apps.to_vec(), no_app),
            uploads: Rc::new(ServiceUploads),
            rest: Rc::new(ServiceRest),
            grants: RestGrants::new(permissions),
            policy: Rc::new(AllowAll),
            sources,
            files,
            variables: GrantedVariables::new(permissions),
            announce: permissions.announce.clone(),
            suppress: permissions.suppress,
            override_suppression: permissions.override_suppression,
            outbound,
            output: self.output,
            tally: Rc::new(SendCounters::default()),
            broadcasts: RunBroadcasts::default(),
            inputs: RunInputs::default(),
            jobs: DeclaredJobs::new(permissions),
            store: ScriptStore::new(&project.shown(&file)),
            job: self.context.map(Rc::new),
            not_rerunnable: OnceCell::new(),
            stop: RunStop::default(),
            memory: self.memory.unwrap_or_else(|| MemoryBudget::alone(limits.host_memory)),
            console: self.console,
            testbed: Err("tests are run by `mooncast test`"),
        };
        let services = match self.mode {
            RunMode::Live => live(Box::new(network)),
            RunMode::DryRun(rehearsal) => {
                let http = RehearsedHttp { rehearsal: Rc::clone(&rehearsal), network };
                let services = live(Box::new(http));
                RunServices {
                    lists: GroupLists::in_real_time(rehearsal.lists(), clock.clone(), lists_not_read),
                    uploads: Rc::clone(&rehearsal) as _,
                    rest: Rc::clone(&rehearsal) as _,
                    policy: rehearsal,
                    files: services.files.overlaid(clock.unix_time().as_secs(), limits.host_memory),
                    store: services.store.listing(),
                    ..services
                }
            }
            RunMode::Planned(guard) => {
                let guard = Rc::new(guard);
                RunServices {
                    time: ScriptClock::starting_at(guard.start(), clock.clone()),
                    uploads: Rc::clone(&guard) as _,
                    policy: guard,
                    ..live(Box::new(network))
                }
            }
            RunMode::Test(testbed) => RunServices {
                files: testbed.files(),
                testbed: Ok(Rc::clone(&testbed)),
                ..live(Box::new(TestHttp { testbed, network }))
            },
            RunMode::Tested(testbed) => RunServices {
                files: testbed.files(),
                testbed: Err("a script that a test runs cannot declare tests"),
                ..live(Box::new(TestHttp { testbed, network }))
            },
        };
        let spec = RunSpec {
            program: self.program,
            script: self.script,
            job: self.job,
            mode: self.load,
            args,
            limits: WorkerLimits {
                memory: limits.memory,
                cpu_ms: u64::try_from(limits.cpu.as_millis()).unwrap_or(u64::MAX),
                tasks: limits.tasks,
            },
            timeout: limits.timeout,
            seed: self.seed,
        };
        Ok(PreparedRun { spec, services: Rc::new(services) })
    }
}

fn lists_not_read() -> RequestFailure {
    RequestFailure::denied(
        "a rehearsal does not read groups and members from the service; to read them, add --read-lists",
    )
}

/// A run that is ready to start.
pub struct PreparedRun {
    spec: RunSpec,
    /// The services that the run uses.
    pub services: Rc<RunServices>,
}

impl PreparedRun {
    /// Runs the script to its end, or until the interrupt. When this returns, the worker has ended and everything that
    /// it had in flight is settled. The end has no secret that the run has named.
    pub async fn run_until(self, interrupt: Interrupt) -> RunEnd {
        let services = Rc::clone(&self.services);
        let mut ended = run_script(self.spec, self.services, interrupt).await;
        ended.hide_secrets(&services.variables);
        ended
    }

    /// Runs the script to its end. Ctrl-C and SIGTERM interrupt it.
    pub async fn run_until_signal(self) -> RunEnd {
        let interrupt = Interrupt::default();
        let listening = tokio::task::spawn_local(cancel_at_signals(interrupt.clone()));
        let ended = self.run_until(interrupt).await;
        listening.abort();
        ended
    }
}
