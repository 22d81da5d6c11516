//! `mooncast runs export`

use std::io::{ErrorKind, Write};

use clap::{Args, ValueEnum};

use crate::ledger::{BroadcastId, Ledger, State};
use crate::web::ExportForm;

use super::Which;

/// Recipients that are read at once.
const PAGE: u32 = 1000;

/// Prints every recipient: seq, `group_id`, users, state, `message_id`, attempts, error, `updated_at`, recalled.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    broadcast: Which,
    /// The form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only those in this state, such as `sent`, `rejected`, `in_doubt` or `pending`; can be repeated
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<State>,
}

/// A state by its word.
fn state(word: &str) -> Result<State, String> {
    State::from_name(word).ok_or_else(|| {
        let known: Vec<_> = State::ALL.iter().map(|state| state.name()).collect();
        format!("there is no such state; there is {}", known.join(", "))
    })
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A header and a line each
    #[default]
    Csv,
    /// A JSON object a line
    Jsonl,
}

impl From<Format> for ExportForm {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
        }
    }
}

pub(super) async fn run(export: &Export, ledger: &Ledger) -> anyhow::Result<()> {
    let broadcast = export.broadcast.find(ledger).await?;
    match write(export, ledger, broadcast.id).await {
        // Who reads it has seen enough (`mooncast runs export … | head`).
        Err(error) if is_closed_pipe(&error) => Ok(()),
        other => other,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

async fn write(export: &Export, ledger: &Ledger, id: BroadcastId) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let form = ExportForm::from(export.format);
    out.write_all(form.head().unwrap_or_default().as_bytes())?;
    let mut after = 0;
    loop {
        let mut page = ledger.export(id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        page.retain(|row| export.state.is_empty() || export.state.contains(&row.state));
        out.write_all(form.lines(&page).as_bytes())?;
    }
    Ok(())
}
