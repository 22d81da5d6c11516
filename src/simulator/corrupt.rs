//! What a fault makes of an answer.

use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;

use super::answer::{SimulatedResponse, json as json_response, response};
use super::fault::FaultEffect;
use super::refusal::Refusal;
use super::time::ClockReading;

/// Returns the answer that a fault makes. `answer` is Some if the call was served all the same.
pub(super) fn corrupt(
    answer: Option<Response<Bytes>>,
    what: FaultEffect,
    now: ClockReading,
) -> SimulatedResponse {
    match what {
        FaultEffect::Reset => SimulatedResponse::Reset,
        FaultEffect::Hang => SimulatedResponse::Hang,
        // The answer is that of any accepted message.
        FaultEffect::Moderated | FaultEffect::Callback(_) => {
            answer.map_or(SimulatedResponse::Reset, SimulatedResponse::Whole)
        }
        FaultEffect::Truncated => answer.map_or(SimulatedResponse::Reset, SimulatedResponse::Truncated),
        FaultEffect::Garbage => {
            SimulatedResponse::Whole(response(StatusCode::OK, "application/json", "\u{0}\u{1}OK{]"))
        }
        FaultEffect::Missing => answer
            .map_or(SimulatedResponse::Reset, |answer| SimulatedResponse::Whole(without_first_group(answer))),
        FaultEffect::Status { status, error, html, retry_after } => {
            let mut answer = if html {
                let reason = status.canonical_reason().unwrap_or_default();
                let title = format!("{} {reason}", status.as_u16());
                let page = format!(
                    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
                     </body>\r\n</html>\r\n"
                );
                response(status, "text/html", page)
            } else {
                json_response(status, &Refusal::of_fault(status, error.as_deref()).json(now))
            };
            if status.is_redirection() {
                answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/moved"));
            }
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            SimulatedResponse::Whole(answer)
        }
    }
}

/// Removes one entry of `data` from the answer. An answer without `data` is unchanged.
fn without_first_group(answer: Response<Bytes>) -> Response<Bytes> {
    let Ok(mut json) = serde_json::from_slice::<Value>(answer.body()) else { return answer };
    let Some(data) = json.get_mut("data").and_then(Value::as_object_mut) else { return answer };
    if let Some(first) = data.keys().next().cloned() {
        data.remove(&first);
    }
    json_response(answer.status(), &json)
}
