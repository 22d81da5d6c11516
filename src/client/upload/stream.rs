//! Reads a file's bytes by position. Each reader has its own position in the file, so that an abandoned reader cannot
//! disturb the next one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::Stream;

use crate::client::transport::BytesWritten;

/// The bytes that are read at once: enough to make the switch to another thread cheap.
const CHUNK: u64 = 256 * 1024;

/// The error when the file has changed since the upload began.
#[derive(Debug, thiserror::Error)]
pub(in crate::client) enum FileChangedError {
    #[error("the file shrank while it was being uploaded")]
    Shrank,
    #[error("the file grew while it was being uploaded")]
    Grew,
    #[error("the file could not be read while it was being uploaded: {0}")]
    Unreadable(io::Error),
}

pub(super) struct UploadProgress {
    flow: BytesWritten,
    report: Arc<dyn Fn(u64) + Send + Sync>,
}

impl UploadProgress {
    pub(super) fn new(flow: BytesWritten, report: Arc<dyn Fn(u64) + Send + Sync>) -> Self {
        Self { flow, report }
    }

    fn report(&self, sent: u64) {
        self.flow.store(sent, Ordering::Relaxed);
        (self.report)(sent);
    }
}

/// Streams the `len` bytes of `file`. The bytes read before count as sent when the library asks for more.
pub(super) fn stream(
    file: Arc<File>,
    len: u64,
    progress: UploadProgress,
) -> impl Stream<Item = Result<Bytes, FileChangedError>> + Send {
    futures_util::stream::try_unfold((file, 0, progress), move |(file, sent, progress)| async move {
        progress.report(sent);
        if sent == len {
            return Ok(None);
        }
        let reading = Arc::clone(&file);
        let chunk = tokio::task::spawn_blocking(move || read_chunk(&reading, sent, len)).await;
        let chunk =
            chunk.map_err(|_| FileChangedError::Unreadable(io::Error::other("the reader stopped")))??;
        let sent = sent + chunk.len() as u64;
        if sent == len {
            // The library does not ask again once it has all the bytes that it announced.
            progress.report(sent);
        }
        Ok(Some((chunk, (file, sent, progress))))
    })
}

/// Reads the chunk at `offset`. The last chunk is returned only if the file ends with it, because a request whose
/// announced bytes are all written could not be taken back.
fn read_chunk(file: &File, offset: u64, len: u64) -> Result<Bytes, FileChangedError> {
    let wanted = CHUNK.min(len - offset);
    let mut chunk = vec![0; usize::try_from(wanted).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut chunk, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FileChangedError::Shrank,
        _ => FileChangedError::Unreadable(error),
    })?;
    if offset + wanted == len && file.read_at(&mut [0], len).map_err(FileChangedError::Unreadable)? > 0 {
        return Err(FileChangedError::Grew);
    }
    Ok(chunk.into())
}

/// A reader with its own position in a shared file.
pub(super) struct SharedFileReader {
    file: Arc<File>,
    len: u64,
    at: u64,
}

impl SharedFileReader {
    pub(super) fn new(file: Arc<File>, len: u64) -> Self {
        Self { file, len, at: 0 }
    }
}

impl Read for SharedFileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for SharedFileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use futures_util::{StreamExt, TryStreamExt};

    use super::*;
    use crate::clock::Clock;

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    fn quiet() -> UploadProgress {
        UploadProgress::new(BytesWritten::default(), Arc::new(|_| ()))
    }

    #[test]
    fn gives_every_byte_and_says_how_far_it_is() {
        let bytes: Vec<u8> = (0..600_000_u32).map(|i| (i % 251) as u8).collect();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let reported = Arc::clone(&seen);
        let progress = UploadProgress::new(
            BytesWritten::default(),
            Arc::new(move |sent| reported.lock().unwrap().push(sent)),
        );
        let stream = stream(file(&bytes), 600_000, progress);
        let chunks: Vec<Bytes> = Clock::real().block_on(stream.try_collect()).unwrap().unwrap();
        assert_eq!(chunks.concat(), bytes);
        let mut seen = seen.lock().unwrap().clone();
        seen.dedup();
        assert_eq!(seen, [0, CHUNK, 2 * CHUNK, 600_000]);
    }

    #[test]
    fn a_file_that_changes_is_an_error_before_its_last_byte() {
        for (grows, len) in [(true, 4), (false, 6)] {
            let mut stream = std::pin::pin!(stream(file(b"12345"), len, quiet()));
            let first = Clock::real().block_on(stream.next()).unwrap().unwrap().unwrap_err();
            assert_eq!(matches!(first, FileChangedError::Grew), grows, "{first}");
        }
    }

    #[test]
    fn a_reader_has_its_own_position() {
        let file = file(b"0123456789");
        let (mut one, mut two) =
            (SharedFileReader::new(Arc::clone(&file), 10), SharedFileReader::new(file, 10));
        one.seek(SeekFrom::End(-3)).unwrap();
        let (mut tail, mut whole) = (String::new(), String::new());
        one.read_to_string(&mut tail).unwrap();
        two.read_to_string(&mut whole).unwrap();
        assert_eq!((tail.as_str(), whole.as_str()), ("789", "0123456789"));
        assert!(two.seek(SeekFrom::Current(-11)).is_err());
    }
}
