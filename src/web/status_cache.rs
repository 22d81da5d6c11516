//! The current overview: read on request, and once a second while a client follows it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::AppState;
use crate::control::Overview;

/// The interval of updates while a client follows.
const OFTEN: Duration = Duration::from_secs(1);

/// Reads and publishes the overview.
pub(super) struct StatusCache {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
}

/// A handle to follow the overview.
#[derive(Clone)]
pub(super) struct StatusWatch {
    shown: watch::Sender<Option<Arc<Overview>>>,
    wanted: Arc<Notify>,
}

impl StatusWatch {
    /// Receives each overview from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<Arc<Overview>>> {
        let mut receiver = self.shown.subscribe();
        receiver.mark_unchanged();
        self.wanted.notify_one();
        receiver
    }
}

impl StatusCache {
    pub(super) fn new() -> (Self, StatusWatch) {
        let (shown, wanted) = (watch::Sender::new(None), Arc::new(Notify::new()));
        let watch = StatusWatch { shown: shown.clone(), wanted: Arc::clone(&wanted) };
        (Self { shown, wanted }, watch)
    }

    /// Updates the overview once a second while a client follows it; never returns.
    pub(super) async fn poll(&self, state: &AppState) {
        loop {
            if self.shown.receiver_count() == 0 {
                self.wanted.notified().await;
            }
            match state.overview().await {
                Ok(overview) => {
                    self.shown.send_replace(Some(Arc::new(overview)));
                }
                Err(error) => tracing::warn!("cannot read the daemon's state from the ledger: {error}"),
            }
            state.clock.sleep(OFTEN).await;
        }
    }
}
