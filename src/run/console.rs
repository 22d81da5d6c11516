//! The interface to the user of an interactive console: it supplies lines and confirms sends.

use futures_util::future::LocalBoxFuture;

use crate::protocol::RequestFailure;

/// The next input of a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleInput {
    /// A line to run, after any incomplete lines before it.
    Text(String),
    /// Discards the incomplete lines typed so far.
    Reset,
    End,
}

/// The user at an interactive console.
pub trait Console {
    /// Returns the next input. `incomplete` means that the lines so far need more; `problem` is the error of the last
    /// line.
    fn next(&self, incomplete: bool, problem: Option<String>) -> LocalBoxFuture<'_, ConsoleInput>;

    /// Resolves when the running line must end, or has ended. Returns true if the user interrupted it.
    fn interrupted(&self) -> LocalBoxFuture<'_, bool>;

    /// Asks whether a line may change something at the service.
    fn may_send(&self) -> LocalBoxFuture<'_, Result<(), RequestFailure>>;
}
