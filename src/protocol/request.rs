//! A worker's requests and the host's answers.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::core::{Call, Priority, RestQuota, SendOptions, SuppressedKind, UploadOptions};

use super::capped;
use super::{BroadcastStep, ConsoleStep, JobDeclaration, LuaSource, RequestFailure, StoreRequest, TestStep};

/// The most messages that one [`HostRequest::Recall`] may name.
pub const MAX_RECEIPTS: usize = 100_000;

/// The most groups that one [`HostRequest::GroupDetails`] may name.
pub const MAX_DETAILS: usize = 10_000;

/// The most ids that one [`HostRequest::Suppress`] may name.
pub const MAX_SUPPRESSED: usize = 10_000;

/// The most headers of a request, and the most parts of a value. No server accepts more.
const MAX_PARTS: usize = 1000;

/// A request of a script. `app` is an index into [`StartFrame::apps`](super::StartFrame).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum HostRequest {
    /// Send a message. Answered by [`HostResponse::Receipts`].
    Send {
        /// The app to send through.
        app: u32,
        /// The sending call.
        call: Call,
        /// The message as JSON.
        message: Bytes,
        /// How to send it.
        options: SendOptions,
    },
    /// Check a message and send nothing. Answered by [`HostResponse::Nothing`] or a failure that names every problem.
    Check {
        /// The app whose limits apply.
        app: u32,
        /// The call that it is for. Without it, a message with `users` is a targeted one and any other a group message.
        call: Option<Call>,
        /// The message as JSON.
        message: Bytes,
    },
    /// Upload a file. Answered by [`HostResponse::Json`].
    Upload {
        /// The app to upload to.
        app: u32,
        /// The file's path, relative to the project.
        path: String,
        /// How to upload it.
        options: UploadOptions,
    },
    /// Read one page of the app's groups. Answered by [`HostResponse::Json`]: `{items, next}`.
    Groups {
        app: u32,
        /// The end of the page before. None for the first page.
        cursor: Option<String>,
    },
    /// Read one page of a group's members. Answered by [`HostResponse::Json`]: `{items, next}`.
    Members {
        app: u32,
        group_id: String,
        /// The page, from 1.
        page: u32,
    },
    /// Read the details of groups. Answered by [`HostResponse::Json`]: a list, without those that do not exist.
    GroupDetails {
        app: u32,
        #[serde(deserialize_with = "capped::list::<_, _, MAX_DETAILS>")]
        ids: Vec<String>,
    },
    /// Recall messages. Answered by [`HostResponse::Json`].
    Recall {
        /// The app that sent them.
        app: u32,
        /// (group id, message id), at most [`MAX_RECEIPTS`].
        #[serde(deserialize_with = "capped::list::<_, _, MAX_RECEIPTS>")]
        receipts: Vec<(String, String)>,
        asked: RecallRequest,
    },
    /// Recall the messages of a broadcast. Answered by [`HostResponse::Json`].
    RecallBroadcast {
        /// The app that sent it.
        app: u32,
        name: String,
        run: String,
        asked: RecallRequest,
    },
    /// Edit sent messages. Answered by [`HostResponse::Json`].
    Edit {
        /// The app that sent them.
        app: u32,
        /// (group id, message id), at most [`MAX_RECEIPTS`].
        #[serde(deserialize_with = "capped::list::<_, _, MAX_RECEIPTS>")]
        receipts: Vec<(String, String)>,
        /// The new `body`, `ext` or both, as JSON.
        change: Bytes,
        priority: Priority,
    },
    /// Put recipients on the suppression list. Answered by [`HostResponse::Nothing`].
    Suppress {
        app: u32,
        kind: SuppressedKind,
        /// At most [`MAX_SUPPRESSED`].
        #[serde(deserialize_with = "capped::list::<_, _, MAX_SUPPRESSED>")]
        ids: Vec<String>,
        reason: Option<String>,
        /// How long they stay on it. None for no end.
        expires: Option<Duration>,
    },
    /// Make another call of the app's REST API. Answered by [`HostResponse::Json`]: `{status, body, rehearsed?}`.
    Rest(Box<RestRequest>),
    Broadcast(BroadcastStep),
    /// Declare a job. Answered by [`HostResponse::Nothing`].
    Declare(Box<JobDeclaration>),
    /// Wait. Answered by [`HostResponse::Nothing`].
    Sleep {
        /// The duration in milliseconds.
        ms: u64,
    },
    /// Read the wall clock. Answered by [`HostResponse::Number`]: seconds since 1970, UTC.
    Now,
    /// Read the text of a module. Answered by [`HostResponse::Source`].
    Require(String),
    /// Read a file. Answered by [`HostResponse::Bytes`].
    FileRead(String),
    /// Write a file. Answered by [`HostResponse::Nothing`].
    FileWrite {
        /// The file's path, relative to the project.
        path: String,
        content: Bytes,
        /// Whether to append the content to the file.
        append: bool,
    },
    /// List the names in a folder. Answered by [`HostResponse::Json`], a list.
    FileList(String),
    /// Describe a path. Answered by [`HostResponse::Json`]: `{type, size, modified}` or null.
    FileInfo(String),
    /// Create a folder and its missing parents. Answered by [`HostResponse::Nothing`].
    MakeFolder(String),
    /// Remove a file or an empty folder. Answered by [`HostResponse::Nothing`].
    Remove(String),
    /// Read an environment variable. Answered by [`HostResponse::Json`], a string or null.
    Env(String),
    /// Describe the host. Answered by [`HostResponse::Json`]: `{name, version}`.
    HostInfo,
    /// Check that a secret with this name exists. Answered by [`HostResponse::Nothing`].
    Secret(String),
    /// Send an HTTP request to another service. Answered by [`HostResponse::Response`].
    Http(Box<HttpRequest>),
    /// Read or change the script's durable data. Answered by [`HostResponse::Json`].
    Store(StoreRequest),
    /// A step of a test. Answered by [`HostResponse::Nothing`] or [`HostResponse::Json`].
    Test(Box<TestStep>),
    /// A step of a console. Answered by [`HostResponse::Nothing`] or [`HostResponse::Json`].
    Console(ConsoleStep),
}

