//! Ctrl-C: the first press lets calls in flight finish, the second ends the run at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Two requests to a run: to finish, and to end at once.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    /// The run finishes what is in flight and begins nothing new.
    pub finish: CancellationToken,
    /// The run ends at once.
    pub end: CancellationToken,
}

impl Interrupt {
    /// Makes the first request, or the second if the first was made.
    pub fn cancel(&self) {
        if self.finish.is_cancelled() { self.end.cancel() } else { self.finish.cancel() }
    }

    /// Makes both requests.
    pub fn end_at_once(&self) {
        self.finish.cancel();
        self.end.cancel();
    }
}

/// Cancels the run at every Ctrl-C and SIGTERM.
pub async fn cancel_at_signals(interrupted: Interrupt) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("cannot handle Ctrl-C; Ctrl-C will end the program at once");
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::warn!(
            "interrupted: finishing the calls in flight and starting no new ones (press Ctrl-C again to end at once)"
        );
        interrupted.cancel();
    }
}
