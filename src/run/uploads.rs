//! Where the uploads of a run go.

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::clock::ClockHold;
use crate::core::UploadOptions;
use crate::delivery::{Delivery, SendableFile};
use crate::protocol::{FailureKind, RequestFailure};

/// A file that a script uploads.
pub(super) struct UploadCall<'a> {
    /// The app's number in the run.
    pub(super) number: u32,
    pub(super) app: &'a Delivery,
    pub(super) file: SendableFile,
    pub(super) options: UploadOptions,
    pub(super) stop: &'a CancellationToken,
    /// Holds the run's clock while the file is read.
    pub(super) hold: ClockHold,
}

/// Takes the files that a run uploads.
#[async_trait(?Send)]
pub(super) trait UploadSink {
    /// Uploads a file, and returns the value that the script gets for it.
    async fn upload(&self, call: UploadCall<'_>) -> Result<Value, RequestFailure>;
}

/// Uploads to the service.
pub(super) struct ServiceUploads;

#[async_trait(?Send)]
impl UploadSink for ServiceUploads {
    async fn upload(&self, call: UploadCall<'_>) -> Result<Value, RequestFailure> {
        send(call).await
    }
}

/// Uploads a file to the service.
pub(super) async fn send(call: UploadCall<'_>) -> Result<Value, RequestFailure> {
    let UploadCall { app, file, options, stop, hold, .. } = call;
    // The request itself takes time of the run's clock.
    drop(hold);
    let uploaded = app.upload(file, options, stop).await?;
    serde_json::to_value(&uploaded).map_err(|error| {
        RequestFailure::new(FailureKind::Invalid, format!("the answer cannot be written as JSON: {error}"))
    })
}
