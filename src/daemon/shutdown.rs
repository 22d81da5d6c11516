//! How a daemon ends: what it is told, what it lets finish, and for how long.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Daemon;

/// What runs get after they were asked to stop, before they are ended.
const LAST: Duration = Duration::from_secs(3);

/// What workers get to be gone once they are ended.
const GONE: Duration = Duration::from_secs(1);

/// What a daemon is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonSignal {
    /// Finish what is in flight and end; said again, end at once.
    Stop,
    /// Look at all files again.
    Look,
    /// Look at what people want of jobs, for somebody has just said something.
    Heed,
}

/// Orders from the signals of this process: SIGTERM and SIGINT stop it, SIGHUP has it look. Must be called within a
/// tokio runtime.
///
/// # Errors
///
/// When the system lets no signal be listened for.
pub fn listen() -> io::Result<(UnboundedSender<DaemonSignal>, UnboundedReceiver<DaemonSignal>)> {
    let (orders, heard) = unbounded_channel();
    for (kind, order) in [
        (SignalKind::terminate(), DaemonSignal::Stop),
        (SignalKind::interrupt(), DaemonSignal::Stop),
        (SignalKind::hangup(), DaemonSignal::Look),
    ] {
        let mut signal = signal(kind)?;
        let orders = orders.clone();
        tokio::task::spawn_local(async move {
            while signal.recv().await.is_some() && orders.send(order).is_ok() {}
        });
    }
    Ok((orders, heard))
}

impl Daemon {
    /// Lets nothing new begin, finishes what is in flight, and returns when that is done or the time is up.
    pub(super) async fn shut_down(&self, orders: &mut UnboundedReceiver<DaemonSignal>) {
        let clock = &self.setup.clock;
        let within = self.setup.registry.settings().serve.stop_within;
        let (runs, broadcasts) = (self.runner.count(), self.keeper.count());
        tracing::info!(runs, broadcasts, within = ?within, "stopping: nothing new begins (again to end at once)");
        // A broadcast goes on from where it stops, so its calls in flight are all that is waited for.
        self.keeper.stop();
        self.runner.stop();
        let deadline = clock.now() + within;
        let idle = async {
            self.runner.idle().await;
            self.keeper.idle().await;
        };
        tokio::pin!(idle);
        let mut patient = true;
        for until in [deadline.saturating_sub(LAST), deadline] {
            if patient {
                tokio::select! {
                    biased;
                    () = &mut idle => return,
                    () = again(orders) => patient = false,
                    () = clock.sleep_until(until) => {}
                }
                self.runner.interrupt();
            }
        }
        self.runner.interrupt();
        let left = clock.timeout(GONE, &mut idle).await.is_err();
        let (runs, broadcasts) = (self.runner.count(), self.keeper.count());
        if left {
            tracing::warn!(runs, broadcasts, "ended with something in flight: the next start settles it");
        }
    }
}

/// Waits until it is told once more to stop.
async fn again(orders: &mut UnboundedReceiver<DaemonSignal>) {
    loop {
        match orders.recv().await {
            Some(DaemonSignal::Stop) => return,
            Some(DaemonSignal::Look | DaemonSignal::Heed) => {}
            None => std::future::pending().await,
        }
    }
}
