//! What a command found when it looked around: a line each, good news or bad.

use std::io::Write;

/// Lines on standard output, and whether one of them is bad news.
#[derive(Debug, Default)]
pub(super) struct FindingsReport {
    unwell: bool,
}

impl FindingsReport {
    /// Whether one of the lines was bad news.
    pub(super) const fn is_unwell(&self) -> bool {
        self.unwell
    }

    pub(super) fn line(&mut self, well: bool, what: &str, text: &str) {
        self.unwell |= !well;
        let mark = if well { "ok  " } else { "BAD " };
        // A reader that has gone needs no more lines.
        let _ = writeln!(std::io::stdout(), "{mark} {what}: {text}");
    }
}
