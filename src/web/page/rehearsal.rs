//! `/rehearsals/{id}`: what a script would send, and its sending as rehearsed.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use crate::control::{MessageView, RehearsalView, find_rehearsal, find_run, find_script};
use crate::schedule::runs_of;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::ApiPath;

use super::ask::result_message;
use super::format;
use super::page_context::PageContext;

/// What can be sent of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RehearsalAction {
    /// Everything, exactly as rehearsed.
    Send,
    /// Only the test messages.
    Test,
}

/// `GET /rehearsals/{id}`
pub(super) async fn show(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(id): ApiPath<i64>,
) -> Response {
    let came = async {
        let view = find_rehearsal(&state.ledger, id, state.clock.unix_time()).await?;
        context(&state, &page_context, &view).await
    };
    page_context.answer(&state, "rehearsal.html", came.await)
}

/// `GET /rehearsals/{id}/{act}`
pub(super) async fn ask(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath((id, act)): ApiPath<(i64, RehearsalAction)>,
) -> Response {
    let asks = async {
        let view = find_rehearsal(&state.ledger, id, state.clock.unix_time()).await?;
        Ok(context! { act => Serde(act), ..context(&state, &page_context, &view).await? })
    };
    let template = if page_context.part { "part/ask_rehearsal.html" } else { "ask_rehearsal.html" };
    page_context.answer(&state, template, asks.await)
}

/// `POST /rehearsals/{id}/{act}`
pub(super) async fn act(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath((id, act)): ApiPath<(i64, RehearsalAction)>,
) -> Response {
    let test = act == RehearsalAction::Test;
    let does = async {
        let view = find_rehearsal(&state.ledger, id, state.clock.unix_time()).await?;
        let done = state.send_rehearsed(page_context.caller(), &view, test).await?;
        let what = if test { "done_rehearsal_test" } else { "done_rehearsal_send" };
        Ok((result_message(&page_context, what, &view.script, &done), view.script))
    };
    match does.await {
        // After a test, the rehearsal is there to be sent.
        Ok((done, _)) if test => page_context.done(&state, &format!("/rehearsals/{id}"), Ok(done)),
        Ok((done, script)) => {
            let runs = format::in_query(&runs_of(&script));
            page_context.done(&state, &format!("/job?name={runs}"), Ok(done))
        }
        Err(problem) => page_context.refuse(&state, &problem),
    }
}

async fn context(
    state: &AppState,
    page_context: &PageContext,
    view: &RehearsalView,
) -> Result<Value, ApiError> {
    let current = find_script(&state.ledger, &view.script).await.ok().and_then(|script| script.hash);
    let report = view.report.clone().unwrap_or_default();
    let over = (state.daemon.handle.settings)().approval.over(Some(&view.script));
    let needs_approval = list(&report["broadcasts"]).any(|broadcast| {
        broadcast["needs_approval"] == true
            || over.is_some_and(|over| broadcast["recipients"].as_u64().unwrap_or(0) > over)
    });
    let broadcasts: Vec<Value> = list(&report["broadcasts"])
        .map(|broadcast| {
            let largest = &broadcast["largest"];
            let alike = list(&broadcast["samples"]).any(|sample| sample["message"] == largest["message"]);
            context! {
                bubbles => bubbles(&broadcast["samples"]),
                largest => (!alike && !largest.is_null()).then(|| bubble(largest)),
                ..Value::from(Serde(broadcast))
            }
        })
        .collect();
    let args: Vec<Value> = view
        .args
        .iter()
        .map(|arg| {
            let (name, value) = arg.split_once('=').unwrap_or(("", arg));
            let file = crate::control::run_file_of(value).map(|(_, name)| name);
            context! { name, value => file.unwrap_or(value) }
        })
        .collect();
    let run = match &view.run {
        // A run that has not begun has no page.
        Some(id) if find_run(&state.ledger, id).await.is_ok() => {
            Some(format!("/run?id={}", format::in_query(id)))
        }
        Some(_) => Some(format!("/job?name={}", format::in_query(&runs_of(&view.script)))),
        None => None,
    };
    Ok(context! {
        rehearsal => Serde(view),
        run,
        stale => current.as_deref() != Some(&view.version),
        report => Serde(&report),
        broadcasts,
        needs_approval,
        singles => bubbles(&report["single_sends"]["samples"]),
        args,
        ..page_context.context(state)
    })
}

fn list(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    value.as_array().into_iter().flatten()
}

fn bubbles(samples: &serde_json::Value) -> Vec<Value> {
    list(samples).map(bubble).collect()
}

/// A sample message, as a phone shows it.
fn bubble(sample: &serde_json::Value) -> Value {
    let texts = |value: &serde_json::Value| -> Vec<String> {
        list(value).filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let to = texts(&sample["to"]);
    let view = MessageView::unsent(to.join(", "), texts(&sample["users"]), sample["message"].clone());
    let ext = view.ext.as_ref().and_then(|ext| serde_json::to_string_pretty(ext).ok());
    context! { bytes => Serde(&sample["bytes"]), ext_text => ext, message => Serde(&view) }
}
