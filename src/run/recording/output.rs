//! Keeps the output of runs in the ledger.
//!
//! Lines are collected in memory and written once a second, those of all runs in one group commit. A process that dies
//! loses the last second.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, OutputStream, OutputWrite};
use crate::protocol::{LogLevel, LogLine};
use crate::run::output::ScriptOutput;
use crate::run::services::RunServices;
use crate::schedule::run_name;

use super::output_buffer::{LONGEST_LINE, OutputBuffer, Unwritten};

/// How often output is written.
const WRITE: Duration = Duration::from_secs(1);

/// The total bound is enforced each time that this part of it was written.
const PRUNE_PART: u64 = 16;

/// Returns the ledger of a run and the run's scheduled time; `None` while the ledger is not open.
type RunRowLookup = Box<dyn Fn() -> Option<(Ledger, Duration)>>;

/// Writes the output of all runs of this process.
pub struct OutputWriter {
    clock: Clock,
    /// The runs with lines that are not written.
    waiting: RefCell<Vec<Rc<RunRecord>>>,
    timer: Cell<bool>,
    /// The bytes that were written since old output was last deleted.
    written: Cell<u64>,
    /// The most stored bytes of the output of all runs.
    most: Cell<u64>,
}

/// The output of one run.
pub struct RunRecord {
    writer: Weak<OutputWriter>,
    job: String,
    run_row: RunRowLookup,
    clock: Clock,
    lines: RefCell<RunLines>,
    waits: Cell<bool>,
    /// Knows the secrets that the run has named.
    services: RefCell<Weak<RunServices>>,
    /// What could not be written yet. Locked while a write is under way.
    unwritten: Mutex<Unwritten>,
}

#[derive(Default)]
struct RunLines {
    buffer: OutputBuffer,
    /// Printed bytes after the last newline.
    open_line: Vec<u8>,
}

impl OutputWriter {
    pub fn new(clock: Clock) -> Rc<Self> {
        Rc::new(Self {
            clock,
            waiting: RefCell::default(),
            timer: Cell::new(false),
            written: Cell::new(0),
            most: Cell::new(u64::MAX),
        })
    }

    /// Begins to record a run of this name. `run_row` returns its ledger and its scheduled time. While it returns `None`, the
    /// lines stay in memory. `most` is the total bound at this time.
    pub fn record(
        self: &Rc<Self>,
        job: &str,
        run_row: impl Fn() -> Option<(Ledger, Duration)> + 'static,
        most: u64,
    ) -> Rc<RunRecord> {
        self.most.set(most);
        Rc::new(RunRecord {
            writer: Rc::downgrade(self),
            job: job.to_owned(),
            run_row: Box::new(run_row),
            clock: self.clock.clone(),
            lines: RefCell::default(),
            waits: Cell::new(false),
            services: RefCell::default(),
            unwritten: Mutex::default(),
        })
    }

    /// Writes the lines of a run within a second.
    fn wait(self: &Rc<Self>, run: Rc<RunRecord>) {
        self.waiting.borrow_mut().push(run);
        if self.timer.replace(true) {
            return;
        }
        let writer = Rc::clone(self);
        tokio::task::spawn_local(async move {
            writer.clock.sleep(WRITE).await;
            writer.timer.set(false);
            let runs = std::mem::take(&mut *writer.waiting.borrow_mut());
            join_all(runs.iter().map(RunRecord::write)).await;
            if let Some((ledger, _)) = runs.iter().find_map(|run| (run.run_row)()) {
                writer.prune(&ledger).await;
            }
        });
    }

    /// Deletes the oldest output if there is too much.
    async fn prune(&self, ledger: &Ledger) {
        let most = self.most.get();
        if self.written.get() < most / PRUNE_PART {
            return;
        }
        self.written.set(0);
        if let Err(error) = ledger.prune_output(Duration::ZERO, most).await {
            tracing::warn!("cannot delete the oldest output of runs: {error}");
        }
    }
}

impl RunRecord {
    /// Goes on after the output of an earlier attempt.
    pub async fn go_on(&self, attempt: u32) -> Result<(), LedgerError> {
        let Some((ledger, at)) = (self.run_row)() else { return Ok(()) };
        let stored = ledger.output_parts(&self.job, at).await?;
        self.lines.borrow_mut().buffer = OutputBuffer::after(&stored);
        self.line(self.now(), OutputStream::Host, &format!("attempt {attempt} begins"));
        Ok(())
    }

    fn now(&self) -> Duration {
        self.clock.unix_time()
    }

    /// Hides the secrets that the run names.
    pub fn hide_secrets_of(&self, services: &Rc<RunServices>) {
        self.services.replace(Rc::downgrade(services));
    }

