//! A file on its way to the service, unless the service has it already.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;

use crate::client::{MediaInfo, Thumbnail, Upload, UploadError};
use crate::ledger::{AppId, Ledger, LedgerError, SentFile};
use crate::quota::Priority;

use super::figures::QuotaKind;
use super::retry::{Backoff, PATIENCE};
use super::send::answer_of;
use super::{Delivery, DeliveryError, DeliveryErrorKind, StopSignal, trace};

/// For how long a file at the service is used: it keeps one for seven days (contract), and whoever gets a message has
/// at least one of them to fetch it.
pub(super) const USED: Duration = Duration::from_hours(6 * 24);

/// A file that is to be uploaded.
#[derive(Debug)]
pub struct SendableFile {
    /// The open file.
    pub file: File,
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
    /// Whether what the service has of the same content will do.
    pub reuse: bool,
    /// Whether it is uploaded also when it is empty or not what its name says.
    pub force: bool,
}

/// What makes two uploads of the same content the same.
#[derive(Debug, Serialize, Deserialize)]
struct UploadKey {
    filename: String,
    restrict_access: bool,
    thumbnail: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    force: bool,
}

/// A file at the service, as scripts see it and put it into a message's `body.file`.
#[derive(Serialize, Deserialize)]
pub struct UploadedFile {
    uuid: String,
    pub(super) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
    filename: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media: Option<String>,
}

impl UploadedFile {
    /// What the file says of itself, as it is read now; an earlier upload may have read less.
    fn describe(&mut self, media: &MediaInfo, force: bool) {
        (self.width, self.height) = (media.width, media.height);
        self.duration = media.duration.map(|duration| duration.as_secs_f64());
        self.media = media.content.name().filter(|_| !force).map(str::to_owned);
    }
}

/// Where an upload is remembered.
struct UploadRecord<'a> {
    ledger: &'a Ledger,
    app: AppId,
    path: String,
    content: String,
    options: String,
}

impl Delivery {
    /// Uploads a file, unless the service has the same content from an earlier upload with the same options. Two at
    /// once upload once.
    ///
    /// # Errors
    ///
    /// [`Undelivered`].
    pub async fn upload(
        &self,
        file: SendableFile,
        options: UploadOptions,
        stop: &StopSignal,
    ) -> Result<UploadedFile, DeliveryError> {
        let how = UploadKey {
            filename: options.filename.unwrap_or_else(|| file.name.clone()),
            restrict_access: options.restrict_access,
            thumbnail: options.thumbnail,
            force: options.force,
        };
        let path = path_of(&file.file);
        let name = file.name.clone();
        let upload = self.prepare(file, &how)?;
        let media = upload.media(&self.clock).await;
        if !options.force {
            let refused = upload.check_content(&media);
            refused.map_err(|error| {
                DeliveryError::new(DeliveryErrorKind::Unusable, format!("{name}: {error}"))
            })?;
        }
        let Some((open, app)) = self.entry().await? else {
            let mut uploaded = self.send_file(&upload, options.priority, stop).await?;
            uploaded.describe(&media, options.force);
            return Ok(uploaded);
        };
        let content = upload.sha256(&self.clock).await.map_err(|error| {
            DeliveryError::new(
                DeliveryErrorKind::Unusable,
                format!("{}: it cannot be read: {error}", upload.filename()),
            )
        })?;
        let memory = UploadRecord { ledger: &open.ledger, app, path, content, options: as_json(&how) };
        let mut uploaded = self.upload_once(&upload, &memory, options.reuse, options.priority, stop).await?;
        uploaded.describe(&media, options.force);
        Ok(uploaded)
    }

