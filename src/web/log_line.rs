//! A line of the log, as the page, the API and the log's file have it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLineView {
    /// Its number. The numbers of lines increase by one, also over restarts while the file is kept.
    pub number: u64,
    /// When it was written.
    pub at: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The message, followed by its fields.
    pub text: String,
    /// The job that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// The script that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The broadcast that it is about: its number or NAME/RUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<String>,
}
