//! Reads a history file: gzip, one JSON object a line.

use std::io::{BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use super::{MessageRecord, RecordError};

/// The most bytes of a line. A longer one ends the reading, so a small file cannot expand into much memory.
const LINE_BYTES: u64 = 1024 * 1024;

/// The most bytes of a file after decompression.
const FILE_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// The bad lines that a summary describes.
const TOLD_LINES: usize = 10;

/// Reads the messages to groups from a history file, one after another. It holds one line at a time.
///
/// Reading blocks: use a thread where that is allowed. After the last record, [`HistoryReader::finish`] tells whether the
/// file was whole.
///
/// ```ignore
/// let mut history = HistoryReader::new(file);
/// for record in &mut history {
///     note(record);
/// }
/// let summary = history.finish();
/// ```
#[derive(Debug)]
pub struct HistoryReader<R> {
    text: BufReader<MultiGzDecoder<R>>,
    line: Vec<u8>,
    bytes: u64,
    lines: u64,
    records: u64,
    bad: u64,
    first_bad: Vec<BadLine>,
    end: Option<HistoryEnd>,
}

/// How the reading of a history file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEnd {
    /// The file was read up to the trailer of the gzip stream, and its checksum is right.
    Whole,
    /// The file ends before the trailer, or the reading stopped before the end of the file.
    CutOff,
    /// The file is not gzip, its checksum is wrong, or it could not be read: what went wrong.
    Damaged(String),
    /// A line is longer than 1,048,576 bytes: its number, from 1.
    LineTooLong(u64),
    /// The file has more than 68,719,476,736 bytes after decompression.
    TooLarge,
}

/// A line that is not a record of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// From 1.
    pub line: u64,
    pub error: RecordError,
}

/// The result of reading a history file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistorySummary {
    /// Lines that were read, blank ones included.
    pub lines: u64,
    /// Lines about messages to groups.
    pub records: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// The first 10 of them.
    pub first_bad: Vec<BadLine>,
    pub end: HistoryEnd,
}

impl HistorySummary {
    /// Whether a message that was not among the records is not in the file: the file was whole and each line readable.
    pub fn proves_absence(&self) -> bool {
        self.end == HistoryEnd::Whole && self.bad == 0
    }
}

impl<R: BufRead> HistoryReader<R> {
    /// `gzip` is the file as the service sends it.
    pub fn new(gzip: R) -> Self {
        Self {
            text: BufReader::with_capacity(64 * 1024, MultiGzDecoder::new(gzip)),
            line: Vec::new(),
            bytes: 0,
            lines: 0,
            records: 0,
            bad: 0,
            first_bad: Vec::new(),
            end: None,
        }
    }

    /// Returns what was read. Without the end of the file this is [`HistoryEnd::CutOff`].
    pub fn finish(self) -> HistorySummary {
        HistorySummary {
            lines: self.lines,
            records: self.records,
            bad: self.bad,
            first_bad: self.first_bad,
            end: self.end.unwrap_or(HistoryEnd::CutOff),
        }
    }

    /// Reads the next line into `self.line`.
    fn read_line(&mut self) -> Result<(), HistoryEnd> {
        self.line.clear();
        let read = self.text.by_ref().take(LINE_BYTES + 1).read_until(b'\n', &mut self.line);
        self.bytes += read.map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => HistoryEnd::CutOff,
            _ => HistoryEnd::Damaged(error.to_string()),
        })? as u64;
        if self.line.is_empty() {
            return Err(HistoryEnd::Whole);
        }
        self.lines += 1;
        if self.line.pop_if(|byte| *byte == b'\n').is_none() && self.line.len() as u64 > LINE_BYTES {
            return Err(HistoryEnd::LineTooLong(self.lines));
        }
        if self.bytes > FILE_BYTES { Err(HistoryEnd::TooLarge) } else { Ok(()) }
    }
}

impl<R: BufRead> Iterator for HistoryReader<R> {
    type Item = MessageRecord;

    fn next(&mut self) -> Option<MessageRecord> {
        while self.end.is_none() {
            if let Err(end) = self.read_line() {
                self.end = Some(end);
                break;
            }
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            match MessageRecord::of_history_line(&self.line) {
                Ok(None) => {}
                Ok(Some(record)) => {
                    self.records += 1;
                    return Some(record);
                }
                Err(error) => {
                    self.bad += 1;
                    if self.first_bad.len() < TOLD_LINES {
                        self.first_bad.push(BadLine { line: self.lines, error });
                    }
                }
            }
        }
        None
    }
}
