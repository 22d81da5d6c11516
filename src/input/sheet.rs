//! Reads a workbook's sheet (XLSX) row by row. A separate thread reads a few hundred rows ahead.

use std::fs::File;
use std::io::BufReader;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use calamine::{Reader as _, SheetType, SheetVisible, Xlsx};

use super::archive;
use super::cell::SheetCell;
use super::fault::InputError;
use super::{header, options::AudienceOptions};
use crate::core::nearest;

/// Rows in one batch.
const BATCH: usize = 128;

/// Batches that the thread reads ahead.
const AHEAD: usize = 4;

/// The most columns of an audience.
const COLUMNS: u32 = 1_000;

/// A row: its number in Excel, and its cells.
pub(super) type SheetRow = (u64, Vec<SheetCell>);

enum SheetBatch {
    Rows(Vec<SheetRow>),
    Failed(InputError),
    End,
}

/// A sheet that is open.
pub(super) struct SheetReader {
    rows: Receiver<SheetBatch>,
    batch: std::vec::IntoIter<SheetRow>,
    pub(super) name: String,
    pub(super) header: Vec<String>,
    pub(super) id: usize,
    /// The number of the header's row.
    pub(super) begins: u64,
    pub(super) read: u64,
    pub(super) blank: u64,
}

impl SheetReader {
    pub(super) fn open(
        mut file: File,
        options: &AudienceOptions,
        id_column: &str,
    ) -> Result<Self, InputError> {
        archive::check(&mut file)?;
        let mut book: Xlsx<BufReader<File>> =
            Xlsx::new(BufReader::new(file)).map_err(|error| unreadable(&error))?;
        let name = chosen(&book, options.sheet.as_deref())?;
        let (hand, rows) = sync_channel(AHEAD);
        let of = name.clone();
        std::thread::Builder::new()
            .name("workbook".to_owned())
            .spawn(move || {
                let last = match read(&mut book, &of, &hand) {
                    Ok(()) => SheetBatch::End,
                    Err(fault) => SheetBatch::Failed(fault),
                };
                // The receiver is gone if the broadcast was given up.
                let _ = hand.send(last);
            })
            .map_err(|error| InputError::whole(format!("it cannot be read: {error}")))?;
        let mut sheet = Self {
            rows,
            batch: Vec::new().into_iter(),
            name,
            header: Vec::new(),
            id: 0,
            begins: 1,
            read: 0,
            blank: 0,
        };
        let Some((line, cells)) = sheet.next()? else {
            return Err(InputError::whole(format!(
                "its sheet `{}` is empty; write the names of the columns into its first row",
                sheet.name
            )));
        };
        (sheet.blank, sheet.read, sheet.begins) = (0, 0, line);
        let mut names = Vec::with_capacity(cells.len());
        for cell in &cells {
            names.push(cell.text().map_err(|what| InputError::line(line, what))?);
        }
        sheet.header = header::names(names.iter().map(String::as_str), line)?;
        sheet.id = header::id_column(&sheet.header, id_column, line)?;
        header::check_kind(&sheet.header, options, line)?;
        Ok(sheet)
    }

    /// Returns the next row with any text.
    pub(super) fn next(&mut self) -> Result<Option<SheetRow>, InputError> {
        loop {
            for row in self.batch.by_ref() {
                if row.1.iter().all(SheetCell::is_blank) {
                    self.blank += 1;
                } else {
                    self.read += 1;
                    return Ok(Some(row));
                }
            }
            match self.rows.recv() {
                Ok(SheetBatch::Rows(rows)) => self.batch = rows.into_iter(),
                Ok(SheetBatch::Failed(fault)) => return Err(fault),
                Ok(SheetBatch::End) => {
                    self.rows = ended();
                    return Ok(None);
                }
                Err(_) => {
                    return Err(InputError::whole(
                        "the workbook cannot be read to its end; save it anew, or as CSV",
                    ));
                }
            }
        }
    }
}

/// Returns a receiver that only reports the end.
fn ended() -> Receiver<SheetBatch> {
    let (hand, rows) = sync_channel(1);
    let _ = hand.send(SheetBatch::End);
    rows
}

fn unreadable(error: &dyn std::fmt::Display) -> InputError {
    InputError::whole(format!(
        "the Excel workbook cannot be read ({error}); save it as .xlsx anew, or as CSV"
    ))
}

/// Returns the requested sheet, or the first one.
fn chosen(book: &Xlsx<BufReader<File>>, name: Option<&str>) -> Result<String, InputError> {
    let sheets: Vec<_> =
        book.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).collect();
    let names = || sheets.iter().map(|sheet| format!("`{}`", sheet.name)).collect::<Vec<_>>().join(", ");
    if let Some(name) = name {
        if sheets.iter().any(|sheet| sheet.name == name) {
            return Ok(name.to_owned());
        }
        let hint = nearest(name, sheets.iter().map(|sheet| sheet.name.as_str()))
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(InputError::whole(format!("it has no sheet `{name}`; it has: {}{hint}", names())));
    }
    match sheets.first() {
        None => Err(InputError::whole("it has no sheet")),
        Some(first) if first.visible != SheetVisible::Visible => Err(InputError::whole(format!(
            "its first sheet, `{}`, is hidden; say which one holds the recipients: `sheet = \"NAME\"`. It has: {}",
            first.name,
            names()
        ))),
        Some(first) => Ok(first.name.clone()),
    }
}

fn read(
    book: &mut Xlsx<BufReader<File>>,
    name: &str,
    hand: &SyncSender<SheetBatch>,
) -> Result<(), InputError> {
    let mut cells = book.worksheet_cells_reader(name).map_err(|error| unreadable(&error))?;
    let formats: Vec<String> = cells
        .styles()
        .iter()
        .map(|style| {
            style
                .number_format
                .as_ref()
                .map_or_else(|| "General".to_owned(), |known| known.format_code.clone())
        })
        .collect();
    let mut batch: Vec<SheetRow> = Vec::with_capacity(BATCH);
    while let Some((cell, style)) = cells.next_cell_with_style_id().map_err(|error| unreadable(&error))? {
        let (row, column) = cell.get_position();
        if column >= COLUMNS {
            return Err(InputError::line(
                u64::from(row) + 1,
                format!("it has more than {COLUMNS} columns; keep those that the messages need"),
            ));
        }
        let line = u64::from(row) + 1;
        match batch.last() {
            Some((last, _)) if *last == line => {}
            Some((last, _)) if *last > line => {
                return Err(InputError::line(line, "its rows are not in order; save the workbook anew"));
            }
            _ => {
                if batch.len() == BATCH && hand.send(SheetBatch::Rows(std::mem::take(&mut batch))).is_err() {
                    return Ok(());
                }
                batch.push((line, Vec::new()));
            }
        }
        let value = SheetCell::of(cell.get_value(), formats.get(style).map_or("General", String::as_str));
        if let Some((_, cells)) = batch.last_mut()
            && value != SheetCell::Empty
        {
            let index = column as usize;
            if cells.len() <= index {
                cells.resize(index + 1, SheetCell::Empty);
            }
            cells[index] = value;
        }
    }
    let _ = hand.send(SheetBatch::Rows(batch));
    Ok(())
}
