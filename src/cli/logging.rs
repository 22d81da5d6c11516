//! Writes log lines to standard error.

use std::io::{self, IsTerminal, Write, stderr};
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::traces::TraceExporter;
use crate::core::is_format_character;
use crate::web::{LogTail, LogTailLayer};

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Clears the terminal's line. (The progress library's own method leaves a line of full width in place.)
pub(super) fn empty_line() {
    // Without standard error, nothing can be shown.
    let _ = stderr().lock().write_all(b"\r\x1b[2K");
}

/// Starts the log. `tail` keeps its newest lines, and `traces` exports spans. Colours are used only on a terminal,
/// unless the environment turns them off.
pub(super) fn start(
    format: LogFormat,
    level: &str,
    tail: Option<Arc<LogTail>>,
    traces: Option<&TraceExporter>,
) -> anyhow::Result<()> {
    // The libraries log every connection, so they are enabled only by name. Spans are not logged.
    let quiet = "hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,h2=warn,traces=off";
    let filter = || {
        EnvFilter::try_new(format!("{quiet},{level}")).with_context(|| {
            format!("--log: `{level}` is not a level; write error, warn, info, debug or trace")
        })
    };
    // A terminal may show the progress line, which is drawn again below the log line.
    let on_terminal = format == LogFormat::Text && stderr().is_terminal();
    let writer = move || {
        if on_terminal {
            empty_line();
        }
        stderr()
    };
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .json()
            .flatten_event(true)
            .with_ansi(false)
            .boxed(),
        LogFormat::Text => {
            let colours = on_terminal && std::env::var_os("NO_COLOR").is_none();
            let lines = tracing_subscriber::fmt::layer().with_writer(move || LogEventWriter(writer()));
            lines.with_ansi(colours).with_target(false).compact().boxed()
        }
    };
    let log = lines.and_then(tail.map(LogTailLayer)).with_filter(filter()?);
    let started = match traces {
        None => tracing_subscriber::registry().with(log).try_init(),
        Some(traces) => tracing_subscriber::registry().with(log).with(traces.layer()).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}

/// Writes events so that text in one cannot imitate another line, because names and texts in it may come from
/// others.
struct LogEventWriter<W>(W);

impl<W: Write> Write for LogEventWriter<W> {
    /// Takes one whole event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(shown(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// An event with indented continuation lines and escaped invisible characters. Colour sequences are kept.
fn shown(event: &str) -> String {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    laid_out(text, |letter| letter == '\x1b') + end
}

/// A text with indented continuation lines and escaped invisible characters.
pub(super) fn indented(text: &str) -> String {
    laid_out(text, |_| false)
}

fn laid_out(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            // A line that is already indented is not changed.
            '\n' if letters.peek() == Some(&' ') => shown.push(letter),
            '\n' => shown.push_str("\n    "),
            '\t' => shown.push(letter),
            letter if is_kept(letter) => shown.push(letter),
            letter if letter.is_control() || is_format_character(letter) => {
                shown.extend(letter.escape_unicode());
            }
            letter => shown.push(letter),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn an_event_is_one_event() {
        let event = "INFO \x1b[1mfine\x1b[0m a\nERROR forged\rb\u{202e}c\u{85}d\n";
        let expected = "INFO \x1b[1mfine\x1b[0m a\n    ERROR forged\\u{d}b\\u{202e}c\\u{85}d\n";
        assert_eq!(shown(event), expected);
        assert_eq!(shown("群组 ok\n"), "群组 ok\n");
    }
}
