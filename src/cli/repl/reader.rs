//! Reads lines from a terminal or a pipe, on its own thread.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};

use anyhow::Context;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::sync::oneshot;

use super::complete::NameCompleter;
use super::history;

/// The result of reading a line.
#[derive(Debug)]
pub(in crate::cli) enum TypedInput {
    /// A line without its line end.
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the end of the input.
    End,
}

/// Sends the result back to the caller that asked for a line.
type TypedInputSender = oneshot::Sender<TypedInput>;

/// Requests lines from the reading thread.
pub(in crate::cli) struct PromptReader(Sender<(String, TypedInputSender)>);

impl PromptReader {
    /// Starts the thread. Lines typed at a terminal are stored in the file `history`.
    pub(in crate::cli) fn start(history: Option<PathBuf>) -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let read = move || {
            // Without line editing, plain lines are read.
            match history.and_then(|file| editor(file).ok()) {
                Some((editor, file)) => edited(editor, &file, &receiver),
                None => plain(&receiver),
            }
        };
        std::thread::Builder::new()
            .name("console".to_owned())
            .spawn(read)
            .context("a thread to read lines")?;
        Ok(Self(sender))
    }

    /// Reads the next line. A terminal shows `prompt` before it.
    pub(in crate::cli) async fn line(&self, prompt: &str) -> TypedInput {
        let (reply, line) = oneshot::channel();
        if self.0.send((prompt.to_owned(), reply)).is_err() {
            return TypedInput::End;
        }
        line.await.unwrap_or(TypedInput::End)
    }
}

type LineEditor = Editor<NameCompleter, FileHistory>;

fn editor(file: PathBuf) -> rustyline::Result<(LineEditor, PathBuf)> {
    let config = Config::builder().history_ignore_dups(true)?.history_ignore_space(true).build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(NameCompleter::default()));
    history::load(&mut editor, &file);
    Ok((editor, file))
}

fn edited(mut editor: LineEditor, file: &std::path::Path, asked: &Receiver<(String, TypedInputSender)>) {
    while let Ok((prompt, reply)) = asked.recv() {
        let typed = match editor.readline(&prompt) {
            Ok(line) => {
                // An answer to a question does not go into the history.
                if prompt.starts_with('>') {
                    history::add(&mut editor, file, &line);
                }
                TypedInput::Line(line)
            }
            Err(ReadlineError::Interrupted) => TypedInput::Interrupted,
            Err(_) => TypedInput::End,
        };
        // The receiver is gone when the program ends.
        let _ = reply.send(typed);
    }
}

fn plain(asked: &Receiver<(String, TypedInputSender)>) {
    let shows_prompt = std::io::stdin().is_terminal();
    while let Ok((prompt, reply)) = asked.recv() {
        if shows_prompt {
            use std::io::Write as _;
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "{prompt}").and_then(|()| out.flush());
        }
        let mut line = String::new();
        let typed = match std::io::stdin().lock().read_line(&mut line) {
            Ok(count) if count > 0 => {
                let line = line.strip_suffix('\n').unwrap_or(&line);
                TypedInput::Line(
                    line.strip_suffix('\r').unwrap_or(line).trim_start_matches('\u{feff}').to_owned(),
                )
            }
            _ => TypedInput::End,
        };
        let _ = reply.send(typed);
    }
}
