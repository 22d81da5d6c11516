//! How a run stands, while it goes on: a line that renews itself on a terminal, a log line now and then elsewhere.

use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::host::Services;

/// How often the line on a terminal is renewed.
const ON_TERMINAL: Duration = Duration::from_millis(250);

/// How often a line is written elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Shows how a run stands until it is stopped.
pub(super) struct Progress {
    showing: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn start(services: &Rc<Services>, clock: Clock) -> Self {
        let services = Rc::clone(services);
        if !stderr().is_terminal() {
            let showing = tokio::task::spawn_local(async move {
                loop {
                    clock.sleep(ELSEWHERE).await;
                    tracing::info!("{}", describe(&services));
                }
            });
            return Self { showing, bar: None };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let line = bar.clone();
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
        Self { showing, bar: Some(bar) }
    }

    pub(super) fn stop(self) {
        self.showing.abort();
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writing to a `String` cannot fail, so its results are let go of: `sent to 120 groups, 2 in flight; 38 wait for group messages (20 a second), the last for 1.9 s`
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
