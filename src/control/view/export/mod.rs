//! Exports the recipients of a broadcast to a file: CSV and XLSX for spreadsheets, JSON and JSONL for programs.
//!
//! - `cells`: the columns and the cells; `text`: the text formats; `xlsx`: Excel's format.
//!
//! Memory is limited to one page of recipients, however many there are.

mod cells;
mod text;
mod xlsx;

use std::fs::File;
use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::ledger::{BroadcastId, ExportPages, Ledger, LedgerError, RecipientState};

pub(in crate::control) use cells::disarmed;
pub use text::TextExport;
use xlsx::Workbook;

/// The format of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// A header, then one line per recipient, for spreadsheets. The file begins with a byte order mark. A cell that a
    /// spreadsheet would read as a formula begins with an apostrophe.
    #[default]
    Csv,
    /// A JSON list of objects.
    Json,
    /// One JSON object per line.
    Jsonl,
    /// An Excel workbook in which every cell is text.
    Xlsx,
}

impl ExportFormat {
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::Jsonl => "application/jsonl; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// The file name extension.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Xlsx => "xlsx",
        }
    }
}

/// What to export, and in which format.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    pub form: ExportFormat,
    /// Writes CSV for programs: without a byte order mark and without apostrophes.
    pub plain: bool,
    /// The states of the exported recipients. Empty for all.
    pub states: Vec<RecipientState>,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("cannot write the export: {0}")]
    Io(#[from] io::Error),
    #[error("the program is stopping")]
    Ends,
}

impl ExportError {
    /// Whether the reader closed the pipe.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

pub async fn write_export(
    ledger: &Ledger,
    id: BroadcastId,
    options: &ExportOptions,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut pages = ledger.export_pages(id, &options.states).await?;
    if options.form == ExportFormat::Xlsx {
        let mut file = workbook(pages).await?;
        io::copy(&mut file, out)?;
        return Ok(out.flush()?);
    }
    let mut text = TextExport::new(options, &pages);
    out.write_all(text.head().as_bytes())?;
    while let Some(page) = pages.next().await? {
        out.write_all(text.page(&page).as_bytes())?;
    }
    out.write_all(text.tail().as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a whole XLSX file to an unnamed temporary file, positioned at its start. Times in it are local.
pub async fn workbook(mut pages: ExportPages) -> Result<File, ExportError> {
    let mut book = Workbook::new(pages.recipients(), pages.names(), TimeZone::system())?;
    while let Some(page) = pages.next().await? {
        // Runs outside the thread that sends.
        book = blocking(move || book.add(&page).map(|()| book)).await??;
    }
    Ok(blocking(move || book.finish()).await??)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ExportError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ExportError::Ends)
}
