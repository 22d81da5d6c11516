//! Checks a file as an upload would, for rehearsals.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::client::{Upload, UploadError};
use crate::core::{Priority, RequestFailure};

use super::{Delivery, SendableFile};

/// The properties of a file that its content shows.
#[derive(Debug, Clone, PartialEq)]
pub struct FileDetails {
    /// The name that readers would see.
    pub filename: String,
    /// The size in bytes.
    pub size: u64,
    /// The width in pixels; `None` if unknown.
    pub width: Option<u32>,
    /// The height in pixels; `None` if unknown.
    pub height: Option<u32>,
    /// The playing time; `None` if unknown.
    pub duration: Option<Duration>,
    /// `image`, `audio`, `video` or `other`; `None` if unknown or if the script set `force`.
    pub media: Option<&'static str>,
}

impl Delivery {
    /// Checks a file as [`Delivery::upload`] does and waits for its permit. The file is not uploaded.
    ///
    /// # Errors
    ///
    /// [`crate::core::FailureKind::Invalid`] when it is too large or no file, `Cancelled` when `stop`
    /// is cancelled.
    pub async fn inspect(
        &self,
        file: SendableFile,
        filename: Option<&str>,
        force: bool,
        priority: Priority,
        stop: &CancellationToken,
    ) -> Result<FileDetails, RequestFailure> {
        let shown = file.name;
        let refuse = |error: UploadError| RequestFailure::invalid("path", format!("{shown}: {error}"));
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
