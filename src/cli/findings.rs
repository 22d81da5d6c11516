//! The findings of a diagnostic command, one line each, good or bad.

use std::io::Write;

/// Writes lines to standard output, and remembers whether one of them reports a problem.
#[derive(Debug, Default)]
pub(super) struct FindingsReport {
    unwell: bool,
}

impl FindingsReport {
    /// Whether one of the lines reported a problem.
    pub(super) const fn is_unwell(&self) -> bool {
        self.unwell
    }

    pub(super) fn line(&mut self, well: bool, what: &str, text: &str) {
        self.unwell |= !well;
        let mark = if well { "ok  " } else { "BAD " };
        // A closed pipe is not an error.
        let _ = writeln!(std::io::stdout(), "{mark} {what}: {text}");
    }
}
