//! Excel's format. Every cell is text, so no id is rounded and no text is a formula.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_xlsxwriter::{Format, Workbook as Book, XlsxError};

use super::cells::{cells, header};
use crate::core::Call;
use crate::ledger::ExportedRecipient;

/// The maximum number of rows in a sheet that Excel reads.
const ROWS: u32 = 1_048_576;

/// The maximum number of characters in a cell that Excel reads.
const LETTERS: usize = 32_767;

/// The width of a column in characters, enough for a group's or a message's id.
const WIDTH: f64 = 22.0;

/// A workbook that is written row by row. Rows are in a temporary file until it is finished.
pub(super) struct Workbook {
    book: Book,
    call: Call,
    own: Vec<String>,
    zone: TimeZone,
    text: Format,
    sheets: usize,
    /// The next row of the last sheet.
    row: u32,
    /// The maximum number of rows in a sheet.
    most: u32,
}

impl Workbook {
    /// Creates a workbook with the fixed columns for recipients of this call, and these audience columns.
    pub(super) fn new(call: Call, own: &[String], zone: TimeZone) -> io::Result<Self> {
        let mut book = Self {
            book: Book::new(),
            call,
            own: own.to_vec(),
            zone,
            // With this format, a cell stays text when it is edited.
            text: Format::new().set_num_format("@"),
            sheets: 0,
            row: 0,
            most: ROWS,
        };
        book.begin_sheet().map_err(error)?;
        Ok(book)
    }

    /// Adds recipients. A new sheet begins when one is full.
    pub(super) fn add(&mut self, recipients: &[ExportedRecipient]) -> io::Result<()> {
        for one in recipients {
            if self.row >= self.most {
                self.begin_sheet().map_err(error)?;
            }
            let row = cells(one, &self.own, self.local(one.updated_at));
            self.write(&row).map_err(error)?;
        }
        Ok(())
    }

    /// Finishes the workbook in an unnamed temporary file, positioned at its start.
    pub(super) fn finish(mut self) -> io::Result<File> {
        let mut file = BufWriter::new(tempfile::tempfile()?);
        self.book.save_to_writer(&mut file).map_err(error)?;
        file.flush()?;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(file)
    }

    fn begin_sheet(&mut self) -> Result<(), XlsxError> {
        self.sheets += 1;
        let name =
            if self.sheets == 1 { "recipients".to_owned() } else { format!("recipients {}", self.sheets) };
        let sheet = self.book.add_worksheet_with_constant_memory()?;
        sheet.set_name(name)?;
        sheet.set_freeze_panes(1, 0)?;
        let names = header(self.call, &self.own);
        for (column, _) in names.iter().enumerate() {
            sheet.set_column_width(u16::try_from(column).unwrap_or(u16::MAX), WIDTH)?;
        }
        self.row = 0;
        self.write(&names)
    }

    fn write(&mut self, cells: &[String]) -> Result<(), XlsxError> {
        let sheet = self.book.worksheet_from_index(self.sheets - 1)?;
        for (column, cell) in cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let column = u16::try_from(column).unwrap_or(u16::MAX);
            sheet.write_string_with_format(self.row, column, short(cell), &self.text)?;
        }
        self.row += 1;
        Ok(())
    }

    /// A time in this program's time zone, with its offset.
    fn local(&self, at: std::time::Duration) -> String {
        let at = i64::try_from(at.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        at.map_or_else(
            || "?".to_owned(),
            |at| at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        )
    }
}

/// The beginning of a text that fits into a cell. Excel counts UTF-16 code units.
fn short(text: &str) -> String {
    if text.encode_utf16().count() <= LETTERS {
        return text.to_owned();
    }
    let mut units = 0;
    let fits = |letter: &char| {
        units += letter.len_utf16();
        units < LETTERS
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

fn error(error: XlsxError) -> io::Error {
    match error {
        XlsxError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::Duration;

    use calamine::{Data, Reader as _, Xlsx};
    use serde_json::json;

    use super::*;
    use crate::ledger::{RecipientState, VerifiedState};

    fn row(seq: i64, name: &str) -> ExportedRecipient {
        ExportedRecipient {
            seq,
            group_id: "1845247481610250001".to_owned(),
            users: Vec::new(),
            state: RecipientState::Sent,
            message_id: Some("9223372036854775807".to_owned()),
            attempts: 1,
            error: None,
            updated_at: Duration::from_hours(494_528),
            verified: VerifiedState::Missing,
            recalled: None,
            readers: 0,
            fields: vec![("名称".to_owned(), json!(name))],
        }
    }

    fn read(book: Workbook) -> Xlsx<std::io::Cursor<Vec<u8>>> {
        let mut bytes = Vec::new();
        book.finish().unwrap().read_to_end(&mut bytes).unwrap();
        Xlsx::new(std::io::Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn every_cell_is_text_as_it_stood() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let mut book = Workbook::new(Call::Group, &["名称".to_owned()], zone).unwrap();
        book.add(&[row(1, "=1+1"), row(2, "上海"), row(3, &"长".repeat(40_000))]).unwrap();
        let mut file = read(book);
        let sheet = file.worksheet_range("recipients").unwrap();
        let cell = |row, column| sheet.get_value((row, column)).cloned();
        let text = |text: &str| Some(Data::String(text.to_owned()));
        assert_eq!((cell(0, 1), cell(0, 12)), (text("group_id"), text("名称")));
        assert_eq!((cell(1, 1), cell(1, 4)), (text("1845247481610250001"), text("9223372036854775807")));
        assert_eq!((cell(1, 0), cell(1, 12), cell(2, 12)), (text("1"), text("=1+1"), text("上海")));
        assert_eq!(cell(1, 7), text("2026-06-01 16:00:00 +08:00"));
        assert!(matches!(cell(3, 12), Some(Data::String(long)) if long.chars().count() == LETTERS));
        assert!(file.worksheet_formula("recipients").unwrap().is_empty());
    }

    #[test]
    fn a_full_sheet_is_followed_by_another() {
        let mut book = Workbook::new(Call::User, &[], TimeZone::UTC).unwrap();
        book.most = 3;
        let rows: Vec<ExportedRecipient> = (1..=5).map(|seq| row(seq, "x")).collect();
        book.add(&rows).unwrap();
        let mut file = read(book);
        assert_eq!(file.sheet_names(), ["recipients", "recipients 2", "recipients 3"]);
        let counts: Vec<usize> = file.worksheets().iter().map(|(_, sheet)| sheet.height()).collect();
        assert_eq!(counts, [3, 3, 2]);
    }
}
