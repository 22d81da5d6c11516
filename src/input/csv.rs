//! Strict CSV: text that programs read differently is refused, not guessed.
//!
//! A cell that begins with a quote ends with one, and a quote inside it is doubled. Other cells contain no quotes.
//! CR, LF and CR LF end a row. The `csv` crate, Python's `csv` and Excel read accepted text in the same way.

use super::LONGEST;
use super::fault::{InputError, column};
use super::text::BlockSource;

/// A row.
#[derive(Debug, Default, Clone)]
pub(super) struct CsvRecord {
    text: Vec<u8>,
    /// The end of each cell, and whether the cell is quoted.
    cells: Vec<(usize, bool)>,
    /// The line that the row begins in.
    pub(super) line: u64,
}

impl CsvRecord {
    pub(super) const fn len(&self) -> usize {
        self.cells.len()
    }

    /// A cell's text.
    pub(super) fn get(&self, index: usize) -> Option<&str> {
        let (end, _) = *self.cells.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.cells[before].0);
        std::str::from_utf8(&self.text[start..end]).ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// Returns the indices of the quoted cells that contain a line break.
    pub(super) fn broken_cells(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|&index| {
            self.cells[index].1 && self.get(index).is_some_and(|cell| cell.contains(['\n', '\r']))
        })
    }

    /// Whether no cell has any text.
    pub(super) fn is_blank(&self) -> bool {
        self.text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            || self.iter().all(|cell| cell.trim().is_empty())
    }

    fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    fn end_cell(&mut self, quoted: bool) {
        self.cells.push((self.text.len(), quoted));
    }
}

/// The result of reading a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CsvEvent {
    Row,
    /// A row with a fault that ends with the row.
    Bad(InputError),
    End,
}

/// Reads rows from a text.
pub(super) struct CsvRowReader<S> {
    pub(super) source: S,
    separator: u8,
    /// The next line.
    line: u64,
    /// Whether the last row ended with CR. An LF right after it belongs to it.
    after_return: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CsvState {
    CellStart,
    Plain,
    Quoted,
    /// After a quote within quotes: the end of the cell, or the first half of a doubled quote.
    Quote,
}

impl<S: BlockSource> CsvRowReader<S> {
    pub(super) const fn new(source: S, separator: u8, line: u64) -> Self {
        Self { source, separator, line, after_return: false }
    }

    pub(super) const fn separator(&self) -> u8 {
        self.separator
    }

    /// Reads the next row. Nothing can be read after a fault.
    pub(super) fn read(&mut self, record: &mut CsvRecord, names: &[String]) -> Result<CsvEvent, InputError> {
        record.clear();
        self.skip_feed()?;
        record.line = self.line;
        let (mut at, mut opened, mut stray, mut returned) = (CsvState::CellStart, self.line, None, false);
        loop {
            let block = self.source.block()?;
            if block.is_empty() {
                return end(record, at, opened, stray, names);
            }
            let (mut used, mut ended) = (0, false);
            for &byte in block {
                used += 1;
                match (at, byte) {
                    (CsvState::Quoted, b'"') => at = CsvState::Quote,
                    (CsvState::Quoted, _) => {
                        if byte == b'\n' && !returned || byte == b'\r' {
                            self.line += 1;
                        }
                        returned = byte == b'\r';
                        record.text.push(byte);
                    }
                    (CsvState::Quote, b'"') => {
                        record.text.push(byte);
                        (at, returned) = (CsvState::Quoted, false);
                    }
                    (_, b'\n' | b'\r') => {
                        self.line += 1;
                        self.after_return = byte == b'\r';
                        ended = true;
                        break;
                    }
                    (_, byte) if byte == self.separator => {
                        record.end_cell(at == CsvState::Quote);
                        at = CsvState::CellStart;
                    }
                    (CsvState::CellStart, b'"') => {
                        (at, opened, returned) = (CsvState::Quoted, self.line, false);
                    }
                    (CsvState::Quote, _) => return Err(after_quote(record, opened, self.line, names)),
                    (_, byte) => {
                        if byte == b'"' && stray.is_none() {
                            stray = Some(record.len());
                        }
                        at = CsvState::Plain;
                        record.text.push(byte);
                    }
                }
            }
            self.source.consume(used);
            if ended {
                record.end_cell(at == CsvState::Quote);
                return Ok(finished(record, stray, names));
            }
            if record.text.len() > LONGEST {
                return Err(too_long(record, at, opened, names));
            }
        }
    }

