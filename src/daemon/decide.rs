//! Decides whether a loaded script becomes active. Only this module decides that, and it logs one line for each
//! decision.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::protocol::LuaSource;

use super::load::LoadResult;
use super::registry::{LoadAttempt, LoadFailure, ScriptEntry, ScriptRegistry, names};
use super::version::ScriptVersion;

/// The explanation for a script that declares no job and sends at its top level.
pub(super) const FOR_RUN: &str =
    "it sends at its top level and declares no jobs, so only `mooncast run` runs it";

impl ScriptRegistry {
    /// Removes the scripts that are not in `there`.
    pub(super) fn retain(&self, there: &BTreeSet<PathBuf>) {
        let gone: Vec<(PathBuf, ScriptEntry)> =
            self.0.entries.borrow_mut().extract_if(.., |path, _| !there.contains(path)).collect();
        for (path, entry) in &gone {
            let (script, jobs) = (self.0.loader.project.shown(path), entry.job_names().join(", "));
            tracing::info!(script, jobs, "script removed; its jobs end after their active runs");
        }
        if !gone.is_empty() {
            self.settle_waiting();
            self.notify();
        }
    }

    /// Activates or refuses a loaded script.
    pub(super) fn decide(&self, path: &Path, script: LuaSource, loaded: LoadResult) {
        self.decide_together(vec![(path.to_owned(), script, loaded)]);
        self.refuse_waiting();
    }

    /// Decides about several loaded scripts together, so that one can take over a job's name that another gives up.
    /// A script whose job names are taken waits; see [`ScriptRegistry::refuse_waiting`].
    pub(super) fn decide_together(&self, loaded: Vec<(PathBuf, LuaSource, LoadResult)>) {
        if loaded.is_empty() {
            return;
        }
        for (path, script, loaded) in loaded {
            self.0.decisions.set(self.0.decisions.get() + 1);
            let tried = LoadAttempt { script, asked: loaded.asked };
            let was_in_force = {
                let mut entries = self.0.entries.borrow_mut();
                let entry = entries.entry(path.clone()).or_default();
                entry.tried = Some(tried);
                (entry.unreadable, entry.for_run) = (false, false);
                entry.active.is_some()
            };
            match loaded.version {
                Ok(version) => {
                    self.0.entries.borrow_mut().entry(path).or_default().waiting = Some(Rc::new(version));
                }
                Err(_) if loaded.for_run && !was_in_force => self.leave_to_run(&path),
                Err(error) => self.refuse(&path, error),
            }
        }
        self.settle_waiting();
        self.notify();
    }

    /// Refuses the scripts that wait for a job's name that another script keeps. They become active once the name
    /// is free.
    pub(super) fn refuse_waiting(&self) {
        let waiting: Vec<(PathBuf, Rc<ScriptVersion>)> = self.waiting().into_iter().collect();
        for (path, version) in waiting {
            let others = self.0.entries.borrow();
            let error = taken(
                &path,
                &version,
                others.iter().filter_map(|(path, entry)| Some((path, entry.active.as_ref()?))),
            );
            drop(others);
            let is_told = |error: &String| {
                let entries = self.0.entries.borrow();
                entries
                    .get(&path)
                    .and_then(|entry| entry.stale.as_ref())
                    .is_some_and(|stale| stale.error == *error)
            };
            if let Some(error) = error.filter(|error| !is_told(error)) {
                self.refuse(&path, error);
                if let Some(entry) = self.0.entries.borrow_mut().get_mut(&path) {
                    entry.waiting = Some(version);
                }
            }
        }
    }

    /// Marks a script that declares no jobs and sends at its top level. This is not an error: `mooncast run` runs
    /// it.
    fn leave_to_run(&self, path: &Path) {
        let script = self.0.loader.project.shown(path);
        let mut entries = self.0.entries.borrow_mut();
        let entry = entries.entry(path.to_owned()).or_default();
        (entry.waiting, entry.stale, entry.for_run) = (None, None, true);
        tracing::info!(script, "script not loaded: {FOR_RUN}");
    }

