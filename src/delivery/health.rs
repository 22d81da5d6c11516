//! Checks whether the service of an app can be reached, for `doctor`.

use std::time::Duration;

use super::Delivery;
use crate::core::RequestFailure;

/// The result of a check of the service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceHealth {
    /// The service's wall-clock time since 1970; `None` if its answer had none.
    pub service_time: Option<Duration>,
}

impl Delivery {
    /// Logs in and asks the service once for a single group. Sends no message.
    pub async fn examine(&self) -> Result<ServiceHealth, RequestFailure> {
        if self.ledger.as_ref().is_some_and(|recorded| recorded.ledger.keeps_app_tokens()) {
            self.entry().await?;
        }
        let page = self.client.groups_page(None, 1).await.map_err(RequestFailure::from_failure)?;
        Ok(ServiceHealth { service_time: page.timestamp })
    }
}
