//! `GET /audit`: who did what, the newest first.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;
use serde_json::{Map, Value as JsonValue};

use crate::ledger::{AuditEntry, AuditFilter};
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::ApiQuery;

use super::page_context::PageContext;

/// The number of entries on a page.
const PAGE: u32 = 100;

/// The query: which entries to show.
#[derive(Debug, Deserialize)]
pub(super) struct AuditPageQuery {
    #[serde(default)]
    actor: String,
    before: Option<i64>,
}

pub(super) async fn show(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<AuditPageQuery>,
) -> Response {
    let came = context(&state, &page_context, &which).await;
    page_context.answer(&state, "audit.html", came)
}

async fn context(
    state: &AppState,
    page_context: &PageContext,
    which: &AuditPageQuery,
) -> Result<Value, ApiError> {
    let actor = which.actor.trim();
    let filter = AuditFilter {
        actor: (!actor.is_empty()).then(|| actor.to_owned()),
        before: which.before,
        ..AuditFilter::default()
    };
    let mut entries = state.ledger.audit(&filter, PAGE + 1).await?;
    let more = entries.len() > PAGE as usize;
    entries.truncate(PAGE as usize);
    let next = entries.last().filter(|_| more).map(|last| last.number);
    let details: Vec<String> = entries.iter().map(details).collect();
    Ok(context! {
        entries => Serde(&entries),
        details => details,
        actor => actor,
        before => which.before,
        next => next,
        ..page_context.context(state)
    })
}

/// The details as text. No details are an empty text.
fn details(entry: &AuditEntry) -> String {
    let fields: Map<String, JsonValue> = serde_json::from_str(&entry.details).unwrap_or_default();
    let field = |(name, value): (&String, &JsonValue)| match value.as_str() {
        Some(text) => format!("{name}: {text}"),
        None => format!("{name}: {value}"),
    };
    fields.iter().map(field).collect::<Vec<_>>().join(", ")
}
