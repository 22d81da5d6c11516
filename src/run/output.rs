//! The destination of a script's prints and log lines.

use crate::protocol::{LogLevel, LogLine};

/// Receives the output of a script.
pub trait ScriptOutput {
    /// Receives the bytes that the script printed.
    fn print(&self, bytes: &[u8]);

    /// Receives a log line. The default writes it to the program's log.
    fn log(&self, line: &LogLine) {
        log_line(line);
    }
}

/// Discards all output, for scripts that are only checked.
#[derive(Debug, Default)]
pub struct DiscardOutput;

impl ScriptOutput for DiscardOutput {
    fn print(&self, _: &[u8]) {}

    fn log(&self, _: &LogLine) {}
}

/// Writes a script's line to the program's log, with its location and fields.
pub fn log_line(line: &LogLine) {
    let (script, fields) = (line.location.as_str(), line.fields.as_str());
    macro_rules! emit {
        ($level:ident) => {
            if fields.is_empty() {
                tracing::$level!(target: "script", script, "{}", line.message)
            } else {
                tracing::$level!(target: "script", script, fields, "{}", line.message)
            }
        };
    }
    match line.level {
        LogLevel::Debug => emit!(debug),
        LogLevel::Info => emit!(info),
        LogLevel::Warn => emit!(warn),
        LogLevel::Error => emit!(error),
    }
}
