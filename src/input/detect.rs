//! Detects the encoding of a text: from its byte order mark, or by reading the whole text once.

use std::io::{self, Read, Seek, SeekFrom};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

use super::fault::InputError;
use super::options::NamedEncoding;
use super::position::Position;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DetectedEncoding {
    pub(super) encoding: &'static Encoding,
    /// The length of the byte order mark in bytes.
    pub(super) mark: u64,
}

/// Detects the encoding and returns to the start of the text.
pub(super) fn detect<R: Read + Seek>(
    source: &mut R,
    named: Option<NamedEncoding>,
) -> Result<DetectedEncoding, InputError> {
    let failed = |error: io::Error| InputError::whole(format!("it cannot be read: {error}"));
    let mut head = [0; 8];
    let length = read_some(source, &mut head).map_err(failed)?;
    let head = &head[..length];
    no_text(head)?;
    let found = if let Some(found) = marked(head)? {
        agreed(found, named)?
    } else {
        let encoding = if let Some(NamedEncoding::One(encoding)) = named {
            encoding
        } else {
            source.seek(SeekFrom::Start(0)).map_err(failed)?;
            TextStatistics::of(source).map_err(failed)?.encoding(named)?
        };
        DetectedEncoding { encoding, mark: 0 }
    };
    source.seek(SeekFrom::Start(found.mark)).map_err(failed)?;
    Ok(found)
}

fn read_some(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Refuses content that is not text, by its first bytes.
fn no_text(head: &[u8]) -> Result<(), InputError> {
    let what = match head {
        [b'P', b'K', 3, 4, ..] => {
            "it is an Excel workbook (or another ZIP archive), not text; give it the ending .xlsx, or save it as CSV"
        }
        [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            "it is an old Excel workbook (.xls) or one with a password, not text; save it as .xlsx without \
             a password, or as CSV"
        }
        [b'%', b'P', b'D', b'F', ..] => "it is a PDF, not text",
        [0x1f, 0x8b, ..] => "it is compressed (gzip); unpack it first",
        _ => return Ok(()),
    };
    Err(InputError::whole(what))
}

/// Returns the encoding of the byte order mark.
fn marked(head: &[u8]) -> Result<Option<DetectedEncoding>, InputError> {
    let found = |encoding, mark| Ok(Some(DetectedEncoding { encoding, mark }));
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            Err(InputError::whole("it is in UTF-32, which Mooncast does not read; save it as UTF-8"))
        }
        [0xef, 0xbb, 0xbf, ..] => found(UTF_8, 3),
        [0xff, 0xfe, ..] => found(UTF_16LE, 2),
        [0xfe, 0xff, ..] => found(UTF_16BE, 2),
        [0x84, 0x31, 0x95, 0x33, ..] => found(GB18030, 4),
        _ => Ok(None),
    }
}

/// Checks the byte order mark against the requested encoding.
fn agreed(found: DetectedEncoding, named: Option<NamedEncoding>) -> Result<DetectedEncoding, InputError> {
    match named {
        None => Ok(found),
        Some(NamedEncoding::Utf16) if found.encoding != UTF_8 && found.encoding != GB18030 => Ok(found),
        Some(NamedEncoding::One(encoding)) if encoding == found.encoding => Ok(found),
        Some(named) => {
            let named = match named {
                NamedEncoding::Utf16 => "UTF-16",
                NamedEncoding::One(encoding) => encoding.name(),
            };
            Err(InputError::whole(format!(
                "it begins with the mark of {}, but `encoding` says {named}; leave `encoding` out",
                found.encoding.name()
            )))
        }
    }
}

/// Statistics of a text without a byte order mark.
#[derive(Default)]
struct TextStatistics {
    bytes: u64,
    nuls: u64,
    /// Two-byte units that are an ASCII character with its low byte first.
    low_first: u64,
    /// Two-byte units that are an ASCII character with its high byte first.
    high_first: u64,
    /// Characters of several bytes in UTF-8.
    long: u64,
    /// Bytes that are not UTF-8.
    broken: u64,
    /// The line and the character of the first byte that is not UTF-8.
    first_broken: Option<(u64, u64)>,
    /// Runs of bytes over 127.
    runs: u64,
    /// Runs of bytes over 127 that are also common Chinese characters in GB18030.
    double_runs: u64,
    /// Runs of common Chinese characters and signs in GB18030.
    common_runs: u64,
    /// The number of bytes over 127.
    high: u64,
    /// The current line.
    line: u64,
    /// Whether the last character was a carriage return.
    after_return: bool,
    /// The first line with a run that is at least two UTF-8 characters of three bytes each, and nothing else.
    utf8_line: Option<u64>,
    /// The text from its first byte over 127 on.
    sample: Vec<u8>,
}

