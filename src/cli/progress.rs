//! How a run stands, while it goes on: a line that renews itself on a terminal, a log line now and then elsewhere.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _, stderr, stdout};
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::host::{Output, Services, log_line};
use crate::protocol::LogLine;

/// How often the line on a terminal is renewed.
const ON_TERMINAL: Duration = Duration::from_millis(250);

/// How often a line is written elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Where a script's prints and log lines go: around the line that shows how the run stands, where there is one.
#[derive(Clone)]
pub(super) struct Terminal {
    line: ProgressBar,
    /// Why prints were lost, the first time that one was.
    lost: Rc<RefCell<Option<io::Error>>>,
}

impl Default for Terminal {
    fn default() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self { line: bar, lost: Rc::default() }
    }
}

impl Output for Terminal {
    fn print(&self, bytes: &[u8]) {
        self.clear();
        let mut out = stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
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
        self.clear();
        log_line(line);
    }
}

impl Terminal {
    /// Why some of what the script printed is lost, where it is.
    pub(super) fn lost(&self) -> Option<io::Error> {
        self.lost.take()
    }

    /// Empties the line that shows how the run stands; it is drawn again below what follows. (The library's own way
    /// leaves a line of full width where it is.)
    fn clear(&self) {
        if !self.line.is_hidden() {
            let _ = stderr().lock().write_all(b"\r\x1b[2K");
        }
    }
}

/// Shows how a run stands until it is stopped.
pub(super) struct Progress {
    showing: JoinHandle<()>,
    terminal: Terminal,
}

impl Progress {
    pub(super) fn start(services: &Rc<Services>, terminal: Terminal, clock: Clock) -> Self {
        let services = Rc::clone(services);
        if !stderr().is_terminal() {
            let showing = tokio::task::spawn_local(async move {
                loop {
                    clock.sleep(ELSEWHERE).await;
                    tracing::info!("{}", describe(&services));
                }
            });
            return Self { showing, terminal };
        }
        let line = terminal.line.clone();
        let showing = tokio::task::spawn_local(async move {
            // A run that is over within a moment shows nothing.
            clock.sleep(ON_TERMINAL).await;
            line.set_draw_target(ProgressDrawTarget::stderr());
            loop {
                line.set_message(describe(&services));
                line.tick();
                clock.sleep(ON_TERMINAL).await;
            }
        });
        Self { showing, terminal }
    }

    pub(super) fn stop(self) {
        self.showing.abort();
        self.terminal.line.finish_and_clear();
    }
}

/// `sent to 120 groups, 2 in flight; 38 wait for group messages (20 a second), the last for 1.9 s`
///
/// Writing to a `String` cannot fail, so its results are let go of.
fn describe(services: &Services) -> String {
    let counts = services.tally.counts();
    let mut text = format!("sent to {} groups, {} in flight", counts.sent, counts.in_flight);
    for (count, what) in [
        (counts.rejected, "rejected"),
        (counts.in_doubt, "in doubt"),
        (counts.throttled, "calls refused as too many"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    for quota in services.apps.iter().flat_map(|app| app.quotas().all()) {
        let status = quota.status();
        let waiting: usize = status.waiting.iter().map(|waiting| waiting.calls).sum();
        if let Some(longest) = status.waiting.iter().map(|waiting| waiting.last).max() {
            let (name, pace, seconds) = (status.name, status.pace, longest.as_secs_f64());
            let _ =
                write!(text, "; {waiting} wait for {name} ({pace:.0} a second), the last for {seconds:.1} s");
        }
    }
    text
}
