//! The log: its newest lines in memory, and all that the state folder keeps.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Clock;
use crate::core::utc;

use super::log_file::LogFile;
use super::log_filter::LogFilter;
use super::log_line::LogLineView;

/// The number of lines that are kept in memory.
const KEPT: usize = 500;

/// The maximum length of a line, in bytes.
const LONGEST: usize = 2_000;

/// The lines in memory.
#[derive(Debug, Default)]
struct LogLines {
    newest: VecDeque<LogLineView>,
    /// The number of the last line.
    last: u64,
}

/// Keeps the log.
#[derive(Debug)]
pub struct LogTail {
    lines: Mutex<LogLines>,
    file: OnceLock<LogFile>,
    clock: Clock,
}

impl LogTail {
    /// Creates a log without lines.
    pub fn new(clock: Clock) -> Self {
        Self { lines: Mutex::default(), file: OnceLock::new(), clock }
    }

    /// Keeps the lines from now on, and those so far, in files of the state folder with at most `most` bytes. Numbers
    /// go on from the last line there.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, or no thread can be started.
    pub fn keep(&self, state: &Path, most: u64) -> io::Result<()> {
        let (file, last) = LogFile::open(state, most)?;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.last += last;
        for line in &mut lines.newest {
            line.number += last;
            file.put(line);
        }
        // A second file is never opened.
        let _ = self.file.set(file);
        Ok(())
    }

    /// Waits until the lines so far are in the file, at most two seconds.
    pub fn flush(&self) {
        if let Some(file) = self.file.get() {
            file.flush();
        }
    }

    /// Up to `most` of the newest lines, the oldest first.
    pub fn newest(&self, most: usize) -> Vec<LogLineView> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = &lines.newest;
        lines.iter().skip(lines.len().saturating_sub(most)).cloned().collect()
    }

    /// The lines in memory after a number, the newest first. `None` if some of them are no longer in memory.
    pub(super) fn since(&self, number: u64) -> Option<Vec<LogLineView>> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = &lines.newest;
        let first = lines.front().map_or(0, |line| line.number);
        let since = || lines.iter().rev().take_while(|line| line.number > number);
        (first <= number + 1).then(|| since().cloned().collect())
    }

    /// Up to `most` wanted lines before a number, the newest first. Reads the files, so it must not be called on the
    /// daemon's thread.
    pub(super) fn search(&self, filter: &LogFilter, before: Option<u64>, most: usize) -> Vec<LogLineView> {
        let mut found = Vec::new();
        // The next line must have a smaller number.
        let mut next = before.unwrap_or(u64::MAX);
        let mut take = |line: LogLineView| {
            if line.number < next {
                next = line.number;
                if filter.wants(&line) {
                    found.push(line);
                }
            }
            found.len() < most
        };
        let goes_on = self.newest(KEPT).into_iter().rev().all(&mut take);
        if let Some(file) = self.file.get().filter(|_| goes_on) {
            file.read_back(&mut take);
        }
        found
    }

    fn put(&self, level: tracing::Level, event: LogEvent) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.last += 1;
        let number = lines.last;
        if lines.newest.len() >= KEPT {
            lines.newest.pop_front();
        }
        let at = utc(self.clock.unix_time());
        let level = level.as_str().to_ascii_lowercase();
        let LogEvent { text, job, script, broadcast } = event;
        let line = LogLineView { number, at, level, text, job, script, broadcast };
        // Within the lock, so that lines have the order of their numbers.
        if let Some(file) = self.file.get() {
            file.put(&line);
        }
        lines.newest.push_back(line);
    }
}

/// A tracing layer that adds every line to the log.
#[derive(Debug)]
pub struct LogTailLayer(pub std::sync::Arc<LogTail>);

impl<S: Subscriber> Layer<S> for LogTailLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = LogEventText::default();
        event.record(&mut text);
        self.0.put(*event.metadata().level(), text.event());
    }
}

/// A line before it has a number.
struct LogEvent {
    text: String,
    job: Option<String>,
    script: Option<String>,
    broadcast: Option<String>,
}

/// The message of a line, followed by its fields.
#[derive(Default)]
struct LogEventText {
    message: String,
    fields: String,
    job: Option<String>,
    script: Option<String>,
    broadcast: Option<String>,
    name: Option<String>,
    run: Option<String>,
}

impl LogEventText {
    fn event(self) -> LogEvent {
        let Self { message: mut text, fields, job, script, broadcast, name, run } = self;
        text.push_str(&fields);
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text.push('…');
        }
        let named = name.zip(run).map(|(name, run)| format!("{name}/{run}"));
        LogEvent { text, job, script, broadcast: broadcast.or(named) }
    }

    /// Keeps the fields that lines are found by.
    fn keep(&mut self, field: &Field, value: &str) {
        let slot = match field.name() {
            "job" => &mut self.job,
            "script" => &mut self.script,
            "broadcast" => &mut self.broadcast,
            "name" => &mut self.name,
            "run" => &mut self.run,
            _ => return,
        };
        *slot = Some(value.to_owned());
    }
}

impl Visit for LogEventText {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.keep(field, value);
            // Writing to a string cannot fail.
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.keep(field, &format!("{value:?}"));
            let _ = write!(self.fields, " {}={value:?}", field.name());
        }
    }
}
