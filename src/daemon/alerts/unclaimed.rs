//! Alerts whose receiver was renamed or removed.

use std::collections::BTreeSet;

use crate::ledger::{AdoptedAlerts, AlertAddress, LedgerError};

use super::{AlertSender, PATIENCE};

impl AlertSender {
    /// Finds receivers for the alerts of those that the settings do not have.
    pub(super) async fn adopt(&self) -> Result<(), LedgerError> {
        let receivers: Vec<AlertAddress> =
            self.receivers.borrow().iter().map(|receiver| receiver.address.clone()).collect();
        let AdoptedAlerts { moved, waiting, dropped } =
            self.ledger.adopt_alerts(&receivers, PATIENCE).await?;
        for (from, to, pending) in &moved {
            tracing::info!(
                from,
                to,
                pending,
                "the alerts of a renamed receiver go to the receiver that has its URL"
            );
        }
        for (receiver, key) in dropped {
            tracing::error!(key, receiver, "alert dropped: for 3 days no receiver had this name or its URL");
        }
        let names: BTreeSet<String> = waiting.iter().map(|(receiver, _)| receiver.clone()).collect();
        let told = self.unclaimed.replace(names);
        for (receiver, pending) in waiting.into_iter().filter(|(receiver, _)| !told.contains(receiver)) {
            tracing::warn!(
                receiver,
                pending,
                "alerts wait for a receiver that the settings do not have; name a receiver so or give one its URL, or they are dropped 3 days after they were raised"
            );
        }
        if !moved.is_empty() {
            self.raised.send_modify(|count| *count += 1);
        }
        Ok(())
    }
}
