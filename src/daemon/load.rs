//! Loads a script: a short worker runs its top level, which only declares, and what it declares and required is noted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::{Project, ProjectHandle, ScriptLimits, Settings};
use crate::delivery::Delivery;
use crate::host::{
    self, DiscardOutput, InterruptSwitch, MAX_SOURCE, RunEnd, RunError, RunServices, RunSpec, ScriptFiles,
};
use crate::protocol::{LoadMode, LuaSource, ScriptError, WorkerLimits};

use super::late_modules;
use super::version::{self, ScriptVersion};

/// Loads under way at once.
const AT_ONCE: usize = 4;

/// CPU that a top level may use: it only declares.
const CPU: Duration = Duration::from_secs(5);

/// Real time that a top level may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What loading needs of the house.
pub struct ScriptLoader {
    /// The project whose scripts are loaded.
    pub project: Project,
    /// Its folder, whatever is renamed.
    pub(super) held: Arc<ProjectHandle>,
    /// The apps that scripts may name.
    pub apps: Vec<Rc<Delivery>>,
    /// The time.
    pub clock: Clock,
    /// The binary that workers are started from.
    pub program: PathBuf,
    places: Semaphore,
}

/// What came of a load.
#[derive(Debug)]
pub struct LoadResult {
    /// The version, or why there is none: with the file and the line where there is one.
    pub version: Result<ScriptVersion, String>,
    /// Whether it declares no job and its top level sends: it is for `mooncast run`.
    pub for_run: bool,
    /// What each module that was asked for was found to be; none for one that was not found in the project.
    pub asked: BTreeMap<String, Option<LuaSource>>,
}

impl ScriptLoader {
    /// A loader of this project's scripts.
    #[must_use]
    pub fn new(project: Project, apps: Vec<Rc<Delivery>>, clock: Clock, program: PathBuf) -> Self {
        let held = Arc::new(ProjectHandle::hold(project.clone()));
        Self { project, held, apps, clock, program, places: Semaphore::new(AT_ONCE) }
    }

    /// The text of a script that is at this path, under the name by which people know it. None of `secret_files` is one.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, with its name.
    pub fn read(&self, path: &Path, secret_files: &[PathBuf]) -> Result<LuaSource, String> {
        let name = self.project.shown(path);
        let files = ScriptFiles::new(&self.project.root, secret_files);
        let text = files.read(path, MAX_SOURCE).map_err(|error| format!("{name}: {error}"))?;
        Ok(LuaSource::new(name, text))
    }

    /// Loads these bytes as the script at `path`. A few loads go on at once, others wait.
    pub async fn load(&self, path: &Path, script: LuaSource, settings: &Settings) -> LoadResult {
        // It is never closed, so there is always a place in the end.
        let _place = self.places.acquire().await;
        let services = match self.services(path, settings) {
            Ok(services) => Rc::new(services),
            Err(error) => {
                let version = Err(format!("{}: {error}", script.name));
                return LoadResult { version, for_run: false, asked: BTreeMap::new() };
            }
        };
        let spec = self.spec(script.clone(), &settings.scripts);
        let (_switch, interrupt) = InterruptSwitch::new();
        let ended = host::run(spec, Rc::clone(&services), interrupt).await;
        let version = match ended {
            RunEnd::Finished => self.late_modules(path, &script, &services, settings).await.map(|()| {
                let modules = Arc::new(services.sources.found());
                ScriptVersion {
                    path: path.to_owned(),
                    hash: version::hash(&script, &modules),
                    script: script.clone(),
                    modules,
                    jobs: services.jobs.declared(),
                    loaded_at: self.clock.unix_time(),
                }
            }),
            RunEnd::Failed(RunError::Script(error)) => Err(place(&script.name, &error)),
            RunEnd::Failed(failed) => Err(format!("{}: {failed}", script.name)),
            RunEnd::Interrupted => Err(format!("{}: the load was interrupted", script.name)),
        };
        let for_run = services.jobs.was_refused()
            && services.jobs.declared().is_empty()
            && !late_modules::mentions_jobs(&script.text);
        LoadResult { version, for_run, asked: services.sources.asked() }
    }

    /// Takes in the modules that the script requires only later, in a job's function, and looks whether they are Lua: what a
    /// job requires is part of its version.
    async fn late_modules(
        &self,
        path: &Path,
        script: &LuaSource,
        services: &RunServices,
        settings: &Settings,
    ) -> Result<(), String> {
        let early = services.sources.found();
        late_modules::find(&services.sources, script);
        for (module, source) in services.sources.found() {
            if early.contains_key(&module) {
                continue;
            }
            let services = self.services(path, settings);
            let services = services.map_err(|error| format!("{}: {error}", script.name))?;
            let spec = self.spec(late_modules::not_run(&source), &settings.scripts);
            let (_switch, interrupt) = InterruptSwitch::new();
            if let RunEnd::Failed(failed) = host::run(spec, Rc::new(services), interrupt).await {
                let why = match failed {
                    RunError::Script(error) => place(&source.name, &error),
                    failed => format!("{}: {failed}", source.name),
                };
                return Err(format!("{why} (a module that {} requires)", script.name));
            }
        }
        Ok(())
    }

    /// What a load of the script at `path` gets, from the project's own folder and no other.
    fn services(&self, path: &Path, settings: &Settings) -> Result<RunServices, String> {
        let (apps, output) = (self.apps.clone(), Rc::new(DiscardOutput));
        let services = RunServices::new(&self.project, settings, apps, &self.clock, path, output);
        // The folders that it opened may be those of a project that was put in the place of this one.
        self.held.in_place().map_err(|error| error.to_string())?;
        services.map_err(|error| error.to_string())
    }

    fn spec(&self, script: LuaSource, limits: &ScriptLimits) -> RunSpec {
        let limits = ScriptLimits { cpu: limits.cpu.min(CPU), ..*limits };
        RunSpec {
            program: self.program.clone(),
            script,
            job: None,
            mode: LoadMode::Declare,
            args: Vec::new(),
            limits: worker_limits(&limits),
            timeout: Some(limits.timeout.map_or(TIMEOUT, |timeout| timeout.min(TIMEOUT))),
            // The same for each load of the same bytes, so that they declare the same.
            seed: 0,
        }
    }
}

/// The limits of a run as a worker is told them.
#[must_use]
pub fn worker_limits(limits: &ScriptLimits) -> WorkerLimits {
    WorkerLimits {
        memory: limits.memory,
        cpu_ms: u64::try_from(limits.cpu.as_millis()).unwrap_or(u64::MAX),
        tasks: limits.tasks,
    }
}

/// An error with its place in front, as it has one: in the script, or in a module.
fn place(name: &str, error: &ScriptError) -> String {
    let own = format!("{name}:");
    if error.message.starts_with(&own) {
        return error.message.clone();
    }
    let line = error.traceback.iter().find_map(|frame| frame.strip_prefix(&own)?.split(':').next());
    match line {
        // A module's error begins with its own place; the script's line says who required it.
        Some(line) if error.message.contains(".lua:") => format!("{} (from {name}:{line})", error.message),
        Some(line) => format!("{name}:{line}: {}", error.message),
        None => format!("{name}: {}", error.message),
    }
}
