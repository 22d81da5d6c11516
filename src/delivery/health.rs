//! Whether an app can be reached at all, for `doctor`.

use std::time::Duration;

use super::{Delivery, DeliveryError};

/// What a look at the service found.
#[derive(Debug, Clone, Copy)]
pub struct ServiceHealth {
    /// The service's wall-clock time since 1970, where it told.
    pub service_time: Option<Duration>,
}

impl Delivery {
    /// Logs in and asks the service for a single group, once. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`Undelivered`] that says what is wrong with the address, the credentials or the service.
    pub async fn examine(&self) -> Result<ServiceHealth, DeliveryError> {
        // On a store that many hosts share, the token is theirs too.
        if self.ledger.as_ref().is_some_and(|recorded| recorded.book.is_shared()) {
            self.entry().await?;
        }
        let page = self.client.groups_page(None, 1).await.map_err(DeliveryError::from_failure)?;
        Ok(ServiceHealth { service_time: page.timestamp })
    }
}
