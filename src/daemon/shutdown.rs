//! How a daemon ends: the signals it accepts, what it finishes, and how long that may take.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Daemon;

/// The time between the request to stop a run and its forced end.
const LAST: Duration = Duration::from_secs(3);

/// The time that workers get to exit after their forced end.
const GONE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonSignal {
    /// Finish what is in flight and exit. A second one exits at once.
    Stop,
    /// Scan all files again.
    Rescan,
    /// Poll the commands now, because a new one was just written.
    PollCommands,
}

/// Converts the signals of this process: SIGTERM and SIGINT stop the daemon, SIGHUP requests a scan. Must be called
/// within a tokio runtime.
pub fn listen() -> io::Result<(UnboundedSender<DaemonSignal>, UnboundedReceiver<DaemonSignal>)> {
    let (signals, receiver) = unbounded_channel();
    for (kind, meaning) in [
        (SignalKind::terminate(), DaemonSignal::Stop),
        (SignalKind::interrupt(), DaemonSignal::Stop),
        (SignalKind::hangup(), DaemonSignal::Rescan),
    ] {
        let mut arrivals = signal(kind)?;
        let signals = signals.clone();
        tokio::task::spawn_local(async move {
            while arrivals.recv().await.is_some() && signals.send(meaning).is_ok() {}
        });
    }
    Ok((signals, receiver))
}

impl Daemon {
    /// Starts nothing new and finishes what is in flight. Returns when that is done or the time limit is reached.
    pub(super) async fn shut_down(&self, signals: &mut UnboundedReceiver<DaemonSignal>) {
        let clock = &self.setup.clock;
        let within = self.setup.registry.settings().serve.stop_within;
        let (runs, broadcasts) = (self.runner.count(), self.supervisor.count());
        tracing::info!(runs, broadcasts, within = ?within, "shutting down: waiting for runs and broadcasts in flight; send the signal again to stop at once");
        // A broadcast continues later from where it stops, so only its calls in flight are waited for.
        self.supervisor.stop();
        self.runner.stop();
        let deadline = clock.now() + within;
        let idle = async {
            self.runner.idle().await;
            self.supervisor.idle().await;
        };
        tokio::pin!(idle);
        let mut patient = true;
        for until in [deadline.saturating_sub(LAST), deadline] {
            if patient {
                tokio::select! {
                    biased;
                    () = &mut idle => return,
                    () = again(signals) => patient = false,
                    () = clock.sleep_until(until) => {}
                }
                self.runner.interrupt();
            }
        }
        self.runner.interrupt();
        let left = clock.timeout(GONE, &mut idle).await.is_err();
        let (runs, broadcasts) = (self.runner.count(), self.supervisor.count());
        if left {
            tracing::warn!(
                runs,
                broadcasts,
                "stopped before all runs and broadcasts ended; the next start continues them"
            );
        }
    }
}

/// Waits for a second stop signal.
async fn again(signals: &mut UnboundedReceiver<DaemonSignal>) {
    loop {
        match signals.recv().await {
            Some(DaemonSignal::Stop) => return,
            Some(DaemonSignal::Rescan | DaemonSignal::PollCommands) => {}
            None => std::future::pending().await,
        }
    }
}
