//! `GET /run`: one job run, its output, and what it sent. A job's name can be any text, so the run's id is in the
//! query.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::{OutputView, RunDetail, find_run};
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::ApiQuery;

use super::card::BroadcastCard;
use super::format;
use super::page_context::PageContext;

/// The parts that are updated live.
pub(super) const PARTS: &[&str] = &["run", "output"];

/// The first and the last lines of the output that are shown.
const FIRST: usize = 100;
const LAST: usize = 400;

#[derive(Debug, Deserialize)]
pub(super) struct RunPageQuery {
    id: String,
}

/// `GET /run?id=…`
pub(super) async fn show(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<RunPageQuery>,
) -> Response {
    let came = context(&state, &page_context, &which.id).await;
    page_context.answer(&state, "run.html", came)
}

/// `GET /run/output?id=…`: the whole kept output, as plain text.
pub(super) async fn text(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<RunPageQuery>,
) -> Response {
    match read_text(&state, &which.id).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        Err(problem) => page_context.refuse(&state, &problem),
    }
}

async fn read_text(state: &AppState, id: &str) -> Result<String, ApiError> {
    let run = find_run(&state.ledger, id).await?;
    let output = OutputView::read(&state.ledger, &run, 0).await?;
    let mut text = String::new();
    for line in &output.lines {
        if let Some(left) = output.left_out.as_ref().filter(|left| left.before_line == line.number) {
            let _ = writeln!(text, "({} lines with {} bytes left out)", left.lines, left.bytes);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {} {}", line.at, line.stream, line.text);
    }
    Ok(text)
}

/// The context of the templates.
pub(super) async fn context(
    state: &AppState,
    page_context: &PageContext,
    id: &str,
) -> Result<Value, ApiError> {
    let run = find_run(&state.ledger, id).await?;
    let detail = RunDetail::read(&state.ledger, &run, state.clock.unix_time()).await?;
    let output = OutputView::read(&state.ledger, &run, 0).await?;
    Ok(context! {
        live => true,
        events => format!("/events?run={}", format::in_query(id)),
        detail => Serde(&detail),
        broadcasts => detail.broadcasts.iter().map(BroadcastCard::value).collect::<Vec<Value>>(),
        output => shown(&output),
        ..page_context.context(state)
    })
}

/// The first and the last lines, and what is between them.
fn shown(output: &OutputView) -> Value {
    let lines = &output.lines;
    let last = lines.len().saturating_sub(LAST).max(FIRST.min(lines.len()));
    let stored = output.left_out.as_ref();
    // Lines that the ledger left out may lie within the shown lines, or between them.
    let mut first: Vec<Value> = Vec::new();
    let mut rest: Vec<Value> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let into = match index {
            _ if index < FIRST => &mut first,
            _ if index >= last => &mut rest,
            _ => continue,
        };
        let gap = stored.filter(|left| left.before_line == line.number).map(|left| left.lines);
        into.push(context! { gap, ..Value::from(Serde(line)) });
    }
    let hidden = last.saturating_sub(FIRST.min(lines.len()));
    context! { first, rest, hidden, over => output.over }
}
