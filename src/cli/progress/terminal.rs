//! The line on a terminal that renews itself, and what a script prints around it.

use std::io::{Write as _, stderr, stdout};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::host::{Output, log_line};
use crate::protocol::LogLine;

use super::super::logging;
use super::standing::Standing;

/// Where a script's prints and log lines go: around the line that shows how the run stands, where there is one.
#[derive(Clone)]
pub(in crate::cli) struct Terminal(ProgressBar);

impl Default for Terminal {
    fn default() -> Self {
        Self(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()))
    }
}

impl Output for Terminal {
    fn print(&self, bytes: &[u8]) {
        if !self.0.is_hidden() {
            logging::empty_line();
        }
        let mut out = stdout().lock();
        // A reader that has gone (`mooncast run … | head`) must not end a campaign.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    fn log(&self, line: &LogLine) {
        log_line(line);
    }
}

impl Terminal {
    /// From here on there is a line.
    pub(super) fn begin(&self) {
        self.0.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// Renews it.
    pub(super) fn show(&self, standing: Option<&Standing>, others: Option<String>) {
        let template =
            if standing.is_some() { "{prefix} [{bar:16}] {wide_msg}" } else { "{spinner} {wide_msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("=> "));
        }
        if let Some(standing) = standing {
            self.0.set_prefix(standing.name.clone());
            self.0.set_length(standing.total);
            self.0.set_position(standing.done());
        }
        let said = [standing.map(Standing::short), others].into_iter().flatten();
        self.0.set_message(said.collect::<Vec<_>>().join("; "));
        self.0.tick();
    }

    /// Takes it away.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
        let _ = stderr().flush();
    }
}
