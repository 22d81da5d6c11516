//! The frames between the host and a worker: what a script may ask for, and what it is told.
//!
//! A frame is its length (four bytes, little-endian) and a postcard-encoded value. The host never trusts a frame:
//! its size is capped, a value that does not decode ends the worker, and every request is checked where it is
//! answered. Both ends are the same binary, so [`VERSION`] only guards against a binary replaced while it runs.
//!
//! May import: nothing of the house.

mod broadcast;
mod capped;
mod console;
mod failure;
mod frame;
mod jobs;
mod names;
mod request;
mod start;
mod store;
mod testing;

pub use broadcast::BroadcastStep;
pub use console::ConsoleStep;
pub use failure::{FailureKind, RequestFailure};
pub use frame::{FrameDecoder, MAX_FRAME, ProtocolError, encode};
pub use jobs::{
    HOOK_OPTIONS, HookDeclaration, HookRequest, JOB_OPTIONS, JobDeclaration, JobStart, JobTrigger,
};
pub use names::{BROADCAST_FIELDS, RECALL_OPTIONS, SEND_OPTIONS, UPLOAD_OPTIONS};
pub use request::{
    HostRequest, HostResponse, HttpRequest, HttpValue, HttpValuePart, MAX_RECEIPTS, SendEndpoint, SendParams,
    SendPriority, UploadParams,
};
pub use start::{AppInfo, LoadMode, LuaSource, StartFrame, WorkerLimits};
pub use store::{STORE_KEY_BYTES, STORE_OPTIONS, StoreRequest, StoreStep};
pub use testing::TestStep;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version of the frames; it changes with every change to them.
pub const VERSION: u16 = 8;

/// The word on the command line that makes this binary a worker. For the host alone.
pub const WORKER_COMMAND: &str = "__worker";

/// The argument after [`WORKER_COMMAND`] with which a worker only prints how it is confined.
pub const PROBE: &str = "confinement";

/// What the host tells a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first frame: what to run, and within which limits.
    Start(Box<StartFrame>),
    /// The answer to the request of that id.
    Answer(u64, HostResponse),
}

/// What a worker tells the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToHost {
    /// The first frame: the worker's [`VERSION`].
    Hello(u16),
    /// A request, answered once under its id.
    Request(u64, HostRequest),
    /// What the script printed, a line end included.
    Print(Bytes),
    /// A line for the log.
    Log(LogLine),
    /// Every task waits for an answer; so many answers were taken in so far.
    Waiting(u64),
    /// The line of the script that asked for what was answered by [`Answer::Noted`] under this number.
    Noted(u64, String),
    /// The top level of the script is over: it has declared all its jobs.
    Declared,
    /// The script is over. The last frame.
    Done(Result<(), ScriptError>),
}

/// A line that a script writes to the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogLine {
    /// How grave it is.
    pub level: LogLevel,
    /// The sentence.
    pub message: String,
    /// Its fields as a JSON object, or empty.
    pub fields: String,
    /// Script and line, where known.
    pub location: String,
}

/// The most bytes of a line for the log, and of its fields.
const LONGEST_LINE: usize = 8 * 1024;

impl LogLine {
    /// The line without what is over the most that a log takes.
    #[must_use]
    pub fn clipped(mut self) -> Self {
        for text in [&mut self.message, &mut self.fields, &mut self.location] {
            if text.len() > LONGEST_LINE {
                text.truncate(text.floor_char_boundary(LONGEST_LINE));
                text.push('…');
            }
        }
        self
    }
}

/// How grave a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    /// For the author of the script.
    Debug,
    /// For whoever follows the run.
    Info,
    /// Something to look at.
    Warn,
    /// Something that failed.
    Error,
}

/// What ended a script: an error that nothing in it caught.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// What happened, in one line; at most 8 KB and without control characters.
    pub message: String,
    /// The script's own lines that led there, innermost first: `scripts/a.lua:3: in function 'send'`.
    #[serde(deserialize_with = "capped::list::<_, _, 1000>")]
    pub traceback: Vec<String>,
    /// The `kind` of the error value, where it was one of the host's.
    pub kind: Option<String>,
}
