//! One scan of the files: which scripts must be loaded, which are gone, and whether the loaded files were complete.
//!
//! A scan reads the file system, which can be slow or blocked, so it runs on its own thread.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::{Clock, Instant};
use crate::config::{Project, ProjectHandle};
use crate::protocol::LuaSource;
use crate::run::{CALENDARS, ModuleSources, ScriptFiles};

use super::debounce::{FileReading, SETTLE};
use super::file_watcher::FileWatcher;
use super::files::{FileEvents, ScanTime, TrackedFiles};
use super::project_folder::ProjectFolder;
use super::registry::LoadAttempt;
use super::scan::{self, FoundScripts};

/// The maximum number of rounds in one scan while new folders appear: their files may have changed before the
/// folders were watched.
const ROUNDS: usize = 4;

/// The state that is kept between scans.
pub(super) struct ScriptScanner {
    project: Project,
    clock: Clock,
    files: TrackedFiles,
    watcher: FileWatcher,
    first: bool,
    /// The scripts that could not be judged because one of their files had a pending change.
    deferred: BTreeSet<PathBuf>,
    /// The last logged reason why the scripts folder cannot be read.
    unreadable: Option<String>,
    folder: ProjectFolder,
    secret_files: Vec<PathBuf>,
    left_out: BTreeSet<PathBuf>,
    /// The scripts that are gone from a folder to which the project's path no longer leads. They stay active.
    kept: BTreeSet<PathBuf>,
}

/// The input of a scan.
#[derive(Debug, Default)]
pub(super) struct ScanRequest {
    /// The file events since the last scan.
    pub(super) file_events: FileEvents,
    /// The input of each script's last load.
    pub(super) tried: BTreeMap<PathBuf, LoadAttempt>,
    /// The scripts that could not be read at the last attempt.
    pub(super) unreadable: BTreeSet<PathBuf>,
    /// The scripts that are being loaded.
    pub(super) loading: BTreeSet<PathBuf>,
    /// The scripts whose load finished, with the input of each load.
    pub(super) loaded: BTreeMap<PathBuf, LoadAttempt>,
    /// Files with credentials. They are neither scripts nor modules.
    pub(super) secret_files: Vec<PathBuf>,
}

#[derive(Debug, Default)]
pub(super) struct ScanResult {
    /// Scripts to load, with their accepted bytes.
    pub(super) load: Vec<(PathBuf, LuaSource)>,
    /// The scripts that exist, or existed a moment ago. `None` if that is unknown.
    pub(super) there: Option<BTreeSet<PathBuf>>,
    /// Scripts that cannot be read, with the reason.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// The loaded scripts whose load used accepted files only.
    pub(super) believed: BTreeSet<PathBuf>,
    /// Whether the settings file changed.
    pub(super) settings: bool,
    /// When to scan again.
    pub(super) due: Option<Instant>,
}

impl ScriptScanner {
    pub(super) fn new(held: Arc<ProjectHandle>, clock: Clock, watcher: FileWatcher) -> Self {
        let project = held.project().clone();
        Self {
            folder: ProjectFolder::new(held),
            secret_files: Vec::new(),
            left_out: BTreeSet::new(),
            kept: BTreeSet::new(),
            project,
            clock,
            files: TrackedFiles::default(),
            watcher,
            first: true,
            deferred: BTreeSet::new(),
            unreadable: None,
        }
    }

    /// Sets the path that was given for the project, so that the scan also checks where it leads.
    pub(super) fn named(&mut self, path: PathBuf) {
        self.folder.named(path);
    }

