//! `GET /broadcasts/{id}/recipients/{seq}`: the message of one recipient, and its picture.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::control::{MessageView, find_message, picture_of};
use crate::delivery::Picture;
use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::ApiPath;

use super::page_context::PageContext;

/// `GET /broadcasts/{id}/recipients/{seq}`
pub(super) async fn show(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath((id, seq)): ApiPath<(i64, i64)>,
) -> Response {
    let came = context(&state, &page_context, BroadcastId(id), seq).await;
    page_context.answer(&state, "message.html", came)
}

async fn context(
    state: &AppState,
    page_context: &PageContext,
    id: BroadcastId,
    seq: i64,
) -> Result<Value, ApiError> {
    let broadcast = state.ledger.show(id).await?;
    let found = find_message(&state.ledger, &broadcast, seq).await?;
    let message = MessageView::read(&state.ledger, &broadcast, found).await?;
    let json = |value: &serde_json::Value| serde_json::to_string_pretty(value).unwrap_or_default();
    let body = (!message.body.is_empty()).then(|| json(&message.body.clone().into()));
    Ok(context! {
        id => id.0,
        name => broadcast.name,
        run => broadcast.run,
        ext => message.ext.as_ref().map(json),
        body,
        message => Serde(&message),
        ..page_context.context(state)
    })
}

/// `GET /broadcasts/{id}/recipients/{seq}/picture`: the picture of the message. The daemon fetches it from the service.
pub(super) async fn picture(
    State(state): State<AppState>,
    ApiPath((id, seq)): ApiPath<(i64, i64)>,
) -> Response {
    match fetch(&state, BroadcastId(id), seq).await {
        Ok(picture) => {
            let headers =
                [(header::CONTENT_TYPE, picture.media_type), (header::CACHE_CONTROL, "private, max-age=600")];
            (headers, picture.bytes).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn fetch(state: &AppState, id: BroadcastId, seq: i64) -> Result<Picture, ApiError> {
    let broadcast = state.ledger.show(id).await?;
    let found = find_message(&state.ledger, &broadcast, seq).await?;
    let address = picture_of(&found).ok_or_else(|| ApiError::not_found("the message has no picture"))?;
    let fetched = state
        .run_on_daemon(move |daemon| async move {
            let app = daemon.handle.apps.iter().find(|app| app.key() == broadcast.app_key)?;
            Some(app.picture(&address.url, address.secret.as_deref()).await)
        })
        .await?;
    let fetched = fetched.ok_or_else(|| {
        ApiError::not_found(
            "the picture cannot be fetched, because this daemon does not send through its app",
        )
    })?;
    fetched.map_err(|failure| {
        tracing::warn!(broadcast = id.0, seq, "cannot fetch the picture of a message: {failure}");
        ApiError::new(StatusCode::BAD_GATEWAY, "the picture cannot be fetched; the log has the reason")
    })
}
