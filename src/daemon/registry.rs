//! Which version of each script is in force, and which jobs there are: what the scheduler looks at.

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
use crate::schedule::Job;

use super::figures::LoadMetrics;
use super::load::ScriptLoader;
use super::scan;
use super::version::ScriptVersion;

/// Loads that are asked for at once when everything is loaded; the loader lets fewer go on.
const ASKED_AT_ONCE: usize = 16;

/// The scripts of a project and their jobs. Cheap to clone; all clones are the same one.
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

/// One script.
#[derive(Debug, Default)]
pub(super) struct ScriptEntry {
    pub(super) in_force: Option<Rc<ScriptVersion>>,
    /// A version that loads and whose jobs others have.
    pub(super) waiting: Option<Rc<ScriptVersion>>,
    pub(super) stale: Option<LoadFailure>,
    /// What was loaded last, whatever came of it.
    pub(super) tried: Option<LoadAttempt>,
    /// Whether its file could not be read the last time.
    pub(super) unreadable: bool,
    /// Whether it declares no job and sends at its top level: it is for `mooncast run`.
    pub(super) for_run: bool,
}

/// What a load was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoadAttempt {
    /// The script.
    pub(super) script: LuaSource,
    /// What the modules that it asked for were.
    pub(super) asked: BTreeMap<String, Option<LuaSource>>,
}

/// A job, and the version that declares it.
#[derive(Debug, Clone)]
pub struct LoadedJob {
    /// The job.
    pub job: Rc<Job>,
    /// Its script.
    pub version: Rc<ScriptVersion>,
}

/// A script as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptStatus {
    /// The path as people see it.
    pub name: String,
    /// The hash of the version in force; none when none ever was.
    pub hash: Option<String>,
    /// The names of its jobs.
    pub jobs: Vec<String>,
    /// When the version in force was loaded, since 1970-01-01T00:00:00Z.
    pub loaded_at: Option<Duration>,
    /// Why the file as it is now is not in force.
    pub stale: Option<LoadFailure>,
    /// Whether it declares no job and sends at its top level: it is for `mooncast run`.
    pub for_run: bool,
}

/// Why a script's file is not in force as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// What is wrong with it: file, line, reason.
    pub error: String,
    /// Since when, since 1970-01-01T00:00:00Z.
    pub since: Duration,
}

impl ScriptRegistry {
    /// One that knows no script yet.
    #[must_use]
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

    /// What loads the scripts.
    #[must_use]
    pub fn loader(&self) -> &ScriptLoader {
        &self.0.loader
    }

