//! The rows of a text, one after the other. What is wrong is told with the number of its line.

use std::collections::HashSet;
use std::io::Cursor;

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::super::super::fault::Fault;
use super::Layout;

/// What some programs put before UTF-8 text.
const BOM: &[u8] = b"\xef\xbb\xbf";

pub(super) struct Rows {
    reader: Reader<Cursor<Vec<u8>>>,
    layout: Layout,
    header: Option<Vec<String>>,
    record: ByteRecord,
    /// How many fields every row has: as many as the first.
    width: Option<usize>,
}

impl Rows {
    pub(super) fn new(mut text: Vec<u8>, layout: Layout) -> Self {
        if text.starts_with(BOM) {
            text.drain(..BOM.len());
        }
        let reader = ReaderBuilder::new()
            .has_headers(false)
            // Rows of another length are told in words of our own.
            .flexible(true)
            .delimiter(layout.separator)
            .from_reader(Cursor::new(text));
        Self { reader, layout, header: None, record: ByteRecord::new(), width: None }
    }

    /// Reads the next row; false when there is none. Empty lines are no rows.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        if self.layout.header && self.header.is_none() {
            if !self.read()? {
                return Ok(false);
            }
            self.header = Some(self.names()?);
        }
        self.read()
    }

    /// The names of the columns, where the text has them.
    pub(super) fn header(&self) -> Option<&[String]> {
        self.header.as_deref()
    }

    /// The fields of the row that was read last.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        // Checked when they were read.
        self.record.iter().map(|field| std::str::from_utf8(field).unwrap_or_default())
    }

    fn read(&mut self) -> Result<bool, Fault> {
        let start = self.reader.position().clone();
        if !self.reader.read_byte_record(&mut self.record).map_err(|error| bad(error.to_string()))? {
            return Ok(false);
        }
        let text = self.reader.get_ref().get_ref();
        let from = usize::try_from(start.byte()).unwrap_or(0).min(text.len());
        let to = usize::try_from(self.reader.position().byte()).unwrap_or(0).min(text.len());
        let raw = &text[from..to];
        // Empty lines before the row belong to nothing, but they count.
        let empty =
            raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
        let line = start.line() + empty.count() as u64;

        if self.record.iter().any(|field| std::str::from_utf8(field).is_err()) {
            return Err(bad(format!("line {line}: not UTF-8; save the table as CSV in UTF-8")));
        }
        let quotes = raw.split(|byte| *byte == b'"').count() - 1;
        if to == text.len() && quotes % 2 == 1 && self.record.iter().any(|field| field.contains(&b'\n')) {
            return Err(bad(format!("line {line}: a quote is opened and never closed")));
        }
        let fields = self.record.len();
        let width = *self.width.get_or_insert(fields);
        if fields != width {
            let first = if self.layout.header { "the header" } else { "the first line" };
            return Err(bad(format!("line {line}: {fields} fields, where {first} has {width}")));
        }
        Ok(true)
    }

    fn names(&self) -> Result<Vec<String>, Fault> {
        let names: Vec<String> = self.fields().map(|name| name.trim().to_owned()).collect();
        let mut seen = HashSet::new();
        match names.iter().find(|name| !name.is_empty() && !seen.insert(name.as_str())) {
            Some(twice) => Err(bad(format!("the header names `{twice}` twice"))),
            None => Ok(names),
        }
    }
}

fn bad(message: String) -> Fault {
    Fault::invalid("text", message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Layout = Layout { header: false, separator: b',' };
    const NAMED: Layout = Layout { header: true, separator: b',' };

    fn all(text: &[u8], layout: Layout) -> Result<Vec<Vec<String>>, String> {
        let mut rows = Rows::new(text.to_vec(), layout);
        let mut all = Vec::new();
        loop {
            match rows.advance() {
                Ok(true) => all.push(rows.fields().map(str::to_owned).collect()),
                Ok(false) => return Ok(all),
                Err(Fault::Failure(failure)) => return Err(failure.message),
                Err(Fault::Lua(error)) => return Err(error.to_string()),
            }
        }
    }

    #[test]
    fn rows_come_as_they_stand() {
        let text = "\u{feff}group_id,name\r\n1,Ann\r\n\r\n2,\"B, \"\"b\"\"\nb\"\r\n";
        let mut rows = Rows::new(text.as_bytes().to_vec(), NAMED);
        assert!(rows.advance().unwrap());
        assert_eq!(rows.header().unwrap(), ["group_id", "name"]);
        assert_eq!(all(text.as_bytes(), NAMED).unwrap(), [["1", "Ann"], ["2", "B, \"b\"\nb"]]);
        assert_eq!(all(b"", NAMED).unwrap(), Vec::<Vec<String>>::new());
        assert_eq!(all(b"a;b", Layout { header: false, separator: b';' }).unwrap(), [["a", "b"]]);
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        for (text, message) in [
            (&b"a,b\n1,2\n1,2,3\n"[..], "line 3: 3 fields, where the header has 2"),
            (b"a,b\n1,2\n\n\n1\n", "line 5: 1 fields, where the header has 2"),
            (b"a,b\n\"1\n1\",2\n3\n", "line 4: 1 fields, where the header has 2"),
            (b"a\n1\n\xff\n", "line 3: not UTF-8; save the table as CSV in UTF-8"),
            (b"a\n\"1\n2\n3\n", "line 2: a quote is opened and never closed"),
            (b"a,b,a\n", "the header names `a` twice"),
        ] {
            assert_eq!(all(text, NAMED).unwrap_err(), message);
        }
        assert_eq!(all(b"1,2\n1\n", PLAIN).unwrap_err(), "line 2: 1 fields, where the first line has 2");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = all(&text, PLAIN);
            let _ = all(&text, NAMED);
        }
    }
}
