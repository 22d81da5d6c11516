//! Watches folders through `notify` and its debouncer, and converts the events to [`FileEvent`]s.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::event::{AccessKind, AccessMode, ModifyKind};
use notify_debouncer_full::notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, WatcherKind,
};
use notify_debouncer_full::{
    DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer,
};
use tokio::sync::mpsc::UnboundedSender;

use super::debounce::FileEvent;

/// How long events of one path are collected.
const GATHER: Duration = Duration::from_millis(50);

/// How often the debouncer checks for collected events.
const TICK: Duration = Duration::from_millis(25);

/// A message of the file system watcher.
#[derive(Debug)]
pub(super) enum WatchEvent {
    Sign(PathBuf, FileEvent),
    Lost,
}

/// The watched folders.
pub(super) struct FileWatcher {
    debouncer: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    watched: BTreeMap<PathBuf, (u64, u64)>,
    refused: BTreeSet<PathBuf>,
}

impl FileWatcher {
    /// Creates a watcher of no folders. If the system supports no watching, this logs it, and only the periodic
    /// scan finds changes.
    pub(super) fn new(events: UnboundedSender<Vec<WatchEvent>>) -> Self {
        let handler = move |result: DebounceEventResult| {
            let reported = match result {
                Ok(batch) => signs(&batch),
                Err(errors) => {
                    for error in errors {
                        tracing::warn!(
                            "error while watching the scripts, scanning all of them again: {error}"
                        );
                    }
                    vec![WatchEvent::Lost]
                }
            };
            if !reported.is_empty() {
                // The receiver is closed when the daemon ends.
                let _ = events.send(reported);
            }
        };
        let debouncer = new_debouncer(GATHER, Some(TICK), handler).inspect_err(|error| {
            tracing::warn!("cannot watch the scripts, so only the slow periodic scan finds changes: {error}");
        });
        Self { debouncer: debouncer.ok(), watched: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// Watches exactly these folders. Returns true if one of them is newly watched: changes in it before now caused
    /// no events.
    pub(super) fn watch(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let Some(debouncer) = &mut self.debouncer else { return false };
        let mut wanted = BTreeMap::new();
        for folder in folders {
            // A folder with the same path and another inode is a different folder.
            if let Ok(metadata) = std::fs::metadata(folder)
                && metadata.is_dir()
            {
                wanted.insert(folder.clone(), (metadata.dev(), metadata.ino()));
            }
        }
        self.watched.retain(|folder, id| {
            let stays = wanted.get(folder) == Some(id);
            if !stays {
                // The system has already removed the watch of a deleted folder.
                let _ = debouncer.unwatch(folder);
            }
            stays
        });
        let mut more = false;
        for (folder, id) in wanted {
            if self.watched.contains_key(&folder) {
                continue;
            }
            match debouncer.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.refused.remove(&folder);
                    self.watched.insert(folder, id);
                    more = true;
                }
                Err(error) => {
                    let shown = folder.display().to_string();
                    if self.refused.insert(folder) {
                        tracing::warn!(
                            folder = shown,
                            "cannot watch this folder, so only the slow periodic scan finds its changes: {error}"
                        );
                    }
                }
            }
        }
        more
    }

    /// Whether this folder is watched.
    pub(super) fn has(&self, folder: &Path) -> bool {
        self.watched.contains_key(folder)
    }
}

/// Converts a batch of events, in order.
fn signs(batch: &[DebouncedEvent]) -> Vec<WatchEvent> {
    let tells_closes = RecommendedWatcher::kind() == WatcherKind::Inotify;
    let opened: HashSet<&Path> = batch
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Access(AccessKind::Open(_))))
        .flat_map(|event| event.paths.iter().map(PathBuf::as_path))
        .collect();
    let mut reported = Vec::new();
    for event in batch {
        if event.need_rescan() {
            reported.push(WatchEvent::Lost);
            continue;
        }
        let sign = |path: &Path| match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(_) => Some(FileEvent::Done),
            EventKind::Access(_) | EventKind::Other => None,
            EventKind::Create(_) => Some(created(path, tells_closes && opened.contains(path))),
            EventKind::Modify(ModifyKind::Metadata(_)) | EventKind::Any => Some(FileEvent::Hint),
            EventKind::Modify(_) if tells_closes => Some(FileEvent::Writing),
            EventKind::Modify(_) => Some(FileEvent::Hint),
        };
        reported
            .extend(event.paths.iter().filter_map(|path| Some(WatchEvent::Sign(path.clone(), sign(path)?))));
    }
    reported
}

/// A new link or folder is complete. A file that was created by opening it is written next.
fn created(path: &Path, opened: bool) -> FileEvent {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() || metadata.is_dir() || metadata.nlink() > 1 => FileEvent::Done,
        _ if opened => FileEvent::Writing,
        _ => FileEvent::Hint,
    }
}
