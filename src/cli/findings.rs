//! The findings of a diagnostic command, one line each, good or bad.

use std::io::Write;

/// Writes lines to standard output, and remembers whether one of them reports a problem.
#[derive(Debug, Default)]
pub(super) struct FindingsReport {
    has_errors: bool,
}

impl FindingsReport {
    /// Whether one of the lines reported a problem.
    pub(super) const fn has_errors(&self) -> bool {
        self.has_errors
    }

    pub(super) fn line(&mut self, ok: bool, what: &str, text: &str) {
        self.has_errors |= !ok;
        let mark = if ok { "ok  " } else { "BAD " };
        // A closed pipe is not an error.
        let _ = writeln!(std::io::stdout(), "{mark} {what}: {text}");
    }
}