    fn skip_feed(&mut self) -> Result<(), InputError> {
        if self.after_return {
            self.after_return = false;
            if self.source.block()?.first() == Some(&b'\n') {
                self.source.consume(1);
            }
        }
        Ok(())
    }
}

fn end(
    record: &mut CsvRecord,
    at: CsvState,
    opened: u64,
    stray: Option<usize>,
    names: &[String],
) -> Result<CsvEvent, InputError> {
    match at {
        CsvState::Quoted => Err(InputError::at(
            opened,
            position(record, names),
            "a quote opens here and is never closed, so all that follows is in this cell; remove the quote, \
             or double it if it is part of the text",
        )),
        CsvState::CellStart if record.len() == 0 => Ok(CsvEvent::End),
        _ => {
            record.end_cell(at == CsvState::Quote);
            Ok(finished(record, stray, names))
        }
    }
}

fn finished(record: &CsvRecord, stray: Option<usize>, names: &[String]) -> CsvEvent {
    let Some(index) = stray else { return CsvEvent::Row };
    let cell = crate::message::quoted(record.get(index).unwrap_or_default());
    CsvEvent::Bad(InputError::at(
        record.line,
        column(index, names.get(index).map(String::as_str)),
        format!(
            "a quote stands inside the cell {cell}; put the whole cell in quotes and write the quote twice, or remove it"
        ),
    ))
}

fn position(record: &CsvRecord, names: &[String]) -> String {
    column(record.len(), names.get(record.len()).map(String::as_str))
}

fn after_quote(record: &CsvRecord, opened: u64, line: u64, names: &[String]) -> InputError {
    let closes = if line == opened { String::new() } else { format!(" in line {line}") };
    InputError::at(
        opened,
        position(record, names),
        format!(
            "a quote opens here, and there is text after the quote that closes it{closes}; remove the \
             quote, or double it if it is part of the text"
        ),
    )
}

fn too_long(record: &CsvRecord, at: CsvState, opened: u64, names: &[String]) -> InputError {
    if matches!(at, CsvState::Quoted | CsvState::Quote) {
        let what = format!(
            "a quote opens here and is not closed within {LONGEST} bytes; remove it if it does not belong here"
        );
        return InputError::at(opened, position(record, names), what);
    }
    InputError::line(record.line, format!("longer than {LONGEST} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(u64, Vec<String>)>, String> {
        let mut records = CsvRowReader::new(text.as_bytes(), b',', 1);
        let (mut record, mut all) = (CsvRecord::default(), Vec::new());
        loop {
            match records.read(&mut record, &[]).map_err(|fault| fault.to_string())? {
                CsvEvent::Row => all.push((record.line, record.iter().map(str::to_owned).collect())),
                CsvEvent::Bad(fault) => return Err(fault.to_string()),
                CsvEvent::End => return Ok(all),
            }
        }
    }

    #[test]
    fn rows_and_their_lines() {
        let row =
            |line, cells: &[&str]| (line, cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>());
        for (text, rows) in [
            ("", vec![]),
            ("a", vec![row(1, &["a"])]),
            ("a\n", vec![row(1, &["a"])]),
            ("a,\r\n,b\r\n", vec![row(1, &["a", ""]), row(2, &["", "b"])]),
            ("a\rb\r\rc", vec![row(1, &["a"]), row(2, &["b"]), row(3, &[""]), row(4, &["c"])]),
            ("\n\na", vec![row(1, &[""]), row(2, &[""]), row(3, &["a"])]),
            ("\"a\r\nb\",\"\"\"\"\r\nc", vec![row(1, &["a\r\nb", "\""]), row(3, &["c"])]),
            ("\"a\rb\nc\"\n\"\"\n", vec![row(1, &["a\rb\nc"]), row(4, &[""])]),
        ] {
            assert_eq!(all(text), Ok(rows), "{text:?}");
        }
    }

    #[test]
    fn a_quote_in_the_wrong_place_is_named_with_its_line() {
        for (text, says) in [
            ("a\nb\"c\n", "line 2, column 1: a quote stands inside the cell \"b\"c\""),
            ("a, \"b\"\n", "line 1, column 2: a quote stands inside the cell"),
            ("a\nb,\"c\nd\n", "line 2, column 2: a quote opens here and is never closed"),
            (
                "a\n\"b\"c\n",
                "line 2, column 1: a quote opens here, and there is text after the quote that closes it;",
            ),
            (
                "a\n\"b\nc\" \n",
                "line 2, column 1: a quote opens here, and there is text after the quote that closes it in line 3",
            ),
        ] {
            let error = all(text).unwrap_err();
            assert!(error.starts_with(says), "{text:?}: {error}");
        }
    }
}
