//! The vendor's npm package `agora-token`, in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

/// The folder in the target folder into which `tests/run` installs the package.
const PACKAGE: &str = "agora-token-2.0.6/node_modules";

/// Answers one question at a time.
pub struct Vendor {
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    node: Child,
}

impl Vendor {
    pub fn start() -> Self {
        let target = Path::new(env!("CARGO_BIN_EXE_mooncast")).ancestors().nth(2).unwrap();
        let package = target.join(PACKAGE);
        assert!(package.exists(), "there is no {}: `tests/run` installs it", package.display());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agora/vendor.js");
        let mut node = Command::new("node")
            .arg(script)
            .env("NODE_PATH", package)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipes = (node.stdin.take().unwrap(), BufReader::new(node.stdout.take().unwrap()));
        Self { pipes: Mutex::new(pipes), node }
    }

    /// Makes the token of `app_id` and the other fields, or reads the `token` of a `certificate`.
    pub fn ask(&self, question: &Value) -> Value {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.0, "{question}").unwrap();
        let mut line = String::new();
        pipes.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}
