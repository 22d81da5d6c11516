//! The frames between the host and a worker: a script's requests and the host's answers.
//!
//! A frame is its length (four bytes, little-endian) and a postcard-encoded value. The host never trusts a frame. It
//! limits the size, ends a worker whose frame does not decode, and checks every request before it answers. Both ends
//! are the same binary, so [`VERSION`] only protects against a binary that is replaced while it runs.

mod broadcast;
mod capped;
mod console;
mod frame;
mod jobs;
mod request;
mod start;
mod store;
mod testing;

pub use crate::core::{FailureKind, RequestFailure};
pub use broadcast::BroadcastStep;
pub use console::ConsoleStep;
pub use frame::{FrameDecoder, ProtocolError, encode};
pub use jobs::{
    EventDeclaration, HookDeclaration, HookRequest, JobDeclaration, JobInput, JobStart, JobTrigger,
};
pub use request::{
    HostRequest, HostResponse, HttpRequest, HttpValue, HttpValuePart, MAX_DETAILS, MAX_RECEIPTS,
    MAX_SUPPRESSED, RecallRequest, RestRequest,
};
pub use start::{AppInfo, ArgumentValue, LoadMode, LuaSource, NamedArgument, StartFrame, WorkerLimits};
pub use store::{STORE_KEY_BYTES, StoreRequest, StoreStep};
pub use testing::{TestEvent, TestStep};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version of the frames: a hash of the files that define them.
pub const VERSION: u64 = version(&[
    include_bytes!("broadcast.rs"),
    include_bytes!("console.rs"),
    include_bytes!("../core/broadcast.rs"),
    include_bytes!("../core/call.rs"),
    include_bytes!("../core/failure.rs"),
    include_bytes!("../core/options.rs"),
    include_bytes!("../core/priority.rs"),
    include_bytes!("../core/rest.rs"),
    include_bytes!("frame.rs"),
    include_bytes!("jobs.rs"),
    include_bytes!("mod.rs"),
    include_bytes!("request.rs"),
    include_bytes!("start.rs"),
    include_bytes!("store.rs"),
    include_bytes!("testing.rs"),
]);

/// Hashes files (FNV-1a).
const fn version(mut files: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    while let [file, others @ ..] = files {
        let mut rest = *file;
        while let [byte, others @ ..] = rest {
            hash = (hash ^ *byte as u64).wrapping_mul(0x100_0000_01b3);
            rest = others;
        }
        files = others;
    }
    hash
}

/// The command-line argument that makes this binary a worker. Only the host uses it.
pub const WORKER_COMMAND: &str = "__worker";

/// The argument after [`WORKER_COMMAND`] that makes a worker only print how it is confined.
pub const PROBE: &str = "confinement";

/// A frame from the host to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToWorker {
    /// The first frame: the script to run, and its limits.
    Start(Box<StartFrame>),
    /// The answer to the request with this id.
    Answer(u64, HostResponse),
}

/// A frame from a worker to the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToHost {
    /// The first frame: the worker's [`VERSION`].
    Hello(u64),
    /// A request, answered once with the same id.
    Request(u64, HostRequest),
    /// What the script printed, with the line end.
    Print(Bytes),
    Log(LogLine),
    /// Every task waits for an answer. The number says how many answers the worker has received so far.
    Waiting(u64),
    /// Where in the script the call stands that was answered with [`HostResponse::Noted`] and this number.
    Noted(u64, String),
    /// The top level of the script ended, so all its jobs are declared.
    Declared,
    /// The script ended. This is the last frame.
    Done(Result<(), ScriptError>),
}

/// A line that a script writes to the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LogLine {
    /// The severity.
    pub level: LogLevel,
    /// The sentence.
    pub message: String,
    /// The line's fields as a JSON object, or an empty text.
    pub fields: String,
    /// The script and the line, or an empty text if they are unknown.
    pub location: String,
}

/// The most bytes of a log line, and of its fields.
const LONGEST_LINE: usize = 8 * 1024;

impl LogLine {
    /// Returns the line, cut to the most bytes that a log takes.
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

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogLevel {
    /// For the script's author.
    Debug,
    /// For the people who follow the run.
    Info,
    /// Something that a person should check.
    Warn,
    /// Something that failed.
    Error,
}

/// An error that no code of the script caught, and that ended it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptError {
    /// What happened, in one line; at most 8 KB and without control characters.
    pub message: String,
    /// The script's own lines that led to the error, innermost first: `scripts/a.lua:3: in function 'send'`.
    #[serde(deserialize_with = "capped::list::<_, _, 1000>")]
    pub traceback: Vec<String>,
    /// The `kind` of the error value, if the host made the value.
    pub kind: Option<String>,
}