    /// Whether the events require a scan.
    pub(super) fn is_concerned(&self, file_events: &FileEvents) -> bool {
        file_events.all
            || file_events.paths().any(|path| {
                let is_lua = path.extension().is_some_and(|extension| extension == "lua");
                is_lua
                    || self.watcher.has(path)
                    || self.files.concerns(path)
                    || std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() || found.is_symlink())
            })
    }

    /// Scans the files and returns what must be loaded or removed.
    pub(super) fn scan(&mut self, question: ScanRequest) -> ScanResult {
        let ScanRequest { file_events, mut tried, unreadable, loading, loaded, secret_files } = question;
        self.files.read_by(ScriptFiles::new(&self.project.root, &secret_files));
        self.secret_files = secret_files;
        let now = ScanTime { instant: self.clock.now(), unix: self.clock.unix_time() };
        let settings: Vec<PathBuf> =
            std::iter::once(self.project.settings_file()).chain(self.project.env_file()).collect();
        let mut changed = BTreeSet::new();
        let mut found = None;
        for round in 0..ROUNDS {
            found = self.find_scripts();
            let mut paths: BTreeSet<PathBuf> = self.files.paths().into_iter().collect();
            if let Some(found) = &found {
                paths.extend(found.scripts.iter().chain(found.modules()).cloned());
            }
            paths.extend(scan::calendars(&self.project.root.join(CALENDARS)));
            paths.extend(settings.iter().cloned());
            for path in paths {
                // The events concern the files known before. Applying them again would restart each file's
                // debounce.
                let file_events = (round == 0 || !self.files.knows(&path)).then_some(&file_events);
                if self.files.look(&path, now, file_events, self.first) {
                    changed.insert(path);
                }
            }
            if !self.watcher.watch(&self.folders(found.as_ref())) {
                break;
            }
        }
        // Each of them is removed from the changed files.
        let is_changed = settings.iter().filter(|path| changed.remove(*path)).count() > 0;
        let mut verdict = ScanResult { settings: is_changed && !self.first, ..ScanResult::default() };
        for (path, made_of) in loaded {
            if self.is_believed(&path, &made_of, tried.get(&path), now) {
                verdict.believed.insert(path.clone());
                tried.insert(path, made_of);
            } else {
                self.deferred.insert(path);
            }
        }
        if let Some(found) = &found {
            let deferred = std::mem::take(&mut self.deferred);
            let all = self.first || file_events.all || !changed.is_empty();
            for path in found.scripts.iter().filter(|path| all || deferred.contains(*path)) {
                let was_unreadable = unreadable.contains(path);
                self.judge(path, tried.get(path), was_unreadable, now, &loading, &mut verdict);
            }
            let mut there: BTreeSet<PathBuf> =
                found.scripts.iter().cloned().chain(self.files.drop_missing()).collect();
            if self.folder.leads_elsewhere() {
                self.keep(&tried, &mut there);
            } else {
                self.kept.clear();
            }
            verdict.there = Some(there);
        }
        self.first = false;
        // The folder may have been replaced while its files were read. They then belong to another project.
        if self.folder.held().in_place().is_err() {
            verdict = ScanResult::default();
        }
        let mut again = (!self.deferred.is_empty()).then_some(now.instant + SETTLE);
        // A load's files are tracked above. Their folders may be new, and a file may have changed before its folder
        // was watched.
        if self.watcher.watch(&self.folders(found.as_ref())) {
            again = Some(now.instant);
        }
        verdict.due = self.files.due().into_iter().chain(again).min();
        verdict
    }

    /// The scripts that exist. `None` if that is unknown; then no script counts as gone.
    fn find_scripts(&mut self) -> Option<FoundScripts> {
        let found = self.folder.look().and_then(|()| scan::scripts(&self.project.root.join("scripts")));
        match found {
            Ok(found) => {
                if self.unreadable.take().is_some() {
                    tracing::info!("scripts are readable again");
                }
                self.log_left_out(&found);
                Some(found)
            }
            Err(error) => {
                let before = self.unreadable.replace(error.to_string());
                if before != self.unreadable {
                    tracing::error!("cannot read the scripts, so the loaded versions stay active: {error}");
                }
                None
            }
        }
    }

    /// Keeps scripts that were loaded and are gone, and logs each of them once.
    fn keep(&mut self, tried: &BTreeMap<PathBuf, LoadAttempt>, there: &mut BTreeSet<PathBuf>) {
        for path in tried.keys() {
            if there.insert(path.clone()) && self.kept.insert(path.clone()) {
                let script = self.project.shown(path);
                tracing::error!(
                    script,
                    "this script was removed, but the project's path now leads to another folder, so its jobs keep the loaded version; restart the daemon to load the scripts of the new folder"
                );
            }
        }
    }

    /// Logs each Lua file that is not a script, once.
    fn log_left_out(&mut self, found: &FoundScripts) {
        for left in &found.left_out {
            if self.left_out.insert(left.path.clone()) {
                let (file, why) = (self.project.shown(&left.path), left.why);
                if left.path.to_str().is_some() {
                    tracing::info!(file, "file not loaded: {why}");
                } else {
                    tracing::warn!(file, "file not loaded: {why}; rename it");
                }
            }
        }
        self.left_out.retain(|path| found.left_out.iter().any(|left| left.path == *path));
    }

    fn folders(&self, found: Option<&FoundScripts>) -> BTreeSet<PathBuf> {
        let mut folders = self.files.folders();
        folders.insert(self.project.root.clone());
        folders.insert(self.project.root.join(CALENDARS));
        let looked_into = found.iter().flat_map(|found| &found.folders);
        folders.extend(looked_into.filter_map(|folder| folder.canonicalize().ok()));
        folders
    }

    /// Decides whether a script must be loaded.
    fn judge(
        &mut self,
        path: &Path,
        tried: Option<&LoadAttempt>,
        was_unreadable: bool,
        now: ScanTime,
        loading: &BTreeSet<PathBuf>,
        verdict: &mut ScanResult,
    ) {
        if loading.contains(path) {
            self.rescan_later(path);
            return;
        }
        let name = self.project.shown(path);
        match self.files.settled(path) {
            Some(FileReading::Unreadable(why)) => {
                verdict.unreadable.push((path.to_owned(), format!("{name}: {why}")));
                return;
            }
            Some(FileReading::Missing) => return,
            Some(FileReading::Text(..)) | None => {}
        }
        let script = self.files.script(path).map(|text| LuaSource::new(name, text));
        match script.filter(|script| self.is_trusted(path, script, tried, now)) {
            Some(script) => match self.differs(path, &script, tried, now) {
                Some(differs) if differs || was_unreadable => verdict.load.push((path.to_owned(), script)),
                Some(_) => {}
                None => self.rescan_later(path),
            },
            None => self.rescan_later(path),
        }
    }

    /// Marks a script to be judged again at the next scan.
    fn rescan_later(&mut self, path: &Path) {
        self.deferred.insert(path.to_owned());
    }

    /// Whether a script's text is accepted, or equals the text of its last load.
    fn is_trusted(
        &mut self,
        path: &Path,
        script: &LuaSource,
        tried: Option<&LoadAttempt>,
        now: ScanTime,
    ) -> bool {
        tried.is_some_and(|tried| tried.script.text == script.text)
            || (self.files.settled(path).is_some() && self.files.believes(path, now, script))
    }

    /// Whether a load now would have another input than the last one. `None` while a file has a pending change.
    fn differs(
        &mut self,
        path: &Path,
        script: &LuaSource,
        tried: Option<&LoadAttempt>,
        now: ScanTime,
    ) -> Option<bool> {
        let Some(tried) = tried else { return Some(true) };
        let end = path.canonicalize().ok()?;
        let sources = ModuleSources::new(&self.project, &end).without(&self.secret_files);
        let mut differs = tried.script.text != script.text;
        for (module, was) in &tried.asked {
            // An unreadable module counts as missing. The load will report the reason.
            sources.look_up(module);
            let is = sources.asked().remove(module).flatten();
            if is == *was {
                continue;
            }
            differs = true;
            let settled = match (&is, was) {
                (Some(is), _) => self.is_settled(is, now),
                (None, Some(was)) => {
                    let path = self.path(was);
                    !self.files.knows(&path) || self.files.settled(&path).is_some()
                }
                (None, None) => true,
            };
            if !settled {
                return None;
            }
        }
        Some(differs)
    }

    /// Whether every file that a load used is accepted, or was used by the load before it.
    fn is_believed(
        &mut self,
        path: &Path,
        made_of: &LoadAttempt,
        tried: Option<&LoadAttempt>,
        now: ScanTime,
    ) -> bool {
        let same = tried.is_some_and(|tried| tried.script.text == made_of.script.text);
        (same || self.files.believes(path, now, &made_of.script))
            && made_of.asked.iter().all(|(name, module)| {
                let before = tried.and_then(|tried| tried.asked.get(name));
                before == Some(module) || module.as_ref().is_none_or(|module| self.is_settled(module, now))
            })
    }

    fn is_settled(&mut self, module: &LuaSource, now: ScanTime) -> bool {
        let path = self.path(module);
        self.files.believes(&path, now, module)
    }

    fn path(&self, source: &LuaSource) -> PathBuf {
        self.project.root.join(&source.name)
    }
}
