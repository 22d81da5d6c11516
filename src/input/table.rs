//! A table as text: its separator, its header and its rows.

use std::io::{Read, Seek};

use super::csv::{CsvEvent, CsvRecord, CsvRowReader};
use super::fault::InputError;
use super::options::AudienceOptions;
use super::text::{BlockSource, TextReader};
use super::{header, separator, swallowed};

/// The bytes of a text that the detection of its separator uses.
const SAMPLE: usize = 1 << 16;

/// A table that is open.
pub struct TableReader<R> {
    records: CsvRowReader<TextReader<R>>,
    record: CsvRecord,
    header: Option<Vec<String>>,
    /// The cells of each row. All rows must have as many as the first.
    width: Option<usize>,
    id: Option<usize>,
    rows: u64,
    blank: u64,
}

/// The result of reading a row.
#[derive(Debug, PartialEq, Eq)]
pub enum TableEvent {
    /// A row, with its line; [`TableReader::cells`] returns its cells.
    Good(u64),
    /// A row that cannot be used. Rows after it can.
    Bad(InputError),
    End,
}

impl<R: Read + Seek> TableReader<R> {
    /// Opens a table with or without a header. `id_column` is the column of ids, if one is wanted.
    pub fn open(
        source: R,
        options: &AudienceOptions,
        has_header: bool,
        id_column: Option<&str>,
    ) -> Result<Self, InputError> {
        let mut text = TextReader::open(source, options)?;
        let hinted = hint(&mut text)?;
        let separator = match (options.separator, hinted) {
            (Some(asked), _) => asked,
            (None, Some(hinted)) => hinted,
            (None, None) => {
                let sample = text.peek(SAMPLE)?.to_vec();
                separator::guess(&sample, text.is_ended(), id_column)?
            }
        };
        let line = if hinted.is_some() { 2 } else { 1 };
        let mut table = Self {
            records: CsvRowReader::new(text, separator, line),
            record: CsvRecord::default(),
            header: None,
            width: None,
            id: None,
            rows: 0,
            blank: 0,
        };
        if has_header {
            table.read_header(id_column, options)?;
        }
        Ok(table)
    }
}

impl<R: Read> TableReader<R> {
    fn read_header(&mut self, id_column: Option<&str>, options: &AudienceOptions) -> Result<(), InputError> {
        loop {
            match self.records.read(&mut self.record, &[])? {
                CsvEvent::Row if self.record.is_blank() => {}
                CsvEvent::Row => break,
                CsvEvent::Bad(fault) => return Err(fault),
                CsvEvent::End => {
                    if id_column.is_some() {
                        return Err(InputError::whole(
                            "it is empty; write the names of the columns into its first line",
                        ));
                    }
                    return Ok(());
                }
            }
        }
        let names = header::names(self.record.iter(), self.record.line)?;
        if let Some(wanted) = id_column {
            self.id = Some(header::id_column(&names, wanted, self.record.line)?);
            header::check_kind(&names, options, self.record.line)?;
        }
        self.width = Some(names.len());
        self.check_swallowed(&names)?;
        self.header = Some(names);
        Ok(())
    }

    fn check_swallowed(&self, names: &[String]) -> Result<(), InputError> {
        let (id, width) = (self.id.unwrap_or(0), self.width.unwrap_or(0));
        swallowed::check(&self.record, char::from(self.records.separator()), id, width, names)
    }

    /// Reads the next row. Rows without any text are skipped and counted.
    pub fn advance(&mut self) -> Result<TableEvent, InputError> {
        let names = self.header.as_deref().unwrap_or_default();
        loop {
            match self.records.read(&mut self.record, names)? {
                CsvEvent::End => return Ok(TableEvent::End),
                CsvEvent::Row if self.record.is_blank() => self.blank += 1,
                CsvEvent::Bad(fault) => {
                    self.rows += 1;
                    return Ok(TableEvent::Bad(fault));
                }
                CsvEvent::Row => break,
            }
        }
        self.check_swallowed(names)?;
        self.rows += 1;
        let (cells, width) = (self.record.len(), *self.width.get_or_insert(self.record.len()));
        if cells != width {
            let first = if self.header.is_some() { "the header" } else { "the first row" };
            let what = format!(
                "it has {cells} fields where {first} has {width}; a cell that holds a {} belongs in quotes",
                separator::name(self.records.separator())
            );
            return Ok(TableEvent::Bad(InputError::line(self.record.line, what)));
        }
        Ok(TableEvent::Good(self.record.line))
    }

