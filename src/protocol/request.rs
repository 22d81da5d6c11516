//! What a worker asks for, and what it is answered.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::capped;
use super::{BroadcastStep, ConsoleStep, JobDeclaration, LuaSource, RequestFailure, StoreRequest, TestStep};

/// The most messages that one [`Request::Recall`] may name.
pub const MAX_RECEIPTS: usize = 100_000;

/// The most headers of a request, and the most pieces of a value: more than any server takes.
const MAX_PARTS: usize = 1000;

/// Which of the service's two sending calls a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendEndpoint {
    /// To groups.
    Group,
    /// To chosen members of one group.
    Targeted,
}

/// Which waiters of a quota go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SendPriority {
    /// Ahead of the others.
    High,
    /// The default.
    #[default]
    Normal,
    /// Behind the others.
    Low,
}

/// What a script may ask of the host. `app` is an index into [`Start::apps`](super::Start).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum HostRequest {
    /// Send a message. Answered by [`Answer::Receipts`].
    Send {
        /// The app to send through.
        app: u32,
        /// To groups or to members.
        call: SendEndpoint,
        /// The message as JSON.
        message: Bytes,
        /// How to send it.
        options: SendParams,
    },
    /// Check a message and send nothing. Answered by [`Answer::Nothing`] or a failure that names every problem.
    Check {
        /// The app whose limits count.
        app: u32,
        /// The message as JSON; a targeted one has `users`.
        message: Bytes,
    },
    /// Upload a file. Answered by [`Answer::Json`].
    Upload {
        /// The app to upload to.
        app: u32,
        /// The file, relative to the project.
        path: String,
        /// How to upload it.
        options: UploadParams,
    },
    /// One page of the app's groups. Answered by [`Answer::Json`]: `{items, next}`.
    Groups {
        /// The app to ask.
        app: u32,
        /// Where the last page ended.
        cursor: Option<String>,
    },
    /// One page of a group's members. Answered by [`Answer::Json`]: `{items, next}`.
    Members {
        /// The app to ask.
        app: u32,
        /// The group.
        group_id: String,
        /// The page, from 1.
        page: u32,
    },
    /// Recall messages. Answered by [`Answer::Json`].
    Recall {
        /// The app that sent them.
        app: u32,
        /// (group id, message id), at most [`MAX_RECEIPTS`].
        #[serde(deserialize_with = "capped::list::<_, _, MAX_RECEIPTS>")]
        receipts: Vec<(String, String)>,
        /// Whether to recall what is older than the service's window.
        force: bool,
        /// Who recalls, where it is not the app's admin.
        from: Option<String>,
    },
    /// Recall what was sent of a broadcast. Answered by [`Answer::Json`].
    RecallBroadcast {
        /// The app that sent it.
        app: u32,
        /// Its name.
        name: String,
        /// Which run of that name.
        run: String,
        /// Whether to recall what is older than the service's window.
        force: bool,
        /// Who recalls, where it is not the app's admin.
        from: Option<String>,
    },
    /// A step of a broadcast.
    Broadcast(BroadcastStep),
    /// Declare a job. Answered by [`Answer::Nothing`].
    Declare(Box<JobDeclaration>),
    /// Wait. Answered by [`Answer::Nothing`].
    Sleep {
        /// For so many milliseconds.
        ms: u64,
    },
    /// The wall-clock time. Answered by [`Answer::Number`]: seconds since 1970, UTC.
    Now,
    /// The text of a module. Answered by [`Answer::Source`].
    Require(String),
    /// A file's content. Answered by [`Answer::Bytes`].
    FileRead(String),
    /// Put a file's content. Answered by [`Answer::Nothing`].
    FileWrite {
        /// The file, relative to the project.
        path: String,
        /// What it is to hold.
        content: Bytes,
        /// Whether to add it at the end.
        append: bool,
    },
    /// The names in a folder. Answered by [`Answer::Json`], a list.
    FileList(String),
    /// What a path is. Answered by [`Answer::Json`]: `{type, size, modified}` or null.
    FileInfo(String),
    /// Make a folder and those above it. Answered by [`Answer::Nothing`].
    MakeFolder(String),
    /// Remove a file or an empty folder. Answered by [`Answer::Nothing`].
    Remove(String),
    /// An environment variable. Answered by [`Answer::Json`], a string or null.
    Env(String),
    /// Whether a secret of that name is there to be filled in. Answered by [`Answer::Nothing`].
    Secret(String),
    /// An HTTP request to another service. Answered by [`Answer::Response`].
    Http(Box<HttpRequest>),
    /// Look into the script's durable data, or change it. Answered by [`Answer::Json`].
    Store(StoreRequest),
    /// A step of a test. Answered by [`Answer::Nothing`] or [`Answer::Json`].
    Test(Box<TestStep>),
    /// A step of a console. Answered by [`Answer::Nothing`] or [`Answer::Json`].
    Console(ConsoleStep),
}

