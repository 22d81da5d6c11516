//! Answers what the lines of a console ask of the host.

use crate::protocol::{BroadcastStep, ConsoleStep, HostRequest, HostResponse, RequestFailure};

use super::console::ConsoleInput;
use super::services::RunServices;

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
            | HostRequest::Edit { .. }
            | HostRequest::Broadcast(BroadcastStep::Begin { .. })
    );
    let changes = changes || matches!(request, HostRequest::Rest(request) if request.method != "GET");
    match &services.console {
        Some(console) if changes => console.may_send().await,
        _ => Ok(()),
    }
}