    /// Returns the names of the columns. None for a table without a header.
    pub fn header(&self) -> Option<&[String]> {
        self.header.as_deref()
    }

    /// Returns the line of the header, or of the row that was read last.
    pub(super) const fn begins(&self) -> u64 {
        self.record.line
    }

    /// Returns the column of ids. None if none is wanted.
    pub const fn id(&self) -> Option<usize> {
        self.id
    }

    /// Returns the cells of the row that was read last.
    pub fn cells(&self) -> impl Iterator<Item = &str> {
        self.record.iter()
    }

    /// Returns the number of rows so far: those with text, faulty ones included, and those without any.
    pub const fn counts(&self) -> (u64, u64) {
        (self.rows, self.blank)
    }

    /// Returns the encoding, and the name of the separator.
    pub fn taken_for(&self) -> (&'static str, String) {
        (self.records.source.encoding(), separator::name(self.records.separator()))
    }
}

/// Reads the separator from a first line `sep=;`, which Excel writes and hides, and skips that line.
fn hint<R: Read>(text: &mut TextReader<R>) -> Result<Option<u8>, InputError> {
    let start = text.peek(8)?;
    let (separator, length) = match *start {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator, b'\r', b'\n', ..] => (separator, 7),
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', separator, b'\r' | b'\n', ..] => (separator, 6),
        _ => return Ok(None),
    };
    if !AudienceOptions::is_separator(separator) {
        return Ok(None);
    }
    text.consume(length);
    Ok(Some(separator))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    type Rows = Vec<(u64, Vec<String>)>;

    fn read(text: &str, id_column: Option<&str>) -> Result<(Rows, Vec<String>), String> {
        let source = Cursor::new(text.as_bytes().to_vec());
        let mut table = TableReader::open(source, &AudienceOptions::default(), true, id_column)
            .map_err(|fault| fault.to_string())?;
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        loop {
            match table.advance().map_err(|fault| fault.to_string())? {
                TableEvent::Good(line) => rows.push((line, table.cells().map(str::to_owned).collect())),
                TableEvent::Bad(fault) => bad.push(fault.to_string()),
                TableEvent::End => return Ok((rows, bad)),
            }
        }
    }

    #[test]
    fn lines_are_counted_as_editors_count_them() {
        let (rows, bad) =
            read("\r\ngroup_id,name\r\n\r\n1,\"a\nb\"\r\n, \n2\n3,c", Some("group_id")).unwrap();
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [4, 8]);
        assert_eq!(
            bad,
            ["line 7: it has 1 fields where the header has 2; a cell that holds a comma belongs in quotes"]
        );
        assert_eq!(read("sep=;\na;b\n1;2\n", None).unwrap().0, [(3, vec!["1".to_owned(), "2".to_owned()])]);
    }

    #[test]
    fn a_quote_that_swallows_rows_is_refused_with_the_line_where_it_opens() {
        for text in [
            "group_id,name\n11,A\n12,\"B\n13,C\n14,D\"\n15,E\n",
            "group_id,name,city\n11,A,x\n12,\"B,y\n13,C\",z\n",
            "group_id,name\n184524748100001,\"A\n184524748100002,B\"\n",
            "name,group_id\n\"A,184524748100001\nB\",184524748100002\n",
            "name,group_id,city\nA,184524748100001,x\n\"B,184524748100002,y\nC\",184524748100003,z\n",
            "city,name,group_id\nx,\"B,184524748100002\ny,C\",184524748100003\n",
        ] {
            let error = read(text, Some("group_id")).unwrap_err();
            assert!(error.contains("look like rows") && error.starts_with("line "), "{error}");
        }
        let error =
            read("group_id,\"name\n184524748100001,A\n184524748100002,B\"\n", Some("group_id")).unwrap_err();
        assert!(error.starts_with("line 1"), "{error}");
        // A quoted text of several lines is accepted.
        let text = "group_id,name\n11,\"Dear all,\nplease come, friends,\n1, 2, 3\"\n12,\"Hello\n\nAnn\"\n";
        assert_eq!(read(text, Some("group_id")).unwrap().0.len(), 2);
        let text = "name,group_id\n\"Dear Ann, 1\nmore\",184524748100001\n\"a, b\nc\",184524748100002\n";
        assert_eq!(read(text, Some("group_id")).unwrap().0.len(), 2);
    }
}
