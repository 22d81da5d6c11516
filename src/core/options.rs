//! The options of sends, uploads and recalls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Priority;

/// How a message is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendOptions {
    /// The send's priority among the calls that wait for the same quota.
    pub priority: Priority,
    /// The time after which to give up, including the wait for a permit.
    pub timeout: Option<Duration>,
    /// A key with which the app sends this message at most once, across runs.
    pub once: Option<String>,
    /// Of an announcement: whether to wait until the limits allow it.
    pub wait: bool,
    /// Whether it is also sent to recipients on the suppression list.
    pub overrides: bool,
    /// The script that sends it, for display. The host sets it.
    #[serde(skip)]
    pub origin: String,
    /// The id of the job run that sends it, if one does. The host sets it.
    #[serde(skip)]
    pub job_run: Option<String>,
}

/// How a file is uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadOptions {
    /// Whether readers need the file's secret.
    pub restrict_access: bool,
    /// Height and width of the thumbnail in pixels.
    pub thumbnail: Option<(u32, u32)>,
    /// The name that readers see; `None` for the file's own.
    pub filename: Option<String>,
    /// The upload's priority among the calls that wait for the same quota.
    pub priority: Priority,
    /// Whether an earlier upload of the same content is used.
    pub reuse: bool,
    /// Whether an empty file, or one whose content does not match its name, is uploaded too.
    pub force: bool,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self {
            restrict_access: true,
            thumbnail: None,
            filename: None,
            priority: Priority::Normal,
            reuse: true,
            force: false,
        }
    }
}