impl HostRequest {
    /// Whether others see something of it: what is under way then is worth waiting for.
    #[must_use]
    pub const fn reaches_out(&self) -> bool {
        matches!(
            self,
            Self::Send { .. }
                | Self::Upload { .. }
                | Self::Recall { .. }
                | Self::RecallBroadcast { .. }
                | Self::Http(_)
                | Self::Broadcast(BroadcastStep::Wait { .. })
        )
    }

    /// Whether its answer may have to wait for an instant of the clock. While any other is answered, a simulated clock
    /// stands still.
    #[must_use]
    pub const fn takes_time(&self) -> bool {
        if let Self::Test(step) = self {
            return step.takes_time();
        }
        matches!(
            self,
            Self::Send { .. }
                | Self::Upload { .. }
                | Self::Groups { .. }
                | Self::Members { .. }
                | Self::Recall { .. }
                | Self::RecallBroadcast { .. }
                | Self::Sleep { .. }
                | Self::Http(_)
                | Self::Console(_)
                | Self::Broadcast(BroadcastStep::Wait { .. })
        )
    }

    /// Whether it only looks at what is there, so that a script that is merely checked may do it.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        match self {
            Self::Store(request) => return request.step.only_looks(),
            Self::Test(step) => return step.only_looks(),
            _ => {}
        }
        matches!(
            self,
            Self::Check { .. }
                | Self::Declare(_)
                | Self::Now
                | Self::Require(_)
                | Self::FileRead(_)
                | Self::FileList(_)
                | Self::FileInfo(_)
                | Self::Env(_)
                | Self::Secret(_)
        )
    }
}

/// How a message is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendParams {
    /// Its place among those that wait.
    pub priority: SendPriority,
    /// Milliseconds until it is given up, waiting for a permit included.
    pub timeout_ms: Option<u64>,
    /// A key with which the app gets this message at most once.
    pub once: Option<String>,
}

/// How a file is uploaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadParams {
    /// Whether readers need the file's secret. Default true.
    pub restrict_access: Option<bool>,
    /// Height and width of the thumbnail in pixels.
    pub thumbnail: Option<(u32, u32)>,
    /// The name that readers see; the file's own by default.
    pub filename: Option<String>,
    /// Whether to upload also what the service has already.
    pub fresh: bool,
    /// Whether to upload also what is empty or not what its name says.
    pub force: bool,
    /// Its place among those that wait.
    pub priority: SendPriority,
}

/// A text with secrets in it by name only; the host fills them in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpValue(#[serde(deserialize_with = "capped::list::<_, _, MAX_PARTS>")] pub Vec<HttpValuePart>);

/// A piece of an [`HttpValue`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpValuePart {
    /// These bytes.
    Text(Bytes),
    /// The value of the secret of this name.
    Secret(String),
}

/// A request of the `http` module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// GET, POST…
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Names and values.
    #[serde(deserialize_with = "capped::list::<_, _, MAX_PARTS>")]
    pub headers: Vec<(String, HttpValue)>,
    /// The body, or none.
    pub body: Option<HttpValue>,
    /// Milliseconds until it is given up.
    pub timeout_ms: u64,
}

/// What a request is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum HostResponse {
    /// It was done.
    Nothing,
    /// (group id, message id) of a message that was sent.
    Receipts(Vec<(String, String)>),
    /// A value as JSON.
    Json(Bytes),
    /// Raw bytes.
    Bytes(Bytes),
    /// A number.
    Number(f64),
    /// A module's text.
    Source(LuaSource),
    /// An HTTP answer.
    Response {
        /// The status.
        status: u16,
        /// Names (lower case) and values.
        headers: Vec<(String, Bytes)>,
        /// The body.
        body: Bytes,
    },
    /// It failed.
    Failed(Box<RequestFailure>),
    /// In a rehearsal: it would have failed, and the host keeps why under this number. The script goes on with the
    /// answer as if it had not; the worker tells the line with [`ToHost::Noted`](super::ToHost).
    Noted(u64, Box<HostResponse>),
}
