//! The edit of a broadcast's messages on the page: the question, with the text as it is now, and the action.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::control::current_text;
use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::{ApiPath, PageForm};

use super::ask::result_message;
use super::broadcast;
use super::page_context::PageContext;

/// The new text, the new `ext` as JSON, or both.
#[derive(Debug, Deserialize)]
pub(super) struct EditForm {
    text: String,
    #[serde(default)]
    ext: String,
}

impl EditForm {
    /// Returns the change. Without a text, only `ext` changes.
    fn change(&self, page_context: &PageContext) -> Result<Value, ApiError> {
        let mut change = Map::new();
        let ext = self.ext.trim();
        if ext.is_empty() || !self.text.is_empty() {
            change.insert("body".to_owned(), json!({ "msg": self.text }));
        }
        if !ext.is_empty() {
            let ext: Map<String, Value> = serde_json::from_str(ext).map_err(|error| {
                let words = page_context.language.text("ext_unreadable").unwrap_or_default();
                ApiError::new(StatusCode::BAD_REQUEST, format!("{words}: {error}"))
            })?;
            change.insert("ext".to_owned(), ext.into());
        }
        Ok(change.into())
    }
}

/// `GET /broadcasts/{id}/edit`
pub(super) async fn of_broadcast(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(id): ApiPath<i64>,
) -> Response {
    let asks = async {
        let id = BroadcastId(id);
        let view = broadcast::look(&state, id).await?;
        let found = state.ledger.show(id).await?;
        let text = current_text(&state.ledger, &found).await?;
        // What can be edited is the same for every text; an empty one would be refused. Without texts, only `ext` can be.
        let change = if text.is_empty() {
            json!({ "ext": { "…": "…" } })
        } else {
            json!({ "body": { "msg": "…" } })
        };
        let preview = state.preview_edit(id, change).await?;
        Ok(context! {
            broadcast => Serde(&view),
            preview => Serde(&preview),
            text => text,
            ..page_context.context(&state)
        })
    };
    let template = if page_context.part { "part/ask_edit.html" } else { "ask_edit.html" };
    page_context.answer(&state, template, asks.await)
}

/// `POST /broadcasts/{id}/edit`
pub(super) async fn do_to_broadcast(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(id): ApiPath<i64>,
    PageForm(wanted): PageForm<EditForm>,
) -> Response {
    let does = async {
        let found = state.ledger.show(BroadcastId(id)).await?;
        let done = state.edit(page_context.caller(), found.id, wanted.change(&page_context)?, None).await?;
        Ok(result_message(&page_context, "done_edit", &found.full_name(), &done))
    };
    page_context.done(&state, &format!("/broadcasts/{id}"), does.await)
}
