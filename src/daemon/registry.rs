//! The active version of each script, and the jobs they declare. The scheduler reads them here.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};

use crate::config::Settings;
use crate::protocol::LuaSource;
use crate::run::form_of;
use crate::schedule::Job;

use super::figures::LoadMetrics;
use super::load::ScriptLoader;
use super::scan;
use super::version::ScriptVersion;

/// The maximum number of loads requested at once by [`ScriptRegistry::load_all`]. The loader runs fewer of them at
/// once.
const ASKED_AT_ONCE: usize = 16;

/// The scripts of a project and their jobs. Cloning is cheap; all clones share one state.
#[derive(Clone)]
pub struct ScriptRegistry(pub(super) Rc<RegistryInner>);

pub(super) struct RegistryInner {
    pub(super) loader: ScriptLoader,
    settings: RefCell<Rc<Settings>>,
    pub(super) entries: RefCell<BTreeMap<PathBuf, ScriptEntry>>,
    changes: watch::Sender<u64>,
    look: Notify,
    looks: watch::Sender<u64>,
    pub(super) decisions: Cell<u64>,
    pub(super) figures: LoadMetrics,
}

/// The state of one script.
#[derive(Debug, Default)]
pub(super) struct ScriptEntry {
    pub(super) active: Option<Rc<ScriptVersion>>,
    /// A version that loads, but declares a job whose name another script has.
    pub(super) waiting: Option<Rc<ScriptVersion>>,
    pub(super) stale: Option<LoadFailure>,
    /// The input of the last load, whatever its result.
    pub(super) tried: Option<LoadAttempt>,
    /// Whether the script's file could not be read at the last attempt.
    pub(super) unreadable: bool,
    /// Whether the script declares no job and sends at its top level. Such a script is for `mooncast run`.
    pub(super) for_run: bool,
}

/// The input of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadAttempt {
    pub(super) script: LuaSource,
    /// The source of each module that the script asked for. `None` for one that was not found.
    pub(super) asked: BTreeMap<String, Option<LuaSource>>,
}

/// A job and the script version that declares it.
#[derive(Debug, Clone)]
pub struct LoadedJob {
    pub job: Rc<Job>,
    /// The version that declares the job.
    pub version: Rc<ScriptVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStatus {
    /// The script's path relative to the project.
    pub name: String,
    /// The hash of the active version. `None` if no version was ever active.
    pub hash: Option<String>,
    /// The names of the active version's jobs.
    pub jobs: Vec<String>,
    /// When the active version was loaded, since 1970-01-01T00:00:00Z.
    pub loaded_at: Option<Duration>,
    /// Why the current file failed to load. `None` if it is active.
    pub stale: Option<LoadFailure>,
    /// Whether the script declares no job and sends at its top level. Such a script is for `mooncast run`.
    pub for_run: bool,
    /// The arguments that the active version declares, as JSON. `None` if it declares none.
    pub form: Option<String>,
}

/// Why a script's current file is not active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// The error: file, line, reason.
    pub error: String,
    /// When the script first failed to load, since 1970-01-01T00:00:00Z.
    pub since: Duration,
}

impl ScriptRegistry {
    /// Creates a registry without scripts.
    pub fn new(loader: ScriptLoader, settings: Settings) -> Self {
        Self(Rc::new(RegistryInner {
            loader,
            settings: RefCell::new(Rc::new(settings)),
            entries: RefCell::default(),
            changes: watch::Sender::new(0),
            look: Notify::new(),
            looks: watch::Sender::new(0),
            decisions: Cell::new(0),
            figures: LoadMetrics::default(),
        }))
    }

    pub fn loader(&self) -> &ScriptLoader {
        &self.0.loader
    }

