//! How those who wait for a permit are told that nothing new is to begin.

use tokio::sync::watch;

/// Told once, for good.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

/// What whoever waits looks at.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSwitch {
    /// A switch and what looks at it.
    #[must_use]
    pub fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), StopSignal(receiver))
    }

    /// From here on nothing new begins; what is in flight is finished.
    pub fn press(&self) {
        self.0.send_replace(true);
    }
}

impl StopSignal {
    /// Whether nothing new is to begin.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until nothing new is to begin.
    pub async fn asked(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            // The switch is gone: nobody will ever press it.
            std::future::pending::<()>().await;
        }
    }
}
