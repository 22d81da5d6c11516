//! Where the lines of a console come from, and who says that it may send.

use futures_util::future::LocalBoxFuture;

use crate::protocol::{BroadcastStep, ConsoleStep, HostRequest, HostResponse, RequestFailure};

use super::services::RunServices;

/// What a console is to run next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleInput {
    /// This line, after those that were incomplete.
    Text(String),
    /// Nothing: what was typed so far is dropped.
    Reset,
    /// Nothing more.
    End,
}

/// The person at a console.
pub trait Console {
    /// The next line. `incomplete` says that the ones before need more, `problem` what the last one failed with.
    fn next(&self, incomplete: bool, problem: Option<String>) -> LocalBoxFuture<'_, ConsoleInput>;

    /// Ends when the line that runs is to end, or has ended; gives whether the person interrupted it.
    fn interrupted(&self) -> LocalBoxFuture<'_, bool>;

    /// Whether a line may change something at the service.
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

/// Asks the person at the console before the first request that changes something at the service.
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
