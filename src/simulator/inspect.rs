//! `/_sim/…`: the simulator's totals and messages over HTTP, and its fault plan.

use axum::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{json as json_response, response};
use super::{FaultPlan, Simulator, UserEvent, page};

/// Answers a request to `/_sim/{path}`.
pub(super) fn answer(simulator: &Simulator, request: &Request<Bytes>, path: &str) -> Response<Bytes> {
    let ok = |json: Value| json_response(StatusCode::OK, &json);
    match (request.method(), path.split_once('/').unwrap_or((path, ""))) {
        (&Method::GET, ("stats", "")) => ok(json!(simulator.stats())),
        (&Method::GET, ("received", "")) => {
            let stats = simulator.stats();
            ok(json!({ "messages": stats.messages(), "groups": simulator.counts() }))
        }
        (&Method::GET, ("received", group)) => ok(json!({
            "group": group,
            "count": simulator.count(group),
            "messages": simulator.received_by(group),
        })),
        (&Method::GET, ("page.css", "")) => page::style(),
        (&Method::GET, ("picture", uuid)) => page::picture(simulator, uuid).unwrap_or_else(|| {
            json_response(StatusCode::NOT_FOUND, &json!({ "error": "there is no picture with this id" }))
        }),
        (&Method::GET, ("faults", "")) => {
            response(StatusCode::OK, "text/plain; charset=utf-8", simulator.faults().to_string())
        }
        (&Method::PUT, ("faults", "")) => {
            match String::from_utf8_lossy(request.body()).parse::<FaultPlan>() {
                Ok(plan) => {
                    simulator.plan(plan);
                    ok(json!({ "planned": true }))
                }
                Err(error) => json_response(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
            }
        }
        (&Method::POST, ("events", "")) => {
            let event =
                serde_json::from_slice::<UserEvent>(request.body()).map_err(|error| error.to_string());
            match event.and_then(|event| simulator.inject(event).map_err(|error| error.to_string())) {
                Ok(id) => ok(json!({ "id": id })),
                Err(error) => json_response(StatusCode::BAD_REQUEST, &json!({ "error": error })),
            }
        }
        (&Method::POST, ("revoke", "")) => {
            simulator.revoke_tokens();
            ok(json!({ "revoked": true }))
        }
        (&Method::POST, ("reset", "")) => {
            simulator.reset();
            ok(json!({ "reset": true }))
        }
        _ => json_response(
            StatusCode::NOT_FOUND,
            &json!({ "error": format!("there is no {} /_sim/{path}", request.method()) }),
        ),
    }
}
