//! The newest lines of the log.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use utoipa::ToSchema;

use crate::clock::Clock;
use crate::control::utc;

/// The number of lines that are kept.
const KEPT: usize = 500;

/// The maximum length of a line, in bytes.
const LONGEST: usize = 2_000;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLineView {
    /// Its number: each line's is one more than that of the line before.
    pub number: u64,
    /// When it was written.
    pub at: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// What happened, and with what.
    pub text: String,
}

/// Keeps the newest lines of the log.
#[derive(Debug)]
pub struct LogTail {
    lines: Mutex<VecDeque<LogLineView>>,
    clock: Clock,
}

impl LogTail {
    /// Creates a log tail without lines.
    pub fn new(clock: Clock) -> Self {
        Self { lines: Mutex::default(), clock }
    }

    /// Up to `most` of the newest lines, the oldest first.
    pub fn newest(&self, most: usize) -> Vec<LogLineView> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(most)).cloned().collect()
    }

    fn put(&self, level: tracing::Level, text: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = lines.back().map_or(1, |line| line.number + 1);
        if lines.len() >= KEPT {
            lines.pop_front();
        }
        let at = utc(self.clock.unix_time());
        lines.push_back(LogLineView { number, at, level: level.as_str().to_ascii_lowercase(), text });
    }
}

/// A tracing layer that adds every line to the log tail.
#[derive(Debug)]
pub struct LogTailLayer(pub std::sync::Arc<LogTail>);

impl<S: Subscriber> Layer<S> for LogTailLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = LogEventText::default();
        event.record(&mut text);
        let LogEventText { mut message, fields } = text;
        message.push_str(&fields);
        if message.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        self.0.put(*event.metadata().level(), message);
    }
}

/// The message of a line, followed by its fields.
#[derive(Default)]
struct LogEventText {
    message: String,
    fields: String,
}

impl Visit for LogEventText {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}