    /// Uploads a file anew that a plan refers to: from where it was, if it still is what it was. The error says in a
    /// sentence why that cannot be.
    pub(super) async fn upload_again(
        &self,
        ledger: &Ledger,
        app: AppId,
        known: &SentFile,
        stop: &StopSignal,
    ) -> Result<UploadedFile, String> {
        let path = &known.path;
        let advice = "put the very file back there and resume; or cancel, and send under another run with what is there now";
        let how: UploadKey =
            serde_json::from_str(&known.options).map_err(|error| format!("{path}: {error}"))?;
        // A pipe that stands there now is not waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(path.as_str(), flags, Mode::empty()).map(File::from).map_err(|error| {
            format!("the file {path} has to be uploaded again, because it expires at the service, and it cannot be opened: {error}; {advice}")
        })?;
        let file = SendableFile { file, name: path.clone() };
        let upload = self.prepare(file, &how).map_err(|error| error.message)?;
        let content = upload.sha256(&self.clock).await.map_err(|error| format!("{path}: {error}"))?;
        if content != known.content {
            return Err(format!(
                "the file {path} has to be uploaded again, because it expires at the service, and it has changed since the plan was fixed; {advice}"
            ));
        }
        let memory =
            UploadRecord { ledger, app, path: path.clone(), content, options: known.options.clone() };
        self.upload_once(&upload, &memory, true, Priority::Normal, stop).await.map_err(|error| error.message)
    }

    fn prepare(&self, file: SendableFile, how: &UploadKey) -> Result<Upload, DeliveryError> {
        let refuse = |error: UploadError| {
            DeliveryError::new(DeliveryErrorKind::Unusable, format!("{}: {error}", file.name))
        };
        Ok(Upload::new(file.file, &how.filename, self.settings.borrow().upload_bytes)
            .map_err(refuse)?
            .restrict_access(how.restrict_access)
            .thumbnail(how.thumbnail.map(|(height, width)| Thumbnail { height, width })))
    }

    /// Uploads, unless the ledger knows a file that will do; one at a time of the same content.
    async fn upload_once(
        &self,
        upload: &Upload,
        memory: &UploadRecord<'_>,
        reuse: bool,
        priority: Priority,
        stop: &StopSignal,
    ) -> Result<UploadedFile, DeliveryError> {
        let UploadRecord { ledger, app, .. } = *memory;
        let turn = self.turn_of(format!("{}\n{}", memory.content, memory.options));
        let _turn = tokio::select! {
            biased;
            () = stop.asked() => return Err(DeliveryError::cancelled("the upload")),
            turn = turn.lock() => turn,
        };
        if reuse {
            let found = ledger.upload_find(app, &memory.content, &memory.options).await;
            let found = found.map_err(|error| unknown(&error))?;
            if let Some((file, expires_at)) = found
                && let Ok(uploaded) = serde_json::from_str::<UploadedFile>(&file)
            {
                let known = memory.sent(&uploaded, expires_at);
                ledger.file_put(app, &known).await.map_err(|error| unknown(&error))?;
                tracing::debug!("the service has {} already", upload.filename());
                return Ok(uploaded);
            }
        }
        let expires_at = self.clock.unix_time() + USED;
        let uploaded = self.send_file(upload, priority, stop).await?;
        let file = as_json(&uploaded);
        let written = async {
            ledger.file_put(app, &memory.sent(&uploaded, expires_at)).await?;
            ledger.upload_put(app, &memory.content, &memory.options, &file, expires_at).await
        };
        if let Err(error) = written.await {
            tracing::warn!("that {} was uploaded is not in the ledger: {error}", upload.filename());
        }
        Ok(uploaded)
    }

    /// What those wait for in turn who upload the same content.
    fn turn_of(&self, key: String) -> Rc<tokio::sync::Mutex<()>> {
        let mut uploading = self.uploading.borrow_mut();
        uploading.retain(|_, turn| Rc::strong_count(turn) > 1);
        Rc::clone(uploading.entry(key).or_default())
    }

    /// Uploads a file, and repeats for as long as that can help. A file that was uploaded twice
    /// is only a file too many.
    async fn send_file(
        &self,
        upload: &Upload,
        priority: Priority,
        stop: &StopSignal,
    ) -> Result<UploadedFile, DeliveryError> {
        let mut backoff = Backoff::of(&self.clock);
        let give_up = self.clock.now() + PATIENCE;
        loop {
            let mut permit = self.permit(&self.quotas.uploads, 1, priority, None, stop).await?;
            permit.written();
            let began = self.clock.now();
            let span = trace::request(&self.name, QuotaKind::Upload, 0);
            let result = self.client.upload(upload, |_| {}).instrument(span.clone()).await;
            trace::answered(&span, result.as_ref().err());
            permit.answered(answer_of(result.as_ref().err()));
            self.figures.request(QuotaKind::Upload, result.as_ref().err(), self.clock.now() - began);
            let failure = match result {
                Ok(uploaded) => {
                    return Ok(UploadedFile {
                        uuid: uploaded.uuid,
                        url: uploaded.url,
                        secret: uploaded.secret.map(|secret| secret.expose_secret().to_owned()),
                        filename: upload.filename().to_owned(),
                        size: upload.size(),
                        width: None,
                        height: None,
                        duration: None,
                        media: None,
                    });
                }
                Err(failure) => failure,
            };
            self.before_another(failure, &mut backoff, give_up, stop).await?;
        }
    }
}

impl UploadRecord<'_> {
    fn sent(&self, uploaded: &UploadedFile, expires_at: Duration) -> SentFile {
        SentFile {
            url: uploaded.url.clone(),
            path: self.path.clone(),
            content: self.content.clone(),
            options: self.options.clone(),
            expires_at,
        }
    }
}

/// Where an open file is: messages may have to be sent long after it was closed.
fn path_of(file: &File) -> String {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::read_link(link).map(|path| path.display().to_string()).unwrap_or_default()
}

/// Texts and numbers: they have a JSON form.
fn as_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn unknown(error: &LedgerError) -> DeliveryError {
    DeliveryError::new(DeliveryErrorKind::Unrecorded, format!("{error}; nothing was uploaded"))
}