/// How messages are recalled.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RecallRequest {
    /// The call that sent the messages. None for a call to groups; a broadcast has its own.
    pub kind: Option<Call>,
    /// Whether to recall messages that are older than the service's window.
    pub force: bool,
    /// The user who recalls. None for the app's admin.
    pub from: Option<String>,
    /// A text for the members' clients.
    pub note: Option<String>,
    /// Whether the recall goes on if it deletes files that other broadcasts use.
    pub with_attachments: bool,
}

/// What a request does besides its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestEffect {
    /// It has effects outside of the host, and its answer may have to wait for a time of the clock.
    ReachesOut,
    /// Its answer may have to wait for a time of the clock.
    TakesTime,
    /// It only reads or declares.
    OnlyLooks,
    /// It changes something in the host, at once.
    Changes,
}

impl HostRequest {
    const fn effect(&self) -> RequestEffect {
        match self {
            Self::Send { .. }
            | Self::Upload { .. }
            | Self::Recall { .. }
            | Self::RecallBroadcast { .. }
            | Self::Edit { .. }
            | Self::Http(_)
            | Self::Rest(_)
            | Self::Broadcast(BroadcastStep::Wait { .. }) => RequestEffect::ReachesOut,
            Self::Groups { .. }
            | Self::Members { .. }
            | Self::GroupDetails { .. }
            | Self::Sleep { .. }
            | Self::Console(_) => RequestEffect::TakesTime,
            Self::Check { .. }
            | Self::Declare(_)
            | Self::Now
            | Self::Require(_)
            | Self::FileRead(_)
            | Self::FileList(_)
            | Self::FileInfo(_)
            | Self::Env(_)
            | Self::HostInfo
            | Self::Secret(_) => RequestEffect::OnlyLooks,
            Self::Store(request) if request.step.only_looks() => RequestEffect::OnlyLooks,
            Self::Test(step) if step.takes_time() => RequestEffect::TakesTime,
            Self::Test(step) if step.only_looks() => RequestEffect::OnlyLooks,
            Self::Broadcast(_)
            | Self::Suppress { .. }
            | Self::FileWrite { .. }
            | Self::MakeFolder(_)
            | Self::Remove(_)
            | Self::Store(_)
            | Self::Test(_) => RequestEffect::Changes,
        }
    }

    /// Whether the request has effects outside of the host. A shutdown waits for such requests.
    pub const fn reaches_out(&self) -> bool {
        matches!(self.effect(), RequestEffect::ReachesOut)
    }

    /// Whether the answer may have to wait for a time of the clock. A simulated clock stands still while any other
    /// request is answered.
    pub const fn takes_time(&self) -> bool {
        matches!(self.effect(), RequestEffect::ReachesOut | RequestEffect::TakesTime)
    }

    /// Whether the request only reads, so that a script that is only checked may make it.
    pub const fn only_looks(&self) -> bool {
        matches!(self.effect(), RequestEffect::OnlyLooks)
    }
}

/// A text that contains secrets only by name. The host fills them in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpValue(#[serde(deserialize_with = "capped::list::<_, _, MAX_PARTS>")] pub Vec<HttpValuePart>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpValuePart {
    Text(Bytes),
    Secret(String),
}

/// A request of the `http` module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// The method: GET, POST…
    pub method: String,
    /// The full URL.
    pub url: String,
    /// What is added to the URL's query: names and values, without percent-encoding.
    #[serde(deserialize_with = "capped::list::<_, _, MAX_PARTS>")]
    pub query: Vec<(String, HttpValue)>,
    #[serde(deserialize_with = "capped::list::<_, _, MAX_PARTS>")]
    pub headers: Vec<(String, HttpValue)>,
    /// The body. None for a request without one.
    pub body: Option<HttpValue>,
    /// Milliseconds after which the request is given up.
    pub timeout_ms: u64,
}

/// A request of `im.request`. The host checks every field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestRequest {
    /// The app to call.
    pub app: u32,
    pub method: String,
    /// The path below the app's prefix.
    pub path: String,
    /// Names and values, without percent-encoding.
    #[serde(deserialize_with = "capped::list::<_, _, MAX_PARTS>")]
    pub query: Vec<(String, String)>,
    /// The body as JSON. None for a request without one.
    pub body: Option<Bytes>,
    pub quota: RestQuota,
    /// Whether the script says that a call made twice has the effect of one.
    pub idempotent: bool,
    /// The time after which to give up, including the wait for a permit.
    pub timeout: Option<Duration>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum HostResponse {
    /// The request succeeded and has no result.
    Nothing,
    /// (group id, message id) of a message that was sent.
    Receipts(Vec<(String, String)>),
    Json(Bytes),
    /// Raw bytes.
    Bytes(Bytes),
    Number(f64),
    /// A module's text.
    Source(LuaSource),
    /// The answer of an HTTP server.
    Response {
        status: u16,
        /// Names (lower case) and values.
        headers: Vec<(String, Bytes)>,
        body: Bytes,
    },
    Failed(Box<RequestFailure>),
    /// A rehearsal found that the request would have failed. The script still gets the enclosed answer, as after a
    /// success. The host keeps the reason under this number. The worker reports the script's line for that number with
    /// [`ToHost::Noted`](super::ToHost).
    Noted(u64, Box<HostResponse>),
}
