//! Tracks the relevant files: the accepted state of each, and which must be read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::clock::Instant;
use crate::protocol::LuaSource;
use crate::run::{MAX_SOURCE, ScriptFiles};

use super::debounce::{FileDebounce, FileEvent, FileReading, QUIET, TextDigest};
use super::links::{self, LinkChain};

/// A file that was not written for this long counts as complete, even if no event reported it.
const AGED: Duration = Duration::from_mins(1);

/// The events since the last scan.
#[derive(Debug, Default)]
pub(super) struct FileEvents {
    signs: HashMap<PathBuf, FileEvent>,
    /// Events were lost, or a full scan was requested.
    pub(super) all: bool,
}

impl FileEvents {
    /// Records an event. A `Hint` does not replace a more specific event.
    pub(super) fn note(&mut self, path: PathBuf, sign: FileEvent) {
        if sign == FileEvent::Hint {
            self.signs.entry(path).or_insert(sign);
        } else {
            self.signs.insert(path, sign);
        }
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.signs.keys()
    }

    /// The event that affects a file: its own, one of a link to it, or one of a replaced folder above it.
    fn of(&self, path: &Path, chain: &LinkChain) -> Option<FileEvent> {
        if self.signs.is_empty() {
            return None;
        }
        let own = self.signs.get(&chain.end).or_else(|| self.signs.get(path));
        let replaced = |path: &Path| {
            path.ancestors().any(|path| self.signs.get(path).is_some_and(|sign| *sign == FileEvent::Done))
        };
        own.copied().or_else(|| {
            let chain = chain.links.iter().map(PathBuf::as_path).chain(chain.end.parent());
            chain.into_iter().any(replaced).then_some(FileEvent::Done)
        })
    }
}

/// The tracked files, by the paths under which they were found.
#[derive(Debug, Default)]
pub(super) struct TrackedFiles {
    files: BTreeMap<PathBuf, TrackedFile>,
    /// Reads scripts and modules, and refuses the host's own files.
    reader: Option<ScriptFiles>,
}

#[derive(Debug, Default)]
struct TrackedFile {
    settling: FileDebounce,
    chain: LinkChain,
    print: Option<FileStamp>,
    /// The file was read so soon after it was written that another write may not change its timestamps.
    racy: bool,
}

/// Metadata that changes whenever the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

/// The time of a scan, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanTime {
    pub(super) instant: Instant,
    pub(super) unix: Duration,
}

impl TrackedFiles {
    /// Sets the reader.
    pub(super) fn read_by(&mut self, reader: ScriptFiles) {
        self.reader = Some(reader);
    }

    /// The bytes of a script. `None` if it cannot be read or is one of the host's own files.
    pub(super) fn script(&self, path: &Path) -> Option<Vec<u8>> {
        self.reader.as_ref()?.read(path, MAX_SOURCE).ok()
    }

    pub(super) fn knows(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Reads a file. At the `first` scan a file is accepted at once unless it was written very recently. Returns
    /// whether the accepted state changed.
    pub(super) fn look(
        &mut self,
        path: &Path,
        now: ScanTime,
        file_events: Option<&FileEvents>,
        first: bool,
    ) -> bool {
        let known = self.files.contains_key(path);
        let file = self.files.entry(path.to_owned()).or_default();
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
        let print = metadata.as_ref().map(FileStamp::of);
        if !known || print != file.print {
            file.chain = links::follow(path);
        }
        let mut sign = file_events.and_then(|file_events| file_events.of(path, &file.chain));
        let all = file_events.is_some_and(|file_events| file_events.all);
        if known && sign.is_none() && !all && !file.racy && !file.settling.is_pending() && print == file.print
        {
            return false;
        }
        let age = print.map(|print| now.unix.saturating_sub(print.time()));
        if sign.is_none() && print != file.print && age.is_some_and(|age| age > AGED) {
            sign = Some(FileEvent::Done);
        }
        let reader = self.reader.as_ref().filter(|_| !is_settings(path));
        let seen = see(path, metadata.is_some(), reader);
        file.print = print;
        file.racy = age.is_some_and(|age| age < QUIET);
        if first && !file.racy {
            file.settling.believe(seen);
            return true;
        }
        file.settling.look(now.instant, seen, sign)
    }

    /// Whether `source` is the accepted text of a file. An untracked file is tracked from now on.
    pub(super) fn believes(&mut self, path: &Path, now: ScanTime, source: &LuaSource) -> bool {
        if !self.knows(path) {
            self.look(path, now, None, true);
        }
        let seen = text(source);
        self.files.get(path).is_some_and(|file| file.settling.believed() == Some(&seen))
    }

    /// The accepted state of a file with no pending change. `None` while a change is pending.
    pub(super) fn settled(&self, path: &Path) -> Option<&FileReading> {
        self.files.get(path).filter(|file| !file.settling.is_pending())?.settling.believed()
    }

    /// Stops tracking the files that are gone, and returns the others.
    pub(super) fn drop_missing(&mut self) -> Vec<PathBuf> {
        self.files.retain(|path, file| {
            let gone = file.settling.believed().is_none_or(|seen| *seen == FileReading::Missing);
            !gone || file.settling.is_pending() || is_settings(path)
        });
        self.paths()
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.keys().cloned().collect()
    }

    /// Whether an event at this path can affect a tracked file.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        self.files
            .values()
            .any(|file| file.chain.links.iter().any(|link| link == path) || file.chain.end == path)
    }

    /// The folders to watch for changes of any tracked file.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        self.files.values().flat_map(|file| file.chain.folders.iter().cloned()).collect()
    }

    /// When to read the next file again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.files.values().filter_map(|file| file.settling.due()).min()
    }
}

impl FileStamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The time of the last write, in whole seconds.
    fn time(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.written.0).unwrap_or(0))
    }
}

fn is_settings(path: &Path) -> bool {
    path.ends_with(crate::config::FILE_NAME) || crate::config::is_env_file(path)
}

/// Reads a path. The settings file is read without a script `reader`.
fn see(path: &Path, there: bool, reader: Option<&ScriptFiles>) -> FileReading {
    if !there {
        return FileReading::Missing;
    }
    let bytes = match reader {
        Some(reader) => reader.read(path, MAX_SOURCE),
        None => read(path),
    };
    match bytes {
        // Lua gets the text in this form. The name is empty because only the text counts.
        Ok(bytes) => text(&LuaSource::new(String::new(), bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileReading::Missing,
        Err(error) => FileReading::Unreadable(error.to_string()),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_SOURCE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(source: &LuaSource) -> FileReading {
    let digest: TextDigest = Sha256::digest(&source.text).into();
    FileReading::Text(digest, !source.text.is_empty())
}
