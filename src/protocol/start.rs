//! The first frame to a worker: the script, its arguments and its limits.

use serde::{Deserialize, Serialize};

use super::JobStart;

/// The script that a worker runs, and its limits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartFrame {
    /// The host's [`VERSION`](super::VERSION).
    pub version: u64,
    /// Why the script is loaded.
    pub mode: LoadMode,
    pub script: LuaSource,
    /// The arguments after the file's name, for `main(args)` and the global `arg`.
    pub args: Vec<String>,
    /// The typed arguments of a script with a form, for `args.NAME`.
    pub named: Vec<NamedArgument>,
    pub limits: WorkerLimits,
    /// The seed of `math.random`.
    pub seed: u64,
    /// With [`LoadMode::Job`], the job whose function is called after the top level.
    pub job: Option<JobStart>,
    /// The apps that the script can send through. The first one is the default.
    pub apps: Vec<AppInfo>,
}

/// A typed argument of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedArgument {
    pub name: String,
    pub value: ArgumentValue,
}

/// The value of a typed argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ArgumentValue {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
}

/// Why a script is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadMode {
    /// To run its top level and then `main(args)`.
    Run,
    /// To run it as an expression or as statements, and to print its values.
    Eval,
    /// To run the lines that the host gives, one by one. There is no script.
    Console,
    /// To test whether it loads. The host ends it as a success at its first call that would send, write or wait.
    Check,
    /// To collect the jobs that it declares. A top level that does more than declare is an error.
    Declare,
    /// To declare its jobs again, and then to run the one that [`StartFrame::job`] names.
    Job,
}

impl LoadMode {
    /// Whether the script's top level only declares jobs.
    pub const fn only_declares(self) -> bool {
        matches!(self, Self::Declare | Self::Job)
    }
}

/// Lua source text and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LuaSource {
    /// The file's name in errors: `scripts/hello.lua`.
    pub name: String,
    pub text: bytes::Bytes,
}

impl LuaSource {
    /// Returns a source without what editors and shells put before the first line of Lua: a byte order mark, a `#!`
    /// line.
    pub fn new(name: String, text: Vec<u8>) -> Self {
        let mut text = bytes::Bytes::from(text);
        if text.starts_with(b"\xef\xbb\xbf") {
            text = text.slice(3..);
        }
        if text.starts_with(b"#") {
            // The line end stays, so that lines keep their numbers.
            text = text.slice(text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len())..);
        }
        Self { name, text }
    }
}

/// The limits of a worker. The host stops a worker that exceeds one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerLimits {
    /// The most bytes of the script's values.
    pub memory: u64,
    /// The most milliseconds of CPU between two calls to the host.
    pub cpu_ms: u64,
    /// The most tasks alive at once.
    pub tasks: u32,
}

/// The part of an app that a script may know: its name and limits, without its address and credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppInfo {
    /// The name for `im.app`.
    pub name: String,
    /// The values of `im.limits`, in order.
    pub limits: Vec<(String, f64)>,
}
