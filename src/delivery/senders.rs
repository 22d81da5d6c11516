//! Stores the senders of single messages, so that the service's records of these messages are kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Instant;
use crate::core::RequestFailure;
use crate::ledger::{AppId, Ledger};
use crate::message::{DEFAULT_SENDER, Message};

use super::Delivery;
use super::record::unrecorded;

/// How often a sender that is in use is stored again.
const EVERY: Duration = Duration::from_hours(1);

/// The most senders that are remembered as stored.
const MOST: usize = 10_000;

/// The senders that this process has stored, and when.
#[derive(Debug, Default)]
pub(super) struct StoredSenders(RefCell<HashMap<String, Instant>>);

impl Delivery {
    /// Stores the sender of a message, unless this process did so within the last hour.
    pub(super) async fn store_sender(
        &self,
        ledger: &Ledger,
        app: AppId,
        message: &Message,
    ) -> Result<(), RequestFailure> {
        let sender = message.draft().from().unwrap_or(DEFAULT_SENDER);
        let now = self.clock.now();
        let is_stored = |at: &Instant| now.saturating_since(*at) < EVERY;
        if self.senders.0.borrow().get(sender).is_some_and(is_stored) {
            return Ok(());
        }
        ledger.store_senders(app, &[sender]).await.map_err(|error| unrecorded(&error))?;
        let mut stored = self.senders.0.borrow_mut();
        if stored.len() >= MOST {
            stored.clear();
        }
        stored.insert(sender.to_owned(), now);
        Ok(())
    }
}