    /// The current settings. A run keeps the settings with which it began.
    pub fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.0.settings.borrow())
    }

    /// Replaces the settings for runs that begin from now on.
    pub fn set_settings(&self, settings: Settings) {
        self.0.settings.replace(Rc::new(settings));
        self.notify();
    }

    /// All active jobs, by script and then in the order of their declarations.
    pub fn jobs(&self) -> Vec<LoadedJob> {
        let entries = self.0.entries.borrow();
        entries.values().filter_map(|entry| entry.active.as_ref()).flat_map(registered).collect()
    }

    /// The active jobs that run for events of the chat service.
    pub fn reactions(&self) -> Vec<Rc<Job>> {
        let entries = self.0.entries.borrow();
        let jobs =
            entries.values().filter_map(|entry| entry.active.as_ref()).flat_map(|version| &version.jobs);
        jobs.filter(|job| job.event().is_some()).cloned().collect()
    }

    /// The active job of this name.
    pub fn find(&self, name: &str) -> Option<LoadedJob> {
        let entries = self.0.entries.borrow();
        let versions = entries.values().filter_map(|entry| entry.active.as_ref());
        versions.flat_map(registered).find(|registered| registered.job.name == name)
    }

    /// The active version of the script of this name.
    pub fn script(&self, name: &str) -> Option<Rc<ScriptVersion>> {
        let entries = self.0.entries.borrow();
        entries.values().filter_map(|entry| entry.active.as_ref()).find(|one| one.name() == name).cloned()
    }

    /// Whether a script at this path is known.
    pub(super) fn knows(&self, path: &std::path::Path) -> bool {
        self.0.entries.borrow().contains_key(path)
    }

    /// Whether the script at this path failed to load and no earlier version is active, so that its jobs are
    /// unknown.
    pub(super) fn is_refused(&self, path: &std::path::Path) -> bool {
        let entries = self.0.entries.borrow();
        entries.get(path).is_some_and(|entry| entry.active.is_none() && entry.stale.is_some())
    }

    pub fn scripts(&self) -> Vec<ScriptStatus> {
        let entries = self.0.entries.borrow();
        entries.iter().map(|(path, entry)| entry.status(self.0.loader.project.shown(path))).collect()
    }

    /// A hash over all active scripts. Two hosts with the same active scripts have the same fingerprint.
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for script in self.scripts() {
            hasher.update(format!("{}\n{}\n", script.name, script.hash.unwrap_or_default()));
        }
        HEXLOWER.encode(&hasher.finalize())
    }

    /// A counter that grows with each change of the active or failed scripts. Wait for a change, then read the
    /// scripts again.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The number of loads that were decided on, whatever the result.
    pub fn decisions(&self) -> u64 {
        self.0.decisions.get()
    }

    /// Requests a scan of all files and of the settings (SIGHUP).
    pub fn look_again(&self) {
        self.0.look.notify_one();
    }

    /// The number of scans so far. Files are watched from the first scan on.
    pub fn watching(&self) -> watch::Receiver<u64> {
        self.0.looks.subscribe()
    }

    /// Counts a scan.
    pub(super) fn looked(&self) {
        self.0.looks.send_modify(|looks| *looks += 1);
    }

    /// Waits for a requested scan.
    pub(super) async fn asked_to_look(&self) {
        self.0.look.notified().await;
    }

    /// Loads every script in the project, and removes those that are gone.
    ///
    /// # Errors
    ///
    /// The scripts folder cannot be read. The registry stays as it is.
    pub async fn load_all(&self) -> std::io::Result<()> {
        let loader = &self.0.loader;
        let found = scan::scripts(&loader.project.root.join("scripts"))?;
        self.retain(&found.scripts.iter().cloned().collect());
        let settings = self.settings();
        let loads = found.scripts.into_iter().map(|path| {
            let settings = Rc::clone(&settings);
            async move {
                let result = match loader.read(&path, &settings.secret_files) {
                    Ok(script) => Ok((script.clone(), Box::pin(loader.load(&path, script, &settings)).await)),
                    Err(error) => Err(error),
                };
                (path, result)
            }
        });
        // Scripts are decided in the order of their paths, so that the same script always wins if two declare a job
        // of the same name.
        let mut loads = futures_util::stream::iter(loads).buffered(ASKED_AT_ONCE);
        while let Some((path, result)) = loads.next().await {
            match result {
                Ok((script, made)) => self.decide(&path, script, made),
                Err(error) => self.refuse_unreadable(&path, error),
            }
        }
        Ok(())
    }

    /// The input of each script's last load.
    pub(super) fn tried(&self) -> BTreeMap<PathBuf, LoadAttempt> {
        let entries = self.0.entries.borrow();
        entries.iter().filter_map(|(path, entry)| Some((path.clone(), entry.tried.clone()?))).collect()
    }

    /// The scripts whose files could not be read at the last attempt.
    pub(super) fn unreadable(&self) -> BTreeSet<PathBuf> {
        let entries = self.0.entries.borrow();
        entries.iter().filter(|(_, entry)| entry.unreadable).map(|(path, _)| path.clone()).collect()
    }

    /// Makes the scripts that failed to load load again, even if their files did not change.
    pub(super) fn forget_refused(&self) {
        for entry in self.0.entries.borrow_mut().values_mut().filter(|entry| entry.stale.is_some()) {
            entry.tried = None;
        }
    }

    /// Notifies the receivers of [`ScriptRegistry::changed`].
    pub(super) fn notify(&self) {
        self.0.changes.send_modify(|number| *number += 1);
    }
}

impl ScriptEntry {
    fn status(&self, name: String) -> ScriptStatus {
        ScriptStatus {
            name,
            hash: self.active.as_ref().map(|version| version.hash.clone()),
            jobs: self.job_names().into_iter().map(str::to_owned).collect(),
            loaded_at: self.active.as_ref().map(|version| version.loaded_at),
            stale: self.stale.clone(),
            for_run: self.for_run,
            form: self.active.as_ref().and_then(|version| form_text(&version.script)),
        }
    }

    /// The names of the active version's jobs.
    pub(super) fn job_names(&self) -> Vec<&str> {
        self.active.as_deref().map(names).unwrap_or_default()
    }
}

pub(super) fn names(version: &ScriptVersion) -> Vec<&str> {
    version.jobs.iter().map(|job| job.name.as_str()).collect()
}

/// The form of a script as JSON. A version with a wrong form is not loaded.
fn form_text(script: &LuaSource) -> Option<String> {
    let form = form_of(script).ok().filter(|form| !form.is_empty())?;
    serde_json::to_string(&form).ok()
}

fn registered(version: &Rc<ScriptVersion>) -> impl Iterator<Item = LoadedJob> + use<> {
    let version = Rc::clone(version);
    let jobs = version.jobs.clone();
    jobs.into_iter().map(move |job| LoadedJob { job, version: Rc::clone(&version) })
}
