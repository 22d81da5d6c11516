//! A file that is looked at as if it were uploaded: for rehearsals.

use std::time::Duration;

use crate::client::{Upload, UploadError};
use crate::quota::Priority;

use super::{Delivery, DeliveryError, DeliveryErrorKind, SendableFile, StopSignal};

/// What a file is, as far as it says.
#[derive(Debug, Clone, PartialEq)]
pub struct FileDetails {
    /// The name that readers would see.
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// In pixels.
    pub width: Option<u32>,
    /// In pixels.
    pub height: Option<u32>,
    /// How long it plays.
    pub duration: Option<Duration>,
    /// `image`, `audio`, `video` or `other`, where that is known and the script did not say `force`.
    pub media: Option<&'static str>,
}

impl Delivery {
    /// Checks a file as [`Delivery::upload`] does, and waits for its turn; then it stays where it is.
    ///
    /// # Errors
    ///
    /// [`Reason::Unusable`] when it is too large or no file, [`Reason::Cancelled`] when `stop` is pressed.
    pub async fn inspect(
        &self,
        file: SendableFile,
        filename: Option<&str>,
        force: bool,
        priority: Priority,
        stop: &StopSignal,
    ) -> Result<FileDetails, DeliveryError> {
        let shown = file.name;
        let refuse =
            |error: UploadError| DeliveryError::new(DeliveryErrorKind::Unusable, format!("{shown}: {error}"));
        let name = filename.unwrap_or(&shown);
        let upload = Upload::new(file.file, name, self.settings.borrow().upload_bytes).map_err(refuse)?;
        let media = upload.media(&self.clock).await;
        if !force {
            upload.check_content(&media).map_err(refuse)?;
        }
        let mut permit = self.permit(&self.quotas.uploads, 1, priority, None, stop).await?;
        permit.written();
        permit.answered(crate::quota::PermitOutcome::Accepted);
        Ok(FileDetails {
            filename: upload.filename().to_owned(),
            size: upload.size(),
            width: media.width,
            height: media.height,
            duration: media.duration,
            media: media.content.name().filter(|_| !force),
        })
    }
}
