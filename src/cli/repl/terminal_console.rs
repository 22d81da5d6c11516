//! The console's user: types lines, sees errors, and confirms sends.

use std::cell::Cell;
use std::io::Write as _;

use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;

use crate::protocol::RequestFailure;
use crate::run::{Console, ConsoleInput};

use super::reader::{PromptReader, TypedInput};

const HELP: &str = "\
.help      shows this help
.exit      exits (so does Ctrl-D)
Ctrl-C     discards the typed line or stops the running one; if that does not stop, or on a second
           Ctrl-C, the process of the lines ends, and their variables are lost
Tab        completes im, the modules and their fields

Expressions are printed, statements are run. An unfinished line continues on the next one.
Global variables stay; local variables end with their line. Modules need no `require`: datetime.now()";

/// Whether the user is asked before something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum SendConfirmation {
    /// Ask before the first send.
    First,
    /// Do not ask, but say before the first send that it goes to the simulator.
    Simulated,
    /// Do not ask, or do not ask again.
    Never,
}

pub(in crate::cli) struct TerminalConsole {
    asking: Cell<SendConfirmation>,
    reader: PromptReader,
    /// Whether lines come from a terminal.
    typed: bool,
    /// Whether a line is running.
    running: Cell<bool>,
    /// The number of lines so far.
    line: Cell<u64>,
    /// The last line that is requested to end.
    ending: watch::Sender<u64>,
    /// The last line that was interrupted.
    interrupted: Cell<u64>,
    /// Whether the worker process is being killed because a line did not end.
    abandoned: Cell<bool>,
    over: Cell<bool>,
    failed: Cell<bool>,
    answering: tokio::sync::Mutex<()>,
}

impl TerminalConsole {
    pub(in crate::cli) fn new(asking: SendConfirmation, reader: PromptReader, typed: bool) -> Self {
        Self {
            asking: Cell::new(asking),
            reader,
            typed,
            running: Cell::new(false),
            line: Cell::new(0),
            ending: watch::Sender::new(0),
            interrupted: Cell::new(0),
            abandoned: Cell::new(false),
            over: Cell::new(false),
            failed: Cell::new(false),
            answering: tokio::sync::Mutex::default(),
        }
    }

    /// Whether a line failed.
    pub(in crate::cli) fn failed(&self) -> bool {
        self.failed.get()
    }

    /// Whether the input has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Interrupts the running line and returns its number. `None` if no line is running.
    pub(super) fn interrupt(&self) -> Option<u64> {
        let line = self.line.get();
        self.running.get().then(|| {
            self.interrupted.set(line);
            self.ending.send_replace(line);
            line
        })
    }

    /// Whether this line is still running.
    pub(super) fn runs(&self, line: u64) -> bool {
        self.running.get() && self.line.get() == line
    }

    /// Records that the line's process is killed because the line did not end.
    pub(super) fn abandon(&self) {
        self.abandoned.set(true);
    }

    /// Whether a process was killed because of its line. Resets the state.
    pub(super) fn was_abandoned(&self) -> bool {
        self.abandoned.take()
    }

    /// Records that the worker is gone, with the state that its lines had set.
    pub(super) fn lost(&self) {
        self.failed.set(true);
        self.running.set(false);
        print_line("the process that ran the lines ended, so their variables are lost; starting a new one");
    }

    async fn read(&self, incomplete: bool, problem: Option<String>) -> ConsoleInput {
        // Releases tasks that still wait for an interrupt of the last line.
        self.running.set(false);
        self.ending.send_replace(self.line.get());
        if let Some(problem) = problem {
            self.failed.set(true);
            print_line(&format!("error: {problem}"));
        }
        loop {
            match self.reader.line(if incomplete { ">> " } else { "> " }).await {
                TypedInput::Line(line) if !incomplete && line.trim() == ".exit" => return self.end(),
                TypedInput::Line(line) if !incomplete && line.trim() == ".help" => print_line(HELP),
                TypedInput::Line(line) if !incomplete && line.trim().is_empty() => {}
                TypedInput::Line(line) if !incomplete && line.trim_start().starts_with('.') => {
                    self.failed.set(true);
                    print_line(&format!("there is no command `{}`; `.help` lists the commands", line.trim()));
                }
                TypedInput::Line(line) => {
                    self.running.set(true);
                    self.line.set(self.line.get() + 1);
                    return ConsoleInput::Text(line);
                }
                TypedInput::Interrupted if incomplete => return ConsoleInput::Reset,
                TypedInput::Interrupted => {}
                TypedInput::End => {
                    if incomplete {
                        self.failed.set(true);
                        print_line("error: the input ends in the middle of a statement");
                    }
                    return self.end();
                }
            }
        }
    }

    fn end(&self) -> ConsoleInput {
        self.over.set(true);
        ConsoleInput::End
    }

    async fn ask(&self) -> Result<(), RequestFailure> {
        let _one_at_a_time = self.answering.lock().await;
        match self.asking.get() {
            SendConfirmation::Never => return Ok(()),
            SendConfirmation::Simulated => {
                print_line("sending to the built-in simulator");
                self.asking.set(SendConfirmation::Never);
                return Ok(());
            }
            SendConfirmation::First => {}
        }
        if !self.typed {
            return Err(RequestFailure::denied(
                "this would send through the configured app, but Mooncast cannot ask first, because standard input is not a terminal; add `--yes` to send, or `--simulator` to try it",
            ));
        }
        match self.reader.line("This sends through the configured app. Send? [y/N] ").await {
            TypedInput::Line(answer) if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") => {
                self.asking.set(SendConfirmation::Never);
                Ok(())
            }
            _ => Err(RequestFailure::denied("nothing was sent, because the answer was not `y`")),
        }
    }
}

impl Console for TerminalConsole {
    fn next(&self, incomplete: bool, problem: Option<String>) -> LocalBoxFuture<'_, ConsoleInput> {
        Box::pin(self.read(incomplete, problem))
    }

    fn interrupted(&self) -> LocalBoxFuture<'_, bool> {
        let (line, mut ending) = (self.line.get(), self.ending.subscribe());
        Box::pin(async move {
            // The sender lives as long as `self`.
            let _ = ending.wait_for(|last| *last >= line).await;
            self.interrupted.get() == line
        })
    }

    fn may_send(&self) -> LocalBoxFuture<'_, Result<(), RequestFailure>> {
        Box::pin(self.ask())
    }
}

fn print_line(text: &str) {
    // Without standard error, nothing can be shown.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
