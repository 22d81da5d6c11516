//! Fetches a picture of the app, to show it to operators.

use crate::client::{CallError, Picture};

use super::Delivery;

impl Delivery {
    /// Fetches the thumbnail of a file at the service, as [`crate::client::Client::picture`] does. It counts against no
    /// quota.
    ///
    /// # Errors
    ///
    /// The address is not that of a file of this app, the file is no picture, or the call failed.
    pub async fn picture(&self, url: &str, secret: Option<&str>) -> Result<Picture, CallError> {
        self.client.picture(url, secret).await
    }
}
