//! Loads a script. A short-lived worker runs its top level, which only declares jobs; the loader records the jobs
//! and the required modules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::config::{Project, ProjectHandle, Settings};
use crate::delivery::Delivery;
use crate::protocol::{LoadMode, LuaSource, ScriptError};
use crate::run::{
    Interrupt, MAX_SOURCE, PreparedRun, RunBuilder, RunEnd, RunError, RunServices, ScriptFiles,
};

use super::late_modules;
use super::version::{self, ScriptVersion};

/// The maximum number of concurrent loads.
const AT_ONCE: usize = 4;

/// The CPU time limit for a script's top level, which only declares jobs.
const CPU: Duration = Duration::from_secs(5);

/// The wall-clock limit for a script's top level.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Loads scripts in worker processes.
pub struct ScriptLoader {
    pub project: Project,
    /// A handle of the project's folder, valid even if the folder is renamed.
    pub(super) held: Arc<ProjectHandle>,
    /// The apps that scripts may name.
    pub apps: Vec<Rc<Delivery>>,
    /// The clock that scripts see.
    pub clock: Clock,
    /// The executable that workers are started from.
    pub program: PathBuf,
    permits: Semaphore,
}

#[derive(Debug)]
pub struct LoadResult {
    /// The version, or an error with the file and, if known, the line.
    pub version: Result<ScriptVersion, String>,
    /// Whether the script declares no jobs and its top level sends. Such a script is for `mooncast run`.
    pub for_run: bool,
    /// The source of each module that the script asked for. `None` for one that was not found in the project.
    pub asked: BTreeMap<String, Option<LuaSource>>,
}

impl ScriptLoader {
    pub fn new(project: Project, apps: Vec<Rc<Delivery>>, clock: Clock, program: PathBuf) -> Self {
        let held = Arc::new(ProjectHandle::hold(project.clone()));
        Self { project, held, apps, clock, program, permits: Semaphore::new(AT_ONCE) }
    }

    /// Reads the script at this path and names it relative to the project. The `secret_files` cannot be read.
    pub fn read(&self, path: &Path, secret_files: &[PathBuf]) -> Result<LuaSource, String> {
        let name = self.project.shown(path);
        let files = ScriptFiles::new(&self.project.root, secret_files);
        let text = files.read(path, MAX_SOURCE).map_err(|error| format!("{name}: {error}"))?;
        Ok(LuaSource::new(name, text))
    }

    /// Loads these bytes as the script at `path`. At most four loads run at once; others wait.
    pub async fn load(&self, path: &Path, script: LuaSource, settings: &Settings) -> LoadResult {
        // The semaphore is never closed, so this succeeds eventually.
        let _permit = self.permits.acquire().await;
        let run = match self.declaring(path, script.clone(), settings) {
            Ok(run) => run,
            Err(error) => {
                let placed = error.starts_with(&format!("{}:", script.name));
                let version = Err(if placed { error } else { format!("{}: {error}", script.name) });
                return LoadResult { version, for_run: false, asked: BTreeMap::new() };
            }
        };
        let services = Rc::clone(&run.services);
        let ended = run.run_until(Interrupt::default()).await;
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
            RunEnd::Failed(RunError::Script(error)) => Err(position(&script.name, &error)),
            RunEnd::Failed(failed) => Err(format!("{}: {failed}", script.name)),
            RunEnd::Interrupted => Err(format!("{}: the load was interrupted", script.name)),
        };
        let for_run = services.jobs.was_refused()
            && services.jobs.declared().is_empty()
            && !late_modules::mentions_jobs(&script.text);
        LoadResult { version, for_run, asked: services.sources.asked() }
    }

    /// Adds the modules that the script requires only in a job's function, and checks that they compile. A version
    /// includes all modules that its jobs require.
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
            let run = self.declaring(path, late_modules::not_run(&source), settings);
            let run = run.map_err(|error| format!("{}: {error}", script.name))?;
            if let RunEnd::Failed(failed) = run.run_until(Interrupt::default()).await {
                let why = match failed {
                    RunError::Script(error) => position(&source.name, &error),
                    failed => format!("{}: {failed}", source.name),
                };
                return Err(format!("{why} (a module that {} requires)", script.name));
            }
        }
        Ok(())
    }

    /// Prepares a run in which the top level of a script only declares, limited to the project's own folder.
    fn declaring(&self, path: &Path, script: LuaSource, settings: &Settings) -> Result<PreparedRun, String> {
        let mut run = RunBuilder::new(&self.project, settings, &self.apps, &self.clock, path, script);
        run.program.clone_from(&self.program);
        run.load = LoadMode::Declare;
        run.limits.cpu = run.limits.cpu.min(CPU);
        run.limits.timeout = Some(run.limits.timeout.map_or(TIMEOUT, |timeout| timeout.min(TIMEOUT)));
        // A fixed seed makes each load of the same bytes declare the same jobs.
        run.seed = 0;
        let run = run.build();
        // The opened folders may belong to another project that replaced this one.
        self.held.in_place().map_err(|error| error.to_string())?;
        run.map_err(|error| error.to_string())
    }
}

/// Puts the location (in the script or in a module) before an error, if it has one.
fn position(name: &str, error: &ScriptError) -> String {
    let own = format!("{name}:");
    if error.message.starts_with(&own) {
        return error.message.clone();
    }
    let line = error.traceback.iter().find_map(|frame| frame.strip_prefix(&own)?.split(':').next());
    match line {
        // A module's error begins with its own location; the script's line shows where the module was required.
        Some(line) if error.message.contains(".lua:") => format!("{} (from {name}:{line})", error.message),
        Some(line) => format!("{name}:{line}: {}", error.message),
        None => format!("{name}: {}", error.message),
    }
}
