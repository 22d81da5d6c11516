//! Ctrl-C: the first press lets calls in flight finish, the second ends the run at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the user pressed, up to two.
type PressCount = u8;

/// The receiving side, which a run observes.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<PressCount>);

/// The sending side, which requests that runs stop.
#[derive(Debug)]
pub struct InterruptSwitch(watch::Sender<PressCount>);

impl InterruptSwitch {
    /// Creates a switch and the receiver that observes it.
    pub fn new() -> (Self, Interrupt) {
        let (sender, receiver) = watch::channel(0);
        (Self(sender), Interrupt(receiver))
    }

    /// The first call requests that a run finishes what is in flight and begins nothing new. The second requests that
    /// it ends at once.
    pub fn press(&self) {
        self.0.send_modify(|presses| *presses = presses.saturating_add(1));
    }
}

impl Interrupt {
    /// Creates an interrupt that never comes.
    pub fn never() -> Self {
        InterruptSwitch::new().1
    }

    /// Whether a run must begin nothing new.
    pub fn is_pressed(&self) -> bool {
        *self.0.borrow() >= 1
    }

    /// Waits until the switch has been pressed at least `presses` times.
    pub async fn pressed(&self, presses: u8) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|now| *now >= presses).await.is_err() {
            // The switch was dropped, so no further press can come.
            std::future::pending::<()>().await;
        }
    }
}

/// Presses the switch at every Ctrl-C and SIGTERM.
pub async fn press_at_signals(switch: InterruptSwitch) {
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
        switch.press();
    }
}