/// The most bytes for a guess of the encoding. A guess costs more than all other processing of a text.
const SAMPLE: usize = 1 << 20;

/// The bytes before the first one over 127 that the sample includes.
const BEFORE: usize = 64;

/// With at most this number of bytes over 127, a guess by frequency is unreliable.
const SHORT: u64 = 24;

impl TextStatistics {
    fn of(source: &mut impl Read) -> io::Result<Self> {
        let mut seen = Self::default();
        let mut position = Position::default();
        let mut run: Vec<u8> = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        let mut kept = 0;
        loop {
            let read = read_some(source, &mut buffer[kept..])?;
            let last = read == 0 || kept + read < buffer.len();
            let fresh = &buffer[kept..kept + read];
            seen.count(fresh, &mut run);
            seen.keep(fresh);
            let all = kept + read;
            kept = seen.validate(&buffer[..all], last, &mut position);
            buffer.copy_within(all - kept..all, 0);
            if last {
                break;
            }
        }
        seen.end_run(&mut run);
        Ok(seen)
    }

    /// Keeps the sample for the guess, which starts shortly before the first byte over 127 and has a limited size.
    fn keep(&mut self, fresh: &[u8]) {
        let left = SAMPLE - self.sample.len();
        let begins =
            if self.sample.is_empty() { fresh.iter().position(|byte| *byte >= 0x80) } else { Some(0) };
        if let Some(begins) = begins.filter(|_| left > 0) {
            let begins = begins.saturating_sub(BEFORE);
            self.sample.extend(fresh[begins..].iter().take(left));
        }
    }

    /// Returns the likeliest encoding, in general and among Chinese encodings.
    fn guess(&self) -> (&'static Encoding, &'static Encoding) {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(&self.sample, self.sample.len() < SAMPLE);
        let guess = |domain| detector.guess(domain, Utf8Detection::Deny);
        (guess(None), guess(Some(b"cn".as_slice())))
    }

    fn count(&mut self, fresh: &[u8], run: &mut Vec<u8>) {
        for &byte in fresh {
            if byte == 0 {
                self.nuls += 1;
            }
            if byte >= 0x80 {
                self.high += 1;
                run.push(byte);
                if run.len() == 4096 {
                    self.end_run(run);
                }
            } else if !run.is_empty() {
                self.end_run(run);
            }
            self.line += u64::from(byte == b'\r' || byte == b'\n' && !self.after_return);
            self.after_return = byte == b'\r';
        }
        if self.nuls > 0 || self.bytes == 0 {
            // Units start at even positions, since all blocks but the last have an even length.
            for unit in fresh.chunks_exact(2) {
                match *unit {
                    [1..=0x7f, 0] => self.low_first += 1,
                    [0, 1..=0x7f] => self.high_first += 1,
                    _ => {}
                }
            }
        }
        self.bytes += fresh.len() as u64;
    }

    /// Ends a run of bytes over 127 and classifies it: letters in both UTF-8 and GB18030, or common Chinese
    /// characters.
    fn end_run(&mut self, run: &mut Vec<u8>) {
        if run.is_empty() {
            return;
        }
        self.runs += 1;
        let all = |fits: fn(u8, u8) -> bool| {
            run.len().is_multiple_of(2) && run.chunks_exact(2).all(|pair| fits(pair[0], pair[1]))
        };
        let both = run.len() >= 4
            && all(|first, second| matches!(first, 0xc2..=0xd7) && matches!(second, 0xa1..=0xbf));
        let common =
            all(|first, second| matches!(first, 0xa1..=0xa9 | 0xb0..=0xd7) && matches!(second, 0xa1..=0xfe));
        let is_utf8 = run.len() >= 6
            && run.len().is_multiple_of(3)
            && run.chunks_exact(3).all(|part| {
                matches!(part[0], 0xe2..=0xe9 | 0xef)
                    && matches!(part[1], 0x80..=0xbf)
                    && matches!(part[2], 0x80..=0xbf)
            });
        if is_utf8 {
            self.utf8_line.get_or_insert(self.line + 1);
        }
        self.double_runs += u64::from(both);
        self.common_runs += u64::from(common);
        run.clear();
    }

