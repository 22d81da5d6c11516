//! Log lines on standard error.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::traces::Traces;
use crate::web::{LogTail, Tailed};

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Empties the terminal's line. (The progress library's own way leaves a line of full width where it is.)
pub(super) fn empty_line() {
    // Nobody is left to see it when standard error is gone.
    let _ = stderr().lock().write_all(b"\r\x1b[2K");
}

/// Starts the log; `tail` keeps its newest lines, `traces` hands spans over. Colours only on a terminal that is not told
/// otherwise.
pub(super) fn start(
    format: Format,
    level: &str,
    tail: Option<Arc<LogTail>>,
    traces: Option<&Traces>,
) -> anyhow::Result<()> {
    // The libraries underneath speak of every connection; they are asked only by name. Spans are no lines.
    let quiet = "hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn,traces=off";
    let filter = || {
        EnvFilter::try_new(format!("{quiet},{level}"))
            .with_context(|| format!("--log: `{level}` is no level; write error, warn, info, debug or trace"))
    };
    // On a terminal a line may stand there that shows how a run stands, and is drawn again below.
    let on_terminal = format == Format::Text && stderr().is_terminal();
    let writer = move || {
        if on_terminal {
            empty_line();
        }
        stderr()
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
        Format::Text => {
            let colours = on_terminal && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colours).with_target(false).compact().boxed()
        }
    };
    let log = lines.and_then(tail.map(Tailed)).with_filter(filter()?);
    let started = match traces {
        None => tracing_subscriber::registry().with(log).try_init(),
        Some(traces) => tracing_subscriber::registry().with(log).with(traces.layer()).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}
