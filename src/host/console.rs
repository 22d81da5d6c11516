//! Where the lines of a console come from, and who says that it may send.

use futures_util::future::LocalBoxFuture;

use crate::protocol::{Answer, BroadcastStep, ConsoleStep, Failure, Request};

use super::services::Services;

/// What a console is to run next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
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
    fn next(&self, incomplete: bool, problem: Option<String>) -> LocalBoxFuture<'_, Line>;

    /// Ends when the line that runs is to end, or has ended; gives whether the person interrupted it.
    fn interrupted(&self) -> LocalBoxFuture<'_, bool>;

    /// Whether a line may change something at the service.
    fn may_send(&self) -> LocalBoxFuture<'_, Result<(), Failure>>;
}

/// Answers a step of a console.
pub(super) async fn step(services: &Services, step: ConsoleStep) -> Result<Answer, Failure> {
    let console = services.console.as_ref();
    let console = console.ok_or_else(|| Failure::denied("this run has no console"))?;
    let value = match step {
        ConsoleStep::Interrupted => {
            if console.interrupted().await {
                services.stop.end_line();
            }
            return Ok(Answer::Nothing);
        }
        ConsoleStep::Next { incomplete, problem } => match console.next(incomplete, problem).await {
            Line::Text(line) => serde_json::json!({ "line": line }),
            Line::Reset => serde_json::json!({ "reset": true }),
            Line::End => serde_json::Value::Null,
        },
    };
    Ok(Answer::Json(value.to_string().into()))
}

/// Asks the person at the console before the first request that changes something at the service.
pub(super) async fn permit(services: &Services, request: &Request) -> Result<(), Failure> {
    let changes = matches!(
        request,
        Request::Send { .. }
            | Request::Upload { .. }
            | Request::Recall { .. }
            | Request::RecallBroadcast { .. }
            | Request::Broadcast(BroadcastStep::Begin { .. })
    );
    match &services.console {
        Some(console) if changes => console.may_send().await,
        _ => Ok(()),
    }
}
