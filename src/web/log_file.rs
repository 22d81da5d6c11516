//! The log in two files of the state folder, so that it outlives a restart.
//!
//! A thread of its own writes the lines. A line that finds the queue full, or that cannot be written, is lost and counted;
//! nothing waits for it. `daemon.log` is renamed to `daemon.log.1` at half of the permitted size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::log_line::LogLineView;

/// The folder below the state folder, and its files.
const FOLDER: &str = "log";
const NEWEST: &str = "daemon.log";
const OLDER: &str = "daemon.log.1";

/// The most lines that wait to be written.
const QUEUE: usize = 4_096;

/// The most lines of one write.
const BATCH: usize = 256;

/// The bytes that a reader takes at once, from the end of a file.
const CHUNK: u64 = 256 * 1024;

/// How long a stop waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// The log's files, and the thread that writes them.
#[derive(Debug)]
pub(super) struct LogFile {
    queue: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
    folder: PathBuf,
    /// Held for reading while the files are opened, and for writing while they are renamed.
    names: Arc<RwLock<()>>,
}

enum Entry {
    Line(Box<LogLineView>),
    /// All lines before it are written when it is answered.
    Flush(SyncSender<()>),
}

impl LogFile {
    /// Opens the files below a state folder, which together have at most `most` bytes. Returns the number of their last
    /// line too.
    pub(super) fn open(state: &Path, most: u64) -> io::Result<(Self, u64)> {
        let folder = state.join(FOLDER);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let names = Arc::new(RwLock::new(()));
        let (queue, lines) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let this = Self { queue, lost: Arc::clone(&lost), folder: folder.clone(), names: Arc::clone(&names) };
        let mut newest = 0;
        this.read_back(&mut |line| {
            newest = line.number;
            false
        });
        let writer = LogWriter { folder, half: most / 2, file: None, size: 0, lost, names };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(&lines))?;
        Ok((this, newest))
    }

    /// Writes a line later. Never waits.
    pub(super) fn put(&self, line: &LogLineView) {
        if self.queue.try_send(Entry::Line(Box::new(line.clone()))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until the lines so far are written, at most two seconds.
    pub(super) fn flush(&self) {
        let (written, wait) = sync_channel(1);
        if self.queue.try_send(Entry::Flush(written)).is_ok() {
            // Lines that take longer are lost.
            let _ = wait.recv_timeout(PATIENCE);
        }
    }

    /// Calls `each` with every line of the files, the newest first, until it returns false.
    pub(super) fn read_back(&self, each: &mut dyn FnMut(LogLineView) -> bool) {
        // Both are opened at one time, so that a rename between them hides no lines. A file that cannot be read has none.
        let open = || {
            let _names = self.names.read().unwrap_or_else(PoisonError::into_inner);
            [NEWEST, OLDER].map(|name| File::open(self.folder.join(name)))
        };
        for file in open().into_iter().flatten() {
            if let Ok(false) = lines_back(&file, each) {
                return;
            }
        }
    }
}

/// Calls `each` with every line of a file, the last one first. Returns whether it always returned true.
fn lines_back(file: &File, each: &mut dyn FnMut(LogLineView) -> bool) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(true);
    }
    let mut end = metadata.len();
    // The start of a line whose other bytes are in the chunk before it.
    let mut rest: Vec<u8> = Vec::new();
    while end > 0 {
        let length = end.min(CHUNK);
        end -= length;
        let mut chunk = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut chunk, end)?;
        chunk.append(&mut rest);
        let first = if end == 0 {
            0
        } else {
            chunk.iter().position(|byte| *byte == b'\n').map_or(chunk.len(), |at| at + 1)
        };
        for line in chunk[first..].split(|byte| *byte == b'\n').rev() {
            // A line that was torn by a crash or a full disk is none.
            if let Ok(line) = serde_json::from_slice(line)
                && !each(line)
            {
                return Ok(false);
            }
        }
        chunk.truncate(first);
        rest = chunk;
    }
    Ok(true)
}

/// Writes the lines.
struct LogWriter {
    folder: PathBuf,
    /// The size at which a file is renamed.
    half: u64,
    file: Option<File>,
    size: u64,
    lost: Arc<AtomicU64>,
    names: Arc<RwLock<()>>,
}

impl LogWriter {
    /// Writes until the log ends.
    fn run(mut self, lines: &Receiver<Entry>) {
        while let Ok(first) = lines.recv() {
            let (mut bytes, mut count, mut written) = (Vec::new(), 0, Vec::new());
            for entry in std::iter::once(first).chain(lines.try_iter().take(BATCH)) {
                match entry {
                    Entry::Line(line) => {
                        // A line holds texts and a number, so it can be serialized.
                        if serde_json::to_writer(&mut bytes, &line).is_ok() {
                            bytes.push(b'\n');
                            count += 1;
                        }
                    }
                    Entry::Flush(answer) => written.push(answer),
                }
            }
            match self.write(&bytes) {
                Ok(()) if count > 0 => self.log_lost(),
                Ok(()) => {}
                Err(_) => {
                    self.lost.fetch_add(count, Ordering::Relaxed);
                    self.file = None;
                }
            }
            for answer in written {
                // The other side may have lost its patience.
                let _ = answer.try_send(());
            }
        }
    }

    /// Says in the log how many lines are missing from the files.
    fn log_lost(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(
                lost,
                "lines of the log are missing from its file, because they could not be written in time"
            );
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.size > 0 && self.size + bytes.len() as u64 > self.half {
            self.file = None;
            let _names = self.names.write().unwrap_or_else(PoisonError::into_inner);
            fs::rename(self.folder.join(NEWEST), self.folder.join(OLDER))?;
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.reopen()?,
        };
        file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<File> {
        let mut file =
            OpenOptions::new().create(true).append(true).mode(0o600).open(self.folder.join(NEWEST))?;
        self.size = file.metadata()?.len();
        if self.size > 0 {
            // The last line may have been torn.
            file.write_all(b"\n")?;
            self.size += 1;
        }
        Ok(file)
    }
}
