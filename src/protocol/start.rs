//! The first frame: what a worker is to do.

use serde::{Deserialize, Serialize};

use super::JobStart;

/// What a worker runs, and within which limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartFrame {
    /// The host's [`VERSION`](super::VERSION).
    pub version: u16,
    /// What loading the script is for.
    pub mode: LoadMode,
    /// The script.
    pub script: LuaSource,
    /// The arguments after the file's name, for `main(args)` and the global `arg`.
    pub args: Vec<String>,
    /// What the worker may use.
    pub limits: WorkerLimits,
    /// The seed of `math.random`.
    pub seed: u64,
    /// The job whose function is called after the top level, with [`Mode::Job`].
    pub job: Option<JobStart>,
    /// The apps that the script can send through; the first is the default one.
    pub apps: Vec<AppInfo>,
}

/// What a script is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadMode {
    /// To run its top level and then `main(args)`.
    Run,
    /// To run it as an expression or as statements, and to print its values.
    Eval,
    /// To run the lines that the host gives, one after the other; there is no script.
    Console,
    /// To see whether it loads: at its first call that would send, write or wait, the host ends it as a success.
    Check,
    /// To see which jobs it declares: a top level that does more than declare is an error.
    Declare,
    /// To declare them again, and then to run the one that [`Start::job`] names.
    Job,
}

impl LoadMode {
    /// Whether the top level only declares.
    #[must_use]
    pub const fn only_declares(self) -> bool {
        matches!(self, Self::Declare | Self::Job)
    }
}

/// A text of Lua and the name it goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LuaSource {
    /// The file as errors show it: `scripts/hello.lua`.
    pub name: String,
    /// Its bytes.
    pub text: bytes::Bytes,
}

impl LuaSource {
    /// A source without what editors and shells put before the first line of Lua: a byte order mark, a `#!` line.
    #[must_use]
    pub fn new(name: String, text: Vec<u8>) -> Self {
        let mut text = bytes::Bytes::from(text);
        if text.starts_with(b"\xef\xbb\xbf") {
            text = text.slice(3..);
        }
        if text.starts_with(b"#") {
            // Its line end stays, so that lines keep their numbers.
            text = text.slice(text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len())..);
        }
        Self { name, text }
    }
}

/// What a worker may use before it is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// Bytes that the script's values may take.
    pub memory: u64,
    /// Milliseconds of CPU between two calls to the host.
    pub cpu_ms: u64,
    /// Tasks alive at once.
    pub tasks: u32,
}

/// One app as a script may know it: its name and limits, nothing of its address or credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppInfo {
    /// The name for `im.app`.
    pub name: String,
    /// What `im.limits` shows, in its order.
    pub limits: Vec<(String, f64)>,
}