    /// Checks for UTF-8. Returns how many bytes at the end belong to an incomplete character.
    fn validate(&mut self, mut bytes: &[u8], last: bool, position: &mut Position) -> usize {
        loop {
            let (valid, broken) = match std::str::from_utf8(bytes) {
                Ok(valid) => (valid.len(), Some(0)),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            let (good, rest) = bytes.split_at(valid);
            self.long += good.iter().filter(|byte| **byte >= 0xc0).count() as u64;
            if self.first_broken.is_none() {
                position.pass(good);
            }
            let skipped = match broken {
                Some(0) => return 0,
                Some(length) => length,
                None if last => rest.len(),
                None => return rest.len(),
            };
            self.broken += 1;
            self.first_broken.get_or_insert((position.line, position.column));
            bytes = &rest[skipped..];
        }
    }

    fn encoding(&self, named: Option<NamedEncoding>) -> Result<&'static Encoding, InputError> {
        if self.nuls > 0 || named.is_some_and(NamedEncoding::is_utf16) {
            return self.utf16();
        }
        if self.broken == 0 {
            if self.runs > 0 && self.runs == self.double_runs {
                return Err(InputError::whole(
                    "its text can be read as UTF-8 and as GB18030; say which: `encoding = \"utf-8\"` or `encoding = \"gb18030\"`",
                ));
            }
            return Ok(UTF_8);
        }
        // UTF-8 with a fault in it is no other encoding. The decoder then reports where the fault is.
        if self.long > self.broken {
            return Ok(UTF_8);
        }
        if let Some(line) = self.utf8_line {
            return Err(InputError::line(
                line,
                "the text here is UTF-8, and elsewhere it is not; were two files put together? Save all of it as UTF-8, or say what it is, for example `encoding = \"gb18030\"`",
            ));
        }
        let (guess, chinese) = self.guess();
        let common = self.runs == self.common_runs && self.high <= SHORT;
        if guess == GBK || chinese == GBK && common {
            return Ok(GB18030);
        }
        let guess = if chinese == GBK && self.high <= SHORT { GB18030 } else { guess };
        let (line, column) = self.first_broken.unwrap_or((1, 1));
        let likely = match guess {
            guess if guess == GB18030 => String::new(),
            guess => format!(
                " (it may be {}: `encoding = \"{}\"`)",
                guess.name(),
                guess.name().to_ascii_lowercase()
            ),
        };
        Err(InputError::at(
            line,
            format!("character {column}"),
            format!(
                "the text is not UTF-8, and it is not certain to be GB18030{likely}; save it as UTF-8, or say what it is: `encoding = \"gb18030\"` for simplified Chinese, `\"big5\"` for traditional Chinese, `\"shift_jis\"` for Japanese, `\"windows-1252\"` for Western European text"
            ),
        ))
    }

    /// Decides the byte order of UTF-16 without a mark by its ASCII characters.
    fn utf16(&self) -> Result<&'static Encoding, InputError> {
        if self.nuls * 3 >= self.bytes * 2 {
            return Err(InputError::whole("it is in UTF-32, which Mooncast does not read; save it as UTF-8"));
        }
        let units = self.bytes / 2;
        let certain =
            |more: u64, less: u64| self.bytes.is_multiple_of(2) && more * 5 >= units && more > less * 4;
        if certain(self.low_first, self.high_first) {
            Ok(UTF_16LE)
        } else if certain(self.high_first, self.low_first) {
            Ok(UTF_16BE)
        } else {
            Err(InputError::whole(
                "it holds zero bytes and is not text in a known encoding; save it as UTF-8",
            ))
        }
    }
}
