//! The files that matter: what is believed of each, and which of them has to be read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::clock::Instant;
use crate::host::{MAX_SOURCE, ScriptFiles};
use crate::protocol::LuaSource;

use super::debounce::{FileDebounce, FileEvent, FileReading, QUIET, TextDigest};
use super::links::{self, LinkChain};

/// A file that was not written for so long is whole, whoever put it there without a word.
const AGED: Duration = Duration::from_mins(1);

/// What was told since the last look.
#[derive(Debug, Default)]
pub(super) struct FileEvents {
    signs: HashMap<PathBuf, FileEvent>,
    /// Events were lost, or somebody wants everything looked at.
    pub(super) all: bool,
}

impl FileEvents {
    /// Notes a sign; one that says less does not replace one that says more.
    pub(super) fn note(&mut self, path: PathBuf, sign: FileEvent) {
        if sign == FileEvent::Hint {
            self.signs.entry(path).or_insert(sign);
        } else {
            self.signs.insert(path, sign);
        }
    }

    /// The paths that something was told of.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.signs.keys()
    }

    /// What was told of a file: of itself, of a link to it, or of a folder above it that was replaced.
    fn of(&self, path: &Path, way: &LinkChain) -> Option<FileEvent> {
        if self.signs.is_empty() {
            return None;
        }
        let own = self.signs.get(&way.end).or_else(|| self.signs.get(path));
        let replaced = |path: &Path| {
            path.ancestors().any(|path| self.signs.get(path).is_some_and(|sign| *sign == FileEvent::Done))
        };
        own.copied().or_else(|| {
            let way = way.links.iter().map(PathBuf::as_path).chain(way.end.parent());
            way.into_iter().any(replaced).then_some(FileEvent::Done)
        })
    }
}

/// The files that matter, by the paths under which they were found.
#[derive(Debug, Default)]
pub(super) struct TrackedFiles {
    files: BTreeMap<PathBuf, TrackedFile>,
    /// What reads scripts and modules, and none of the host's own files.
    reader: Option<ScriptFiles>,
}

#[derive(Debug, Default)]
struct TrackedFile {
    settling: FileDebounce,
    way: LinkChain,
    print: Option<FileStamp>,
    /// It was read so soon after it was written that a further write may not show in its times.
    racy: bool,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

/// The time of a look, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanTime {
    pub(super) instant: Instant,
    pub(super) unix: Duration,
}

impl TrackedFiles {
    /// Reads files by this from now on.
    pub(super) fn read_by(&mut self, reader: ScriptFiles) {
        self.reader = Some(reader);
    }

    /// The bytes of a script, where it can be read and is none of the host's own files.
    pub(super) fn script(&self, path: &Path) -> Option<Vec<u8>> {
        self.reader.as_ref()?.read(path, MAX_SOURCE).ok()
    }

    /// Whether this file was looked at before.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    /// Looks at a file. `first` is the look of a beginning, when what is there is believed unless it is quite new.
    /// Gives whether something else is believed of it now.
    pub(super) fn look(
        &mut self,
        path: &Path,
        now: ScanTime,
        told: Option<&FileEvents>,
        first: bool,
    ) -> bool {
        let known = self.files.contains_key(path);
        let file = self.files.entry(path.to_owned()).or_default();
        let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
        let print = metadata.as_ref().map(FileStamp::of);
        if !known || print != file.print {
            file.way = links::follow(path);
        }
        let mut sign = told.and_then(|told| told.of(path, &file.way));
        let all = told.is_some_and(|told| told.all);
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

    /// Whether a text is what is believed of a file. One that is not known is looked at from now on.
    pub(super) fn believes(&mut self, path: &Path, now: ScanTime, source: &LuaSource) -> bool {
        if !self.knows(path) {
            self.look(path, now, None, true);
        }
        let seen = text(source);
        self.files.get(path).is_some_and(|file| file.settling.believed() == Some(&seen))
    }

    /// What is believed of a file that has settled; none while it has not.
    pub(super) fn settled(&self, path: &Path) -> Option<&FileReading> {
        self.files.get(path).filter(|file| !file.settling.is_pending())?.settling.believed()
    }

    /// Drops what is believed to be gone, and gives what is still believed to be there.
    pub(super) fn drop_missing(&mut self) -> Vec<PathBuf> {
        self.files.retain(|path, file| {
            let gone = file.settling.believed().is_none_or(|seen| *seen == FileReading::Missing);
            !gone || file.settling.is_pending() || is_settings(path)
        });
        self.paths()
    }

    /// The files that are known.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.keys().cloned().collect()
    }

    /// Whether an event at this path can mean something.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        self.files.values().any(|file| file.way.links.iter().any(|link| link == path) || file.way.end == path)
    }

    /// The folders to watch so that a change of any of them is told.
    pub(super) fn folders(&self) -> BTreeSet<PathBuf> {
        self.files.values().flat_map(|file| file.way.folders.iter().cloned()).collect()
    }

    /// When to look again.
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

    /// When it was written last.
    fn time(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.written.0).unwrap_or(0))
    }
}

fn is_settings(path: &Path) -> bool {
    path.ends_with(crate::config::FILE_NAME)
}

/// What is at a path; the settings are read without a `reader` of scripts.
fn see(path: &Path, there: bool, reader: Option<&ScriptFiles>) -> FileReading {
    if !there {
        return FileReading::Missing;
    }
    let bytes = match reader {
        Some(reader) => reader.read(path, MAX_SOURCE),
        None => read(path),
    };
    match bytes {
        // As Lua gets it, without a name.
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
