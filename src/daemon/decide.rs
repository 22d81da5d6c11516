//! What becomes of a script that was loaded: the only place where that is decided, with one log line for each decision.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::protocol::Source;

use super::load::Loaded;
use super::registry::{Entry, Registry, Stale, Tried, names};
use super::version::Version;

impl Registry {
    /// Drops the scripts that are not among these.
    pub(super) fn retain(&self, there: &BTreeSet<PathBuf>) {
        let gone: Vec<(PathBuf, Entry)> =
            self.0.entries.borrow_mut().extract_if(.., |path, _| !there.contains(path)).collect();
        for (path, entry) in &gone {
            let (script, jobs) = (self.0.loader.project.shown(path), entry.job_names().join(", "));
            tracing::info!(script, jobs, "a script is gone: its jobs end after the run in flight");
        }
        if !gone.is_empty() {
            self.settle_waiting();
            self.tell();
        }
    }

    /// Decides what becomes of a script that was loaded.
    pub(super) fn decide(&self, path: &Path, script: Source, loaded: Loaded) {
        self.0.decisions.set(self.0.decisions.get() + 1);
        let tried = Tried { script, asked: loaded.asked };
        self.0.entries.borrow_mut().entry(path.to_owned()).or_default().tried = Some(tried);
        match loaded.version {
            Ok(version) => self.propose(path, Rc::new(version)),
            Err(error) => self.refuse(path, error),
        }
        self.settle_waiting();
        self.tell();
    }

    /// Puts a version in force unless somebody else has one of its jobs.
    fn propose(&self, path: &Path, version: Rc<Version>) {
        if let Some(error) = self.taken(path, &version) {
            self.refuse(path, error);
            if let Some(entry) = self.0.entries.borrow_mut().get_mut(path) {
                entry.waiting = Some(version);
            }
            return;
        }
        self.0.figures.taken.increment(1);
        let mut entries = self.0.entries.borrow_mut();
        let entry = entries.entry(path.to_owned()).or_default();
        let was_stale = entry.stale.take().is_some();
        entry.waiting = None;
        let (script, hash, jobs) = (version.name().to_owned(), version.short(), names(&version).join(", "));
        match &entry.in_force {
            None => tracing::info!(script, hash, jobs, "a script is in force"),
            Some(old) if old.hash != version.hash => {
                tracing::info!(
                    script,
                    hash,
                    was = old.short(),
                    jobs,
                    "a new version of a script is in force"
                );
            }
            Some(_) if was_stale => {
                tracing::info!(script, hash, jobs, "a script is again as it is in force");
                return;
            }
            // The same bytes, loaded once more: runs need not know.
            Some(_) => return,
        }
        entry.in_force = Some(version);
    }

    /// Leaves what is in force, and shows why the file is not.
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
        if let Some(old) = &entry.in_force {
            let hash = old.short();
            tracing::warn!(
                script,
                hash,
                jobs,
                "a script is refused, the version before stays in force: {error}"
            );
        } else {
            tracing::warn!(script, "a script is refused: {error}");
        }
        let since = entry.stale.take().map_or(since, |stale| stale.since);
        entry.stale = Some(Stale { error, since });
        drop(entries);
        self.tell();
    }

    /// Puts in force what waited only for a job's name that is free by now.
    fn settle_waiting(&self) {
        loop {
            let waiting: Vec<(PathBuf, Rc<Version>)> = {
                let entries = self.0.entries.borrow();
                let waits = entries.iter().filter_map(|(path, entry)| Some((path, entry.waiting.as_ref()?)));
                waits.map(|(path, version)| (path.clone(), Rc::clone(version))).collect()
            };
            let Some((path, version)) =
                waiting.into_iter().find(|(path, version)| self.taken(path, version).is_none())
            else {
                return;
            };
            self.propose(&path, version);
        }
    }

    /// What is said to a version one of whose jobs another script has.
    fn taken(&self, path: &Path, version: &Version) -> Option<String> {
        let entries = self.0.entries.borrow();
        let others = entries.iter().filter(|(other, _)| other.as_path() != path);
        let mut held = others.filter_map(|(_, entry)| entry.in_force.as_ref()).flat_map(|other| &other.jobs);
        let (other, mine) =
            held.find_map(|other| Some((other, version.jobs.iter().find(|mine| mine.name == other.name)?)))?;
        Some(format!(
            "{}: a job named `{}` is in force from {} already; give this one another `name`, or remove that one",
            mine.place, mine.name, other.place
        ))
    }
}
