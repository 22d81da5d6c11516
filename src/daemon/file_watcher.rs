//! What the file system tells: folders watched through `notify` and its debouncer, and its events as signs.

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

/// For how long events of one path are gathered.
const GATHER: Duration = Duration::from_millis(50);

/// How often it is looked whether some have been gathered for long enough.
const TICK: Duration = Duration::from_millis(25);

/// What the file system told.
#[derive(Debug)]
pub(super) enum WatchEvent {
    /// Of this path.
    Sign(PathBuf, FileEvent),
    /// That it could not tell all.
    Lost,
}

/// The watched folders.
pub(super) struct FileWatcher {
    debouncer: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    watched: BTreeMap<PathBuf, (u64, u64)>,
    refused: BTreeSet<PathBuf>,
}

impl FileWatcher {
    /// Watches nothing yet. Where nothing can be watched at all, that is said and the slow scan has to do.
    pub(super) fn new(events: UnboundedSender<Vec<WatchEvent>>) -> Self {
        let handler = move |result: DebounceEventResult| {
            let told = match result {
                Ok(batch) => signs(&batch),
                Err(errors) => {
                    for error in errors {
                        tracing::warn!("watching the scripts: {error}; all of them are looked at again");
                    }
                    vec![WatchEvent::Lost]
                }
            };
            if !told.is_empty() {
                // Nobody listens any more when the daemon ends.
                let _ = events.send(told);
            }
        };
        let debouncer = new_debouncer(GATHER, Some(TICK), handler).inspect_err(|error| {
            tracing::warn!(
                "the scripts cannot be watched ({error}); changes are found by the slow scan alone"
            );
        });
        Self { debouncer: debouncer.ok(), watched: BTreeMap::new(), refused: BTreeSet::new() }
    }

    /// Watches these folders and no others. Gives whether one is watched that was not before: what happened in it
    /// until now was not told.
    pub(super) fn watch(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let Some(debouncer) = &mut self.debouncer else { return false };
        let mut wanted = BTreeMap::new();
        for folder in folders {
            // Another one of that name is another folder.
            if let Ok(metadata) = std::fs::metadata(folder)
                && metadata.is_dir()
            {
                wanted.insert(folder.clone(), (metadata.dev(), metadata.ino()));
            }
        }
        self.watched.retain(|folder, id| {
            let stays = wanted.get(folder) == Some(id);
            if !stays {
                // The system has let go of one that is gone.
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
                            "a folder cannot be watched ({error}); its changes are found by the slow scan alone"
                        );
                    }
                }
            }
        }
        more
    }

    /// Whether this is a folder that is watched.
    pub(super) fn has(&self, folder: &Path) -> bool {
        self.watched.contains_key(folder)
    }
}

/// A batch of events as signs, in their order.
fn signs(batch: &[DebouncedEvent]) -> Vec<WatchEvent> {
    let tells_closes = RecommendedWatcher::kind() == WatcherKind::Inotify;
    let opened: HashSet<&Path> = batch
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Access(AccessKind::Open(_))))
        .flat_map(|event| event.paths.iter().map(PathBuf::as_path))
        .collect();
    let mut told = Vec::new();
    for event in batch {
        if event.need_rescan() {
            told.push(WatchEvent::Lost);
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
        told.extend(event.paths.iter().filter_map(|path| Some(WatchEvent::Sign(path.clone(), sign(path)?))));
    }
    told
}

/// A link or a folder is whole when it is made; a file that was made by opening it is written next.
fn created(path: &Path, opened: bool) -> FileEvent {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() || metadata.is_dir() || metadata.nlink() > 1 => FileEvent::Done,
        _ if opened => FileEvent::Writing,
        _ => FileEvent::Hint,
    }
}
