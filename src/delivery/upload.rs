//! Uploads a file to the service, unless the service has it already.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::client::{MediaInfo, Thumbnail, Upload, UploadError};
use crate::core::{FailureKind, Priority, RequestFailure, UploadOptions};
use crate::ledger::{AppId, Ledger, LedgerError, SentFile};

use super::Delivery;
use super::figures::QuotaKind;

/// How long an uploaded file is used. The service keeps a file for seven days (contract), so each recipient of a
/// message has at least one day to fetch it.
pub(super) const USED: Duration = Duration::from_hours(6 * 24);

#[derive(Debug)]
pub struct SendableFile {
    /// The open file.
    pub file: File,
    pub name: String,
}

/// The options that two uploads of the same content must have in common to share a file.
#[derive(Debug, Serialize, Deserialize)]
struct UploadKey {
    filename: String,
    restrict_access: bool,
    thumbnail: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    force: bool,
}

/// An uploaded file, as scripts see it and put it into a message's `body.file`.
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
    /// Fills in the properties read from the content now; an earlier upload may have read fewer.
    fn describe(&mut self, media: &MediaInfo, force: bool) {
        (self.width, self.height) = (media.width, media.height);
        self.duration = media.duration.map(|duration| duration.as_secs_f64());
        self.media = media.content.name().filter(|_| !force).map(str::to_owned);
    }
}

/// How an upload is recorded in the ledger.
struct UploadRecord<'a> {
    ledger: &'a Ledger,
    app: AppId,
    path: String,
    content: String,
    options: String,
}

impl Delivery {
    /// Uploads a file, unless the service has the same content from an earlier upload with the same options. Two such
    /// uploads at the same time upload once.
    pub async fn upload(
        &self,
        file: SendableFile,
        options: UploadOptions,
        stop: &CancellationToken,
    ) -> Result<UploadedFile, RequestFailure> {
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
            refused.map_err(|error| RequestFailure::invalid("path", format!("{name}: {error}")))?;
        }
        let Some((open, app)) = self.entry().await? else {
            let mut uploaded = self.send_file(&upload, options.priority, stop).await?;
            uploaded.describe(&media, options.force);
            return Ok(uploaded);
        };
        let content = upload.sha256(&self.clock).await.map_err(|error| {
            RequestFailure::invalid("path", format!("{}: it cannot be read: {error}", upload.filename()))
        })?;
        let memory = UploadRecord { ledger: &open.ledger, app, path, content, options: as_json(&how) };
        let mut uploaded = self.upload_once(&upload, &memory, options.reuse, options.priority, stop).await?;
        uploaded.describe(&media, options.force);
        Ok(uploaded)
    }

    /// Uploads again a file that a plan refers to, from its path, if the content there is unchanged. The error says in
    /// a sentence why that cannot be done.
    pub(super) async fn upload_again(
        &self,
        ledger: &Ledger,
        app: AppId,
        known: &SentFile,
        stop: &CancellationToken,
    ) -> Result<UploadedFile, String> {
        let path = &known.path;
        let advice = "put the original file back and resume; or cancel, and send the file that is there now \
         with another `run`";
        let how: UploadKey =
            serde_json::from_str(&known.options).map_err(|error| format!("{path}: {error}"))?;
        // Non-blocking, so that a pipe at this path does not block the open.
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

    fn prepare(&self, file: SendableFile, how: &UploadKey) -> Result<Upload, RequestFailure> {
        let refuse = |error: UploadError| RequestFailure::invalid("path", format!("{}: {error}", file.name));
        Ok(Upload::new(file.file, &how.filename, self.settings.borrow().upload_bytes)
            .map_err(refuse)?
            .restrict_access(how.restrict_access)
            .thumbnail(how.thumbnail.map(|(height, width)| Thumbnail { height, width })))
    }

    /// Uploads, unless the ledger knows a usable file. Uploads of the same content run one at a time.
    async fn upload_once(
        &self,
        upload: &Upload,
        memory: &UploadRecord<'_>,
        reuse: bool,
        priority: Priority,
        stop: &CancellationToken,
    ) -> Result<UploadedFile, RequestFailure> {
        let UploadRecord { ledger, app, .. } = *memory;
        let turn = self.turn_of(format!("{}\n{}", memory.content, memory.options));
        let _turn = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RequestFailure::cancelled("the upload")),
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
            tracing::warn!("could not write the upload of {} to the ledger: {error}", upload.filename());
        }
        Ok(uploaded)
    }

    /// The lock that uploads of the same content take in turn.
    fn turn_of(&self, key: String) -> Rc<tokio::sync::Mutex<()>> {
        let mut uploading = self.uploading.borrow_mut();
        uploading.retain(|_, turn| Rc::strong_count(turn) > 1);
        Rc::clone(uploading.entry(key).or_default())
    }

    /// Uploads a file, with the retries that can help. A file that is uploaded twice does no harm.
    async fn send_file(
        &self,
        upload: &Upload,
        priority: Priority,
        stop: &CancellationToken,
    ) -> Result<UploadedFile, RequestFailure> {
        let request = || self.client.upload(upload, |_| {});
        let uploaded = self.repeat(&self.quotas.uploads, QuotaKind::Upload, priority, stop, request).await?;
        Ok(UploadedFile {
            uuid: uploaded.uuid,
            url: uploaded.url,
            secret: uploaded.secret.map(|secret| secret.expose_secret().to_owned()),
            filename: upload.filename().to_owned(),
            size: upload.size(),
            width: None,
            height: None,
            duration: None,
            media: None,
        })
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

/// The path of an open file. A message may be sent long after the file was closed.
fn path_of(file: &File) -> String {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::read_link(link).map(|path| path.display().to_string()).unwrap_or_default()
}

/// Serializes texts and numbers, which cannot fail.
fn as_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn unknown(error: &LedgerError) -> RequestFailure {
    RequestFailure::new(FailureKind::Unreachable, format!("{error}; nothing was uploaded"))
}
