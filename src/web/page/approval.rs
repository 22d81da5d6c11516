//! Approves and rejects broadcasts. The page first asks for confirmation.

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;

use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::api::{ApiPath, PageForm};

use super::ask::result_message;
use super::broadcast;
use super::page_context::PageContext;

/// What the question asks for besides yes.
#[derive(Debug, Deserialize)]
pub(super) struct VerdictForm {
    /// The hash that the question showed.
    plan: String,
    note: Option<String>,
}

/// `GET /broadcasts/{id}/approve` and `GET /broadcasts/{id}/reject`
pub(super) async fn ask<const APPROVES: bool>(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(id): ApiPath<i64>,
) -> Response {
    let act = word(APPROVES);
    let asks = async {
        let view = broadcast::look(&state, BroadcastId(id)).await?;
        let is_own = view.approval.as_ref().is_some_and(|approval| page_context.is_among(&approval.begun_by));
        Ok(context! {
            about => "broadcast",
            act,
            sensible => view.awaits_approval() && !(is_own && APPROVES),
            broadcast => Serde(&view),
            back => format!("/broadcasts/{id}"),
            action => format!("/broadcasts/{id}/{act}"),
            ..page_context.context(&state)
        })
    };
    page_context.answer(&state, page_context.asking(), asks.await)
}

/// `POST /broadcasts/{id}/approve` and `POST /broadcasts/{id}/reject`
pub(super) async fn act<const APPROVES: bool>(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(id): ApiPath<i64>,
    PageForm(said): PageForm<VerdictForm>,
) -> Response {
    let does = async {
        let name = state.ledger.show(BroadcastId(id)).await?.full_name();
        let note = said.note.as_deref();
        let done = state.judge(page_context.caller(), BroadcastId(id), APPROVES, &said.plan, note).await?;
        Ok(result_message(&page_context, &format!("done_{}", word(APPROVES)), &name, &done))
    };
    page_context.done(&state, &format!("/broadcasts/{id}"), does.await)
}

const fn word(approves: bool) -> &'static str {
    if approves { "approve" } else { "reject" }
}
