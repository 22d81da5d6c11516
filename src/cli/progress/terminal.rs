//! The line on a terminal that renews itself, and what a script prints around it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write as _, stderr, stdout};
use std::rc::Rc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::host::{ScriptOutput, log_line};
use crate::protocol::LogLine;

use super::super::logging;
use super::standing::ProgressSummary;

/// Where a script's prints and log lines go: around the line that shows how the run stands, where there is one.
#[derive(Clone)]
pub(in crate::cli) struct TerminalOutput {
    bar: ProgressBar,
    /// Why prints were lost, the first time that one was.
    lost: Rc<RefCell<Option<io::Error>>>,
    /// Whether prints stand beside lines of the log, which none may look like.
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
            // A reader that has gone (`mooncast run … | head`) has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            // A full disk must not end a campaign half-way, but it must be told, at the latest when all is sent.
            Err(error) => {
                self.lost.borrow_mut().get_or_insert(error);
            }
        }
    }

    fn log(&self, line: &LogLine) {
        log_line(line);
    }
}

/// What one `print` wrote, its further lines indented and what cannot be seen made visible.
fn apart(bytes: &[u8]) -> Cow<'static, [u8]> {
    let (text, end) = bytes.strip_suffix(b"\n").map_or((bytes, ""), |text| (text, "\n"));
    Cow::Owned((logging::indented(&String::from_utf8_lossy(text)) + end).into_bytes())
}

impl TerminalOutput {
    /// Prints of a daemon, whose log often goes to the same place. Texts in them may be other people's.
    pub(in crate::cli) fn beside_log() -> Self {
        Self { beside_log: true, ..Self::default() }
    }

    /// Why some of what the script printed is lost, where it is.
    pub(in crate::cli) fn lost(&self) -> Option<io::Error> {
        self.lost.take()
    }

    /// From here on there is a line.
    pub(super) fn begin(&self) {
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// Renews it.
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

    /// Takes it away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
        let _ = stderr().flush();
    }
}
