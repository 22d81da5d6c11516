//! Shows the progress of a run: a live line on a terminal, occasional log lines elsewhere.
//!
//! - `standing`: the state of its broadcasts as text;
//! - `terminal`: the line on a terminal, and the output printed around it.

mod standing;
mod terminal;

use std::io::{IsTerminal, stderr};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::delivery::ActiveBroadcast;

use super::logging::LogFormat;
use standing::{ProgressMeter, ProgressSummary};
pub(super) use terminal::TerminalOutput;

/// The interval of updates on a terminal.
const ON_TERMINAL: Duration = Duration::from_millis(250);

/// The interval of log lines elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(10);

pub(super) trait ProgressSource {
    /// The broadcasts of the run, active and finished ones.
    fn broadcasts(&self) -> Vec<Rc<ActiveBroadcast>>;

    /// The progress of everything else as one line. `None` if nothing else is sent.
    fn others(&self) -> Option<String>;
}

/// Shows the progress of a run until it is stopped.
pub(super) struct ProgressDisplay {
    showing: JoinHandle<()>,
    terminal: TerminalOutput,
}

impl ProgressDisplay {
    pub(super) fn start(
        shown: impl ProgressSource + 'static,
        terminal: TerminalOutput,
        clock: Clock,
        format: LogFormat,
    ) -> Self {
        let showing = if format == LogFormat::Text && stderr().is_terminal() {
            tokio::task::spawn_local(on_terminal(shown, terminal.clone(), clock))
        } else {
            tokio::task::spawn_local(elsewhere(shown, clock, format))
        };
        Self { showing, terminal }
    }

    pub(super) fn stop(self) {
        self.showing.abort();
        self.terminal.end();
    }
}

async fn on_terminal(shown: impl ProgressSource, terminal: TerminalOutput, clock: Clock) {
    // A run that finishes at once shows no progress.
    clock.sleep(ON_TERMINAL).await;
    terminal.begin();
    let mut meter = ProgressMeter::default();
    loop {
        let standing = ProgressSummary::of(&shown.broadcasts(), &mut meter, &clock);
        terminal.show(standing.as_ref(), shown.others());
        clock.sleep(ON_TERMINAL).await;
    }
}

async fn elsewhere(shown: impl ProgressSource, clock: Clock, format: LogFormat) {
    let mut meter = ProgressMeter::default();
    loop {
        // The first reading is the base of the rate.
        let _ = ProgressSummary::of(&shown.broadcasts(), &mut meter, &clock);
        clock.sleep(ELSEWHERE).await;
        if let Some(standing) = ProgressSummary::of(&shown.broadcasts(), &mut meter, &clock) {
            standing.log(format);
        }
        if let Some(others) = shown.others() {
            tracing::info!("{others}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    struct Singles;

    impl ProgressSource for Singles {
        fn broadcasts(&self) -> Vec<Rc<ActiveBroadcast>> {
            Vec::new()
        }

        fn others(&self) -> Option<String> {
            Some("sent to 3 groups".to_owned())
        }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn elsewhere_than_on_a_terminal_a_line_comes_every_ten_seconds() {
        let clock = Clock::simulated(Duration::from_secs(1));
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _log = tracing::subscriber::set_default(log);
        let lines = || String::from_utf8(kept.0.lock().unwrap().clone()).unwrap().matches("3 groups").count();
        let test = async {
            let showing = tokio::task::spawn_local(elsewhere(Singles, clock.clone(), LogFormat::Text));
            for (seconds, written) in [(9, 0), (2, 1), (10, 2), (10, 3)] {
                clock.sleep(Duration::from_secs(seconds)).await;
                assert_eq!(lines(), written);
            }
            showing.abort();
        };
        clock.block_on(test).unwrap();
    }
}
