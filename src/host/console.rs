//! The interface to the user of an interactive console: it supplies lines and confirms sends.

use futures_util::future::LocalBoxFuture;

use crate::protocol::{BroadcastStep, ConsoleStep, HostRequest, HostResponse, RequestFailure};

use super::services::RunServices;

/// The next input of a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleInput {
    /// A line to run, after any incomplete lines before it.
    Text(String),
    /// Discards the incomplete lines typed so far.
    Reset,
    /// The end of the input.
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

/// Answers a step of a console.
pub(super) async fn step(services: &RunServices, step: ConsoleStep) -> Result<HostResponse, RequestFailure> {
    let console = services.console.as_ref();
    let console = console.ok_or_else(|| RequestFailure::denied("this run has no console"))?;
    let value = match step {
        ConsoleStep::Interrupted => {
            if console.interrupted().await {
                services.stop.end_line();
            }
            return Ok(HostResponse::Nothing);
        }
        ConsoleStep::Next { incomplete, problem } => match console.next(incomplete, problem).await {
            ConsoleInput::Text(line) => serde_json::json!({ "line": line }),
            ConsoleInput::Reset => serde_json::json!({ "reset": true }),
            ConsoleInput::End => serde_json::Value::Null,
        },
    };
    Ok(HostResponse::Json(value.to_string().into()))
}

/// Asks the user at the console before the first request that changes something at the service.
pub(super) async fn permit(services: &RunServices, request: &HostRequest) -> Result<(), RequestFailure> {
    let changes = matches!(
        request,
        HostRequest::Send { .. }
            | HostRequest::Upload { .. }
            | HostRequest::Recall { .. }
            | HostRequest::RecallBroadcast { .. }
            | HostRequest::Broadcast(BroadcastStep::Begin { .. })
    );
    match &services.console {
        Some(console) if changes => console.may_send().await,
        _ => Ok(()),
    }
}
