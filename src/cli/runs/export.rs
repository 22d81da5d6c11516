//! `mooncast runs export`

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use crate::control::{ExportFormat, ExportOptions, write_export};
use crate::ledger::{Ledger, RecipientState};

use super::BroadcastArgs;

/// Export all recipients with these columns: seq, `group_id`, users, state, `message_id`, attempts, error,
/// `updated_at`, recalled, readers, verified, `verified_reason`, and the audience's own columns.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    /// The file format
    #[arg(long, value_enum, default_value_t)]
    format: ExportFormatArg,
    /// CSV for programs: no byte order mark, and no apostrophe before cells that a spreadsheet would read as a formula
    #[arg(long)]
    plain: bool,
    /// Only recipients in this state, such as `sent`, `rejected`, `in_doubt` or `pending`; can be repeated
    #[arg(long, value_name = "STATE")]
    state: Vec<RecipientState>,
    /// The file to write; standard output by default
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ExportFormatArg {
    /// A header, then one line per recipient, for spreadsheets
    #[default]
    Csv,
    /// A JSON list
    Json,
    /// One JSON object per line
    Jsonl,
    /// An Excel workbook; every cell is text
    Xlsx,
}

impl From<ExportFormatArg> for ExportFormat {
    fn from(format: ExportFormatArg) -> Self {
        match format {
            ExportFormatArg::Csv => Self::Csv,
            ExportFormatArg::Json => Self::Json,
            ExportFormatArg::Jsonl => Self::Jsonl,
            ExportFormatArg::Xlsx => Self::Xlsx,
        }
    }
}

pub(super) async fn run(export: &ExportArgs, ledger: &Ledger) -> anyhow::Result<()> {
    if export.plain && export.format != ExportFormatArg::Csv {
        bail!(
            "--plain works only with `--format csv`; the other formats have no byte order mark or apostrophes"
        );
    }
    let id = export.broadcast.find(ledger).await?.id;
    let options =
        ExportOptions { form: export.format.into(), plain: export.plain, states: export.state.clone() };
    if let Some(path) = &export.output {
        let shown = || path.display().to_string();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        // The output file appears under its name only when it is complete.
        let mut file =
            tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| ".".as_ref())).with_context(shown)?;
        write_export(ledger, id, &options, &mut std::io::BufWriter::new(file.as_file_mut()))
            .await
            .with_context(shown)?;
        file.flush().with_context(shown)?;
        file.persist(path).map_err(|error| error.error).with_context(shown)?;
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    if export.format == ExportFormatArg::Xlsx && std::io::stdout().is_terminal() {
        bail!("cannot write an XLSX file to a terminal; name a file with `--output FILE.xlsx`");
    }
    match write_export(ledger, id, &options, &mut out).await {
        // A closed pipe (`mooncast runs export … | head`) is not an error.
        Err(error) if error.is_closed_pipe() => Ok(()),
        other => Ok(other?),
    }
}
