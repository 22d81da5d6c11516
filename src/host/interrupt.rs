//! Ctrl-C: once to finish what is in flight, twice to end at once.

use tokio::sync::watch;

/// How often it was pressed, up to two.
type PressCount = u8;

/// What a run looks at.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<PressCount>);

/// What asks runs to stop.
#[derive(Debug)]
pub struct InterruptSwitch(watch::Sender<PressCount>);

impl InterruptSwitch {
    /// A switch and what looks at it.
    #[must_use]
    pub fn new() -> (Self, Interrupt) {
        let (sender, receiver) = watch::channel(0);
        (Self(sender), Interrupt(receiver))
    }

    /// Asks to finish what is in flight and begin nothing new; asked again, to end at once.
    pub fn press(&self) {
        self.0.send_modify(|presses| *presses = presses.saturating_add(1));
    }
}

impl Interrupt {
    /// Whether nothing new should begin.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        *self.0.borrow() >= 1
    }

    /// Waits until it was pressed this often.
    pub async fn pressed(&self, presses: u8) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|now| *now >= presses).await.is_err() {
            // The switch is gone: nobody will ever press it again.
            std::future::pending::<()>().await;
        }
    }
}