    /// Makes a version active.
    fn activate(&self, path: &Path, version: Rc<ScriptVersion>) {
        self.0.figures.taken.increment(1);
        let mut entries = self.0.entries.borrow_mut();
        let entry = entries.entry(path.to_owned()).or_default();
        let was_stale = entry.stale.take().is_some();
        entry.waiting = None;
        let (script, hash, jobs) = (version.name().to_owned(), version.short(), names(&version).join(", "));
        match &entry.active {
            None => tracing::info!(script, hash, jobs, "script loaded"),
            Some(old) if old.hash != version.hash => {
                tracing::info!(script, hash, was = old.short(), jobs, "script loaded in a new version");
            }
            Some(_) if was_stale => {
                tracing::info!(script, hash, jobs, "script loads again; its active version is unchanged");
                return;
            }
            // The same bytes were loaded again, so nothing changes for runs.
            Some(_) => return,
        }
        entry.active = Some(version);
    }

    /// Keeps the active version and records why the file failed to load.
    pub(super) fn refuse(&self, path: &Path, error: String) {
        self.0.figures.refused.increment(1);
        let since = self.0.loader.clock.unix_time();
        let script = self.0.loader.project.shown(path);
        let mut entries = self.0.entries.borrow_mut();
        let entry = entries.entry(path.to_owned()).or_default();
        entry.waiting = None;
        if entry.stale.as_ref().is_some_and(|stale| stale.error == error) {
            return;
        }
        let jobs = entry.job_names().join(", ");
        if let Some(old) = &entry.active {
            let hash = old.short();
            tracing::warn!(
                script,
                hash,
                jobs,
                "script failed to load, so its last version stays active: {error}"
            );
        } else {
            tracing::warn!(script, "script failed to load: {error}");
        }
        let since = entry.stale.take().map_or(since, |stale| stale.since);
        entry.stale = Some(LoadFailure { error, since });
        drop(entries);
        self.notify();
    }

    /// Records that a script's file cannot be read.
    pub(super) fn refuse_unreadable(&self, path: &Path, error: String) {
        self.refuse(path, error);
        if let Some(entry) = self.0.entries.borrow_mut().get_mut(path) {
            entry.unreadable = true;
        }
    }

    /// The versions that wait for a job's name.
    fn waiting(&self) -> BTreeMap<PathBuf, Rc<ScriptVersion>> {
        let entries = self.0.entries.borrow();
        let waits = entries.iter().filter_map(|(path, entry)| Some((path, entry.waiting.as_ref()?)));
        waits.map(|(path, version)| (path.clone(), Rc::clone(version))).collect()
    }

    /// Activates as many of the waiting versions as possible: those that share no job name with each other or with
    /// a version that stays active.
    fn settle_waiting(&self) {
        let mut going = self.waiting();
        loop {
            let entries = self.0.entries.borrow();
            let refused = {
                let stay = || entries.iter().filter(|(path, _)| !going.contains_key(*path));
                let stay = || stay().filter_map(|(path, entry)| Some((path, entry.active.as_ref()?)));
                let by_those_that_stay =
                    going.iter().find(|(path, version)| taken(path, version, stay()).is_some());
                let by_each_other =
                    || going.iter().rev().find(|(path, version)| taken(path, version, &going).is_some());
                by_those_that_stay.or_else(by_each_other).map(|(path, _)| path.clone())
            };
            match refused {
                Some(path) => going.remove(&path),
                None => break,
            };
        }
        for (path, version) in going {
            self.activate(&path, version);
        }
    }
}

/// The error for a version that declares a job whose name another script has.
fn taken<'a>(
    path: &Path,
    version: &ScriptVersion,
    others: impl IntoIterator<Item = (&'a PathBuf, &'a Rc<ScriptVersion>)>,
) -> Option<String> {
    let others = others.into_iter().filter(|(other, _)| other.as_path() != path);
    let mut held = others.flat_map(|(_, other)| &other.jobs);
    let (other, mine) =
        held.find_map(|other| Some((other, version.jobs.iter().find(|mine| mine.name == other.name)?)))?;
    Some(format!(
        "{}: a job named `{}` is already active, declared at {}; give this job another `name`, or remove the other one",
        mine.place, mine.name, other.place
    ))
}