    fn line(&self, at: Duration, stream: OutputStream, text: &str) {
        let services = self.services.borrow().upgrade();
        let mut text = Cow::Borrowed(text);
        if let Some(services) = services {
            services.variables.hide_secrets(text.to_mut());
        }
        self.lines.borrow_mut().buffer.add(at, stream, &text);
    }

    /// Has the new lines written soon.
    fn changed(self: &Rc<Self>) {
        if !self.waits.replace(true)
            && let Some(writer) = self.writer.upgrade()
        {
            writer.wait(Rc::clone(self));
        }
    }

    /// Adds lines of the host, or the error that ended the run.
    pub fn say(self: &Rc<Self>, stream: OutputStream, text: &str) {
        self.end_line();
        let at = self.now();
        for line in text.lines() {
            self.line(at, stream, line);
        }
        self.changed();
    }

    fn print(self: &Rc<Self>, bytes: &[u8]) {
        let at = self.now();
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            let open = {
                let mut lines = self.lines.borrow_mut();
                lines.open_line.extend_from_slice(piece);
                lines.open_line.len()
            };
            if pieces.peek().is_some() || open >= LONGEST_LINE {
                self.end_open_line(at);
            }
        }
        self.changed();
    }

    fn end_line(&self) {
        if !self.lines.borrow().open_line.is_empty() {
            self.end_open_line(self.now());
        }
    }

    fn end_open_line(&self, at: Duration) {
        let line = std::mem::take(&mut self.lines.borrow_mut().open_line);
        self.line(at, OutputStream::Print, &String::from_utf8_lossy(&line));
    }

    /// Writes what is not written yet. What cannot be written stays for the next time.
    async fn write(self: &Rc<Self>) {
        let mut unwritten = self.unwritten.lock().await;
        self.waits.set(false);
        unwritten.extend(self.lines.borrow_mut().buffer.take());
        if unwritten.is_empty() {
            return;
        }
        let Some((ledger, at)) = (self.run_row)() else {
            self.changed();
            return;
        };
        match self.write_to(&ledger, at, &mut unwritten).await {
            Ok(()) => {}
            Err(error) => {
                let (job, run) = (self.job.as_str(), run_name(at));
                tracing::warn!(
                    job,
                    run,
                    "cannot write the run's output to the ledger, trying again: {error}"
                );
                self.changed();
            }
        }
    }

    async fn write_to(
        &self,
        ledger: &Ledger,
        scheduled_at: Duration,
        unwritten: &mut Unwritten,
    ) -> Result<(), LedgerError> {
        let size: usize = unwritten.parts.iter().map(|part| part.content.len()).sum();
        let (job, parts) = (self.job.clone(), unwritten.parts.clone());
        ledger.write_output(OutputWrite { job, scheduled_at, parts, left_out: unwritten.left_out }).await?;
        *unwritten = Unwritten::default();
        if let Some(writer) = self.writer.upgrade() {
            writer.written.set(writer.written.get().saturating_add(size as u64));
        }
        Ok(())
    }

    /// Writes all of it, once the run has ended.
    pub async fn close(self: &Rc<Self>) {
        self.end_line();
        self.write().await;
    }

    /// Writes all of it to this ledger, for a run that ended before it was recorded there.
    pub async fn close_in(&self, ledger: &Ledger, scheduled_at: Duration) -> Result<(), LedgerError> {
        self.end_line();
        let mut unwritten = self.unwritten.lock().await;
        unwritten.extend(self.lines.borrow_mut().buffer.take());
        if unwritten.is_empty() { Ok(()) } else { self.write_to(ledger, scheduled_at, &mut unwritten).await }
    }
}

/// Passes a run's output on, and records it.
pub struct RecordedOutput {
    pub next: Rc<dyn ScriptOutput>,
    pub record: Rc<RunRecord>,
}

impl ScriptOutput for RecordedOutput {
    fn print(&self, bytes: &[u8]) {
        self.next.print(bytes);
        self.record.print(bytes);
    }

    fn log(&self, line: &LogLine) {
        self.next.log(line);
        let stream = match line.level {
            LogLevel::Debug => OutputStream::LogDebug,
            LogLevel::Info => OutputStream::LogInfo,
            LogLevel::Warn => OutputStream::LogWarn,
            LogLevel::Error => OutputStream::LogError,
        };
        let parts = [line.message.as_str(), line.fields.as_str()];
        let mut text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        if !line.location.is_empty() {
            text.push_str(" (");
            text.push_str(&line.location);
            text.push(')');
        }
        self.record.say(stream, &text);
    }
}
