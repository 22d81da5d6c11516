//! A file on its way to the service.

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::client::{Thumbnail, Upload, UploadError};
use crate::quota::Priority;

use super::retry::{Backoff, PATIENCE};
use super::send::answer_of;
use super::{Delivery, Reason, Stop, Undelivered};

/// A file that is to be uploaded.
#[derive(Debug)]
pub struct SendableFile {
    /// The open file.
    pub file: std::fs::File,
    /// Its name.
    pub name: String,
}

/// How a file is uploaded.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    /// Whether readers need the file's secret.
    pub restrict_access: bool,
    /// Height and width of the thumbnail in pixels.
    pub thumbnail: Option<(u32, u32)>,
    /// The name that readers see; the file's own by default.
    pub filename: Option<String>,
    /// Its place among those that wait for the same quota.
    pub priority: Priority,
}

/// A file at the service, as scripts see it and put it into a message's `body.file`.
#[derive(Serialize)]
pub struct Uploaded {
    uuid: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    filename: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
}

impl Delivery {
    /// Uploads a file: checks its size, looks at what is in it, and repeats for as long as that can help. A file that
    /// was uploaded twice is only a file too many.
    ///
    /// # Errors
    ///
    /// [`Undelivered`].
    pub async fn upload(
        &self,
        file: SendableFile,
        options: UploadOptions,
        stop: &Stop,
    ) -> Result<Uploaded, Undelivered> {
        let name = options.filename.unwrap_or_else(|| file.name.clone());
        let refuse =
            |error: UploadError| Undelivered::new(Reason::Unusable, format!("{}: {error}", file.name));
        let upload = Upload::new(file.file, &name, self.settings.upload_bytes)
            .map_err(refuse)?
            .restrict_access(options.restrict_access)
            .thumbnail(options.thumbnail.map(|(height, width)| Thumbnail { height, width }));
        let media = upload.media(&self.clock).await;
        let mut backoff = Backoff::default();
        let give_up = self.clock.now() + PATIENCE;
        loop {
            let mut permit = self.permit(&self.quotas.uploads, 1, options.priority, None, stop).await?;
            permit.written();
            let result = self.client.upload(&upload, |_| {}).await;
            permit.answered(answer_of(result.as_ref().err()));
            let failure = match result {
                Ok(uploaded) => {
                    return Ok(Uploaded {
                        uuid: uploaded.uuid,
                        url: uploaded.url,
                        secret: uploaded.secret.map(|secret| secret.expose_secret().to_owned()),
                        filename: upload.filename().to_owned(),
                        size: upload.size(),
                        width: media.width,
                        height: media.height,
                        duration: media.duration.map(|duration| duration.as_secs_f64()),
                    });
                }
                Err(failure) => failure,
            };
            self.before_another(failure, &mut backoff, give_up, stop).await?;
        }
    }
}
