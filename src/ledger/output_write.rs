//! One write of a run's output.

use std::time::Duration;

use super::columns::millis;
use crate::core::OutputStream;

/// A new part of a run's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOutput {
    /// The number of its first line, from 1.
    pub first_line: u64,
    pub lines: u64,
    /// The bytes of the run's output before the part. A line counts with its newline.
    pub at_byte: u64,
    pub bytes: u64,
    /// Its lines, each as [`OutputWrite::line`] writes it, separated by commas.
    pub content: String,
}

/// One write of a run's output: new parts, and old parts that it deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputWrite {
    pub job: String,
    pub scheduled_at: Duration,
    pub parts: Vec<NewOutput>,
    /// Deletes the parts between these lines: those that begin after the first and before the second.
    pub left_out: Option<(u64, u64)>,
}

impl OutputWrite {
    /// The stored form of a line.
    pub fn line(at: Duration, stream: OutputStream, text: &str) -> String {
        serde_json::json!([millis(at), stream, text]).to_string()
    }
}
