//! `mooncast runs export`

use std::io::{ErrorKind, Write};

use clap::{Args, ValueEnum};

use crate::ledger::{BroadcastId, Exported, Ledger, State};

use super::Which;
use super::show;

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
    let mut after = 0;
    let mut csv = csv::Writer::from_writer(Vec::new());
    if export.format == Format::Csv {
        csv.write_record([
            "seq",
            "group_id",
            "users",
            "state",
            "message_id",
            "attempts",
            "error",
            "updated_at",
            "recalled",
        ])?;
    }
    loop {
        let page = ledger.export(id, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for row in page.iter().filter(|row| export.state.is_empty() || export.state.contains(&row.state)) {
            match export.format {
                Format::Csv => csv.write_record(fields(row))?,
                Format::Jsonl => writeln!(out, "{}", object(row))?,
            }
        }
        csv.flush()?;
        out.write_all(csv.get_ref())?;
        csv = csv::Writer::from_writer(Vec::new());
    }
    csv.flush()?;
    Ok(out.write_all(csv.get_ref())?)
}

fn fields(row: &Exported) -> [String; 9] {
    [
        row.seq.to_string(),
        row.group_id.clone(),
        row.users.join(";"),
        row.state.name().to_owned(),
        row.message_id.clone().unwrap_or_default(),
        row.attempts.to_string(),
        row.error.clone().unwrap_or_default(),
        show::instant(row.updated_at),
        recalled(row).unwrap_or_default().to_owned(),
    ]
}

fn object(row: &Exported) -> serde_json::Value {
    serde_json::json!({
        "seq": row.seq, "group_id": row.group_id, "users": row.users, "state": row.state.name(),
        "message_id": row.message_id, "attempts": row.attempts, "error": row.error,
        "updated_at": show::instant(row.updated_at), "recalled": recalled(row),
    })
}

/// What became of its recall, where one was asked for.
fn recalled(row: &Exported) -> Option<&'static str> {
    row.recalled.map(|done| if done { "yes" } else { "refused" })
}
