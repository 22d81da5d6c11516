//! Where a script's prints and log lines go.

use crate::protocol::{LogLevel, LogLine};

/// Takes what a script says.
pub trait ScriptOutput {
    /// What the script printed.
    fn print(&self, bytes: &[u8]);

    /// A line for the log.
    fn log(&self, line: &LogLine) {
        log_line(line);
    }
}

/// Takes nothing: for scripts that are only looked at.
#[derive(Debug, Default)]
pub struct DiscardOutput;

impl ScriptOutput for DiscardOutput {
    fn print(&self, _: &[u8]) {}

    fn log(&self, _: &LogLine) {}
}

/// Puts a script's line into the program's own log, with its place and its fields.
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
