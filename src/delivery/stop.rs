//! A stop signal: tells waiting calls that nothing new is to begin.

use tokio::sync::watch;

/// Sets the signal. It cannot be unset.
#[derive(Debug)]
pub struct StopSwitch(watch::Sender<bool>);

/// The receiving side, which waiting calls check.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<bool>);

impl StopSwitch {
    pub fn new() -> (Self, StopSignal) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), StopSignal(receiver))
    }

    /// Sets the signal. Nothing new begins after it; calls in flight are finished.
    pub fn press(&self) {
        self.0.send_replace(true);
    }
}

impl StopSignal {
    /// Whether the signal is set.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the signal is set.
    pub async fn asked(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            // The switch is dropped, so the signal will never be set.
            std::future::pending::<()>().await;
        }
    }
}
