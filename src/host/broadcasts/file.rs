//! The recipients of a file, read page by page: CSV by its header, JSON as a list, JSONL as a value a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use crate::protocol::Failure;

/// The most bytes of one recipient: far more than any has, far less than would hurt.
const LONGEST: u64 = 1 << 20;

/// A recipient and its line, or what is wrong with that line.
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) value: Result<Value, String>,
}

/// An open file of recipients.
pub(super) enum Lines {
    Csv { reader: csv::Reader<Capped>, header: Vec<String> },
    Jsonl { reader: BufReader<File>, line: u64 },
    Json { reader: BufReader<File>, line: u64, at: At },
}

/// Where in a JSON file the reader is.
pub(super) enum At {
    Before,
    Inside,
    After,
}

impl Lines {
    /// Refuses a name whose end says none of the three.
    pub(super) fn check_name(path: &str) -> Result<(), Failure> {
        match extension(path).as_str() {
            "csv" | "jsonl" | "json" => Ok(()),
            _ => Err(Failure::invalid(
                "to",
                format!("`{path}`: recipients come from a .csv, .json or .jsonl file"),
            )),
        }
    }

    /// Opens a file by the end of its name.
    pub(super) fn open(path: &str, file: File) -> Result<Self, Failure> {
        Self::check_name(path)?;
        match extension(path).as_str() {
            "csv" => Self::csv(path, file),
            "jsonl" => Ok(Self::Jsonl { reader: BufReader::new(file), line: 0 }),
            _ => Ok(Self::Json { reader: BufReader::new(file), line: 1, at: At::Before }),
        }
    }

    fn csv(path: &str, file: File) -> Result<Self, Failure> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(Capped { file, since: 0 });
        let header: Vec<String> = match reader.headers() {
            Ok(header) => {
                header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect()
            }
            Err(error) => {
                let error = unclosed(error, 1);
                return Err(Failure::invalid("to", format!("`{path}`: its header cannot be read: {error}")));
            }
        };
        if !header.iter().any(|name| name == "group_id") {
            let names = header.join(", ");
            return Err(Failure::invalid(
                "to",
                format!("`{path}`: line 1: the header has no column `group_id`; it has: {names}"),
            ));
        }
        Ok(Self::Csv { reader, header })
    }

    /// The names of its columns, where it has a header.
    pub(super) fn header(&self) -> Option<&[String]> {
        match self {
            Self::Csv { header, .. } => Some(header),
            Self::Jsonl { .. } | Self::Json { .. } => None,
        }
    }

    /// The next recipients, at the most so many; fewer only at the end.
    pub(super) fn page(&mut self, most: usize) -> io::Result<Vec<Line>> {
        let mut page = Vec::with_capacity(most);
        while page.len() < most {
            match self.next()? {
                Some(line) => page.push(line),
                None => break,
            }
        }
        Ok(page)
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        match self {
            Self::Csv { reader, header } => csv_row(reader, header),
            Self::Jsonl { reader, line } => json_line(reader, line),
            Self::Json { reader, line, at } => json_item(reader, line, at),
        }
    }
}

fn extension(path: &str) -> String {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    extension.unwrap_or_default().to_ascii_lowercase()
}

/// A file of which only so much is read for one record: a quote that is not closed would take all of it.
pub(super) struct Capped {
    file: File,
    /// Bytes read for this record.
    since: u64,
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since >= LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.file.read(buffer)?;
        self.since += count as u64;
        Ok(count)
    }
}

fn csv_row(reader: &mut csv::Reader<Capped>, header: &[String]) -> io::Result<Option<Line>> {
    reader.get_mut().since = 0;
    let begins = reader.position().line();
    let mut row = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut row).map_err(|error| unclosed(error, begins))? {
        return Ok(None);
    }
    let number = row.position().map_or(0, csv::Position::line);
    let value = if row.len() == header.len() {
        let fields: Option<Map<String, Value>> = header
            .iter()
            .zip(&row)
            .map(|(name, field)| Some((name.clone(), Value::from(std::str::from_utf8(field).ok()?))))
            .collect();
        fields.map(Value::Object).ok_or_else(|| "it holds bytes that are not UTF-8".to_owned())
    } else {
        Err(format!("it has {} fields where the header has {}", row.len(), header.len()))
    };
    Ok(Some(Line { number, value }))
}

fn json_line(reader: &mut BufReader<File>, line: &mut u64) -> io::Result<Option<Line>> {
    loop {
        let mut bytes = Vec::new();
        if reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        *line += 1;
        if bytes.len() as u64 == LONGEST && bytes.last() != Some(&b'\n') {
            return Err(too_long(*line));
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii();
        if !text.is_empty() {
            let value = serde_json::from_slice(text).map_err(|error| format!("it is not JSON: {error}"));
            return Ok(Some(Line { number: *line, value }));
        }
    }
}

/// The next item of a JSON list, found by its brackets and quotes alone.
fn json_item(reader: &mut BufReader<File>, line: &mut u64, at: &mut At) -> io::Result<Option<Line>> {
    let malformed = |line: u64, what: &str| io::Error::other(format!("line {line}: {what}"));
    let (mut item, mut depth, mut quoted, mut escaped) = (Vec::new(), 0_u32, false, false);
    let mut number = *line;
    if matches!(at, At::After) {
        return Ok(None);
    }
    loop {
        let mut byte = [0];
        if reader.read(&mut byte)? == 0 {
            return Err(malformed(number, "the list ends without its `]`"));
        }
        let byte = byte[0];
        if byte == b'\n' {
            *line += 1;
        }
        if matches!(at, At::Before) {
            match byte {
                b'[' => {
                    *at = At::Inside;
                    number = *line;
                }
                b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf => {}
                _ => return Err(malformed(*line, "the file is no JSON list of recipients")),
            }
            continue;
        }
        let ends = depth == 0 && !quoted && matches!(byte, b',' | b']');
        if ends {
            if byte == b']' {
                *at = At::After;
            }
            if item.is_empty() && byte == b']' {
                return Ok(None);
            }
            let value = serde_json::from_slice(&item).map_err(|error| format!("it is not JSON: {error}"));
            return Ok(Some(Line { number, value }));
        }
        if item.is_empty() && byte.is_ascii_whitespace() {
            number = *line;
            continue;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        item.push(byte);
        if item.len() as u64 >= LONGEST {
            return Err(too_long(number));
        }
    }
}

/// Names the line of a record that does not end.
fn unclosed(error: csv::Error, line: u64) -> io::Error {
    match error.kind() {
        csv::ErrorKind::Io(cause) if cause.kind() == io::ErrorKind::FileTooLarge => {
            io::Error::other(format!("{}; is a quote opened there that is not closed?", too_long(line)))
        }
        _ => io::Error::other(error),
    }
}

fn too_long(line: u64) -> io::Error {
    io::Error::other(format!("line {line}: longer than {LONGEST} bytes"))
}
