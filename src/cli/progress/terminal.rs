//! The live line on a terminal, and the output that a script prints around it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write as _, stderr, stdout};
use std::rc::Rc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::protocol::LogLine;
use crate::run::{ScriptOutput, log_line};

use super::super::logging;
use super::standing::ProgressSummary;

/// Writes a script's output and log lines around the progress line, if there is one.
#[derive(Clone)]
pub(in crate::cli) struct TerminalOutput {
    bar: ProgressBar,
    /// Why output was lost, the first time that happened.
    lost: Rc<RefCell<Option<io::Error>>>,
    /// Whether the output is mixed with log lines. Output must then not look like a log line.
    beside_log: bool,
}

impl Default for TerminalOutput {
    fn default() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self { bar, lost: Rc::default(), beside_log: false }
    }
}

impl ScriptOutput for TerminalOutput {
    fn print(&self, bytes: &[u8]) {
        if !self.bar.is_hidden() {
            logging::empty_line();
        }
        let bytes = if self.beside_log { apart(bytes) } else { Cow::Borrowed(bytes) };
        let mut out = stdout().lock();
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Ok(()) => {}
            // A closed pipe (`mooncast run … | head`) is not an error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            // A full disk must not end a campaign halfway. The error is reported at the end of the run at the
            // latest.
            Err(error) => {
                self.lost.borrow_mut().get_or_insert(error);
            }
        }
    }

    fn log(&self, line: &LogLine) {
        log_line(line);
    }
}

/// The output of one `print`, with indented continuation lines and escaped invisible characters.
fn apart(bytes: &[u8]) -> Cow<'static, [u8]> {
    let (text, end) = bytes.strip_suffix(b"\n").map_or((bytes, ""), |text| (text, "\n"));
    Cow::Owned((logging::indented(&String::from_utf8_lossy(text)) + end).into_bytes())
}

impl TerminalOutput {
    /// An output for a daemon, whose log often goes to the same place. Texts in the output may come from others.
    pub(in crate::cli) fn beside_log() -> Self {
        Self { beside_log: true, ..Self::default() }
    }

    /// Why some of the output was lost, if it was.
    pub(in crate::cli) fn lost(&self) -> Option<io::Error> {
        self.lost.take()
    }

    /// Starts the progress line.
    pub(super) fn begin(&self) {
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// Updates the progress line.
    pub(super) fn show(&self, standing: Option<&ProgressSummary>, others: Option<String>) {
        let template =
            if standing.is_some() { "{prefix} [{bar:16}] {wide_msg}" } else { "{spinner} {wide_msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        if let Some(standing) = standing {
            self.bar.set_prefix(standing.name.clone());
            self.bar.set_length(standing.total);
            self.bar.set_position(standing.done());
        }
        let said = [standing.map(ProgressSummary::short), others].into_iter().flatten();
        self.bar.set_message(said.collect::<Vec<_>>().join("; "));
        self.bar.tick();
    }

    /// Removes the progress line.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
        let _ = stderr().flush();
    }
}