    /// The settings in force. A run takes those of its beginning.
    #[must_use]
    pub fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.0.settings.borrow())
    }

    /// Puts other settings in force, for what begins from now on.
    pub fn set_settings(&self, settings: Settings) {
        self.0.settings.replace(Rc::new(settings));
        self.tell();
    }

    /// All jobs in force, by script and then in the order of their declarations.
    #[must_use]
    pub fn jobs(&self) -> Vec<LoadedJob> {
        let entries = self.0.entries.borrow();
        entries.values().filter_map(|entry| entry.in_force.as_ref()).flat_map(registered).collect()
    }

    /// The job of this name, if one is in force.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<LoadedJob> {
        let entries = self.0.entries.borrow();
        let versions = entries.values().filter_map(|entry| entry.in_force.as_ref());
        versions.flat_map(registered).find(|registered| registered.job.name == name)
    }

    /// The version in force of the script of this name, if it has one.
    #[must_use]
    pub fn script(&self, name: &str) -> Option<Rc<ScriptVersion>> {
        let entries = self.0.entries.borrow();
        entries.values().filter_map(|entry| entry.in_force.as_ref()).find(|one| one.name() == name).cloned()
    }

    /// Whether there is a script at this path.
    pub(super) fn knows(&self, path: &std::path::Path) -> bool {
        self.0.entries.borrow().contains_key(path)
    }

    /// Whether the script at this path is refused and none of its versions is in force, so that its jobs are not known.
    pub(super) fn is_refused(&self, path: &std::path::Path) -> bool {
        let entries = self.0.entries.borrow();
        entries.get(path).is_some_and(|entry| entry.in_force.is_none() && entry.stale.is_some())
    }

    /// All scripts as they stand, by name.
    #[must_use]
    pub fn scripts(&self) -> Vec<ScriptStatus> {
        let entries = self.0.entries.borrow();
        entries.iter().map(|(path, entry)| entry.status(self.0.loader.project.shown(path))).collect()
    }

    /// What stands for all scripts in force together: equal on two hosts where all of them are.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        for script in self.scripts() {
            hasher.update(format!("{}\n{}\n", script.name, script.hash.unwrap_or_default()));
        }
        HEXLOWER.encode(&hasher.finalize())
    }

    /// A number that grows with each change of what is in force or stale: wait on it, then look again.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// How many loads were decided on, whatever came of them.
    #[must_use]
    pub fn decisions(&self) -> u64 {
        self.0.decisions.get()
    }

    /// Has whoever watches look at all files again, and at the settings (SIGHUP).
    pub fn look_again(&self) {
        self.0.look.notify_one();
    }

    /// How often the files have been looked at: they are watched from the first time on.
    #[must_use]
    pub fn watching(&self) -> watch::Receiver<u64> {
        self.0.looks.subscribe()
    }

    /// Tells that the files have been looked at.
    pub(super) fn looked(&self) {
        self.0.looks.send_modify(|looks| *looks += 1);
    }

    /// Waits until somebody wants all files looked at again.
    pub(super) async fn asked_to_look(&self) {
        self.0.look.notified().await;
    }

    /// Loads every script that is there, and drops those that are gone.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read; nothing has changed then.
    pub async fn load_all(&self) -> std::io::Result<()> {
        let loader = &self.0.loader;
        let found = scan::scripts(&loader.project.root.join("scripts"))?;
        self.retain(&found.scripts.iter().cloned().collect());
        let settings = self.settings();
        let loads = found.scripts.into_iter().map(|path| {
            let settings = Rc::clone(&settings);
            async move {
                let result = match loader.read(&path, &settings.secret_files) {
                    Ok(script) => Ok((script.clone(), loader.load(&path, script, &settings).await)),
                    Err(error) => Err(error),
                };
                (path, result)
            }
        });
        // Decided in the order of their paths, so that of two that claim one name it is always the same that has it.
        let mut loads = futures_util::stream::iter(loads).buffered(ASKED_AT_ONCE);
        while let Some((path, result)) = loads.next().await {
            match result {
                Ok((script, made)) => self.decide(&path, script, made),
                Err(error) => self.refuse_unreadable(&path, error),
            }
        }
        Ok(())
    }

    /// What each script was loaded from last.
    pub(super) fn tried(&self) -> BTreeMap<PathBuf, LoadAttempt> {
        let entries = self.0.entries.borrow();
        entries.iter().filter_map(|(path, entry)| Some((path.clone(), entry.tried.clone()?))).collect()
    }

    /// The scripts whose files could not be read the last time.
    pub(super) fn unreadable(&self) -> BTreeSet<PathBuf> {
        let entries = self.0.entries.borrow();
        entries.iter().filter(|(_, entry)| entry.unreadable).map(|(path, _)| path.clone()).collect()
    }

    /// Has the scripts that are stale loaded again, whether their files changed or not.
    pub(super) fn forget_refused(&self) {
        for entry in self.0.entries.borrow_mut().values_mut().filter(|entry| entry.stale.is_some()) {
            entry.tried = None;
        }
    }

    /// Wakes whoever waits for a change.
    pub(super) fn tell(&self) {
        self.0.changes.send_modify(|number| *number += 1);
    }
}

impl ScriptEntry {
    fn status(&self, name: String) -> ScriptStatus {
        ScriptStatus {
            name,
            hash: self.in_force.as_ref().map(|version| version.hash.clone()),
            jobs: self.job_names().into_iter().map(str::to_owned).collect(),
            loaded_at: self.in_force.as_ref().map(|version| version.loaded_at),
            stale: self.stale.clone(),
            for_run: self.for_run,
        }
    }

    /// The names of its jobs in force.
    pub(super) fn job_names(&self) -> Vec<&str> {
        self.in_force.as_deref().map(names).unwrap_or_default()
    }
}

/// The names of a version's jobs.
pub(super) fn names(version: &ScriptVersion) -> Vec<&str> {
    version.jobs.iter().map(|job| job.name.as_str()).collect()
}

fn registered(version: &Rc<ScriptVersion>) -> impl Iterator<Item = LoadedJob> + use<> {
    let version = Rc::clone(version);
    let jobs = version.jobs.clone();
    jobs.into_iter().map(move |job| LoadedJob { job, version: Rc::clone(&version) })
}
