//! `GET /suppressions`: the suppression list, with a form that adds to it; and the question before a removal.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::SuppressionView;
use crate::core::SuppressedKind;
use crate::ledger::SuppressionFilter;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::{ApiQuery, PageForm};

use super::ask::result_message;
use super::format;
use super::page_context::PageContext;

/// The address of the list.
const LIST: &str = "/suppressions";

/// The number of entries on a page.
const PAGE: u32 = 100;

/// Which entries to show.
#[derive(Debug, Default, Deserialize)]
pub(super) struct SuppressionPageQuery {
    /// Only the entries with this id.
    #[serde(default)]
    id: String,
    /// The entry before the page: its app's key, kind and id.
    app: Option<String>,
    kind: Option<SuppressedKind>,
    after: Option<String>,
}

/// What is added: ids, one on each line.
#[derive(Debug, Deserialize)]
pub(super) struct AdditionForm {
    app: String,
    kind: SuppressedKind,
    ids: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    expires: String,
}

/// The entry that is removed.
#[derive(Debug, Deserialize)]
pub(super) struct RemovalQuery {
    app: String,
    kind: SuppressedKind,
    id: String,
}

/// `GET /suppressions`
pub(super) async fn show(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<SuppressionPageQuery>,
) -> Response {
    page_context.answer(&state, "suppressions.html", context(&state, &page_context, &which).await)
}

async fn context(
    state: &AppState,
    page_context: &PageContext,
    which: &SuppressionPageQuery,
) -> Result<Value, ApiError> {
    let id = which.id.trim();
    let after = which.app.as_deref().zip(which.kind).zip(which.after.as_deref());
    let filter = SuppressionFilter {
        id: (!id.is_empty()).then_some(id),
        after: after.map(|((app, kind), id)| (app, kind, id)),
        limit: PAGE + 1,
        ..SuppressionFilter::default()
    };
    let mut found = state.ledger.suppressions(&filter).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let next = found.last().filter(|_| more).map(|last| {
        let [app, after] = [&last.app_key, &last.id].map(|text| format::in_query(text));
        format!("{LIST}?app={app}&kind={}&after={after}", last.kind)
    });
    let apps: Vec<String> = state.apps().into_iter().map(|app| app.name).collect();
    Ok(context! {
        listed => Serde(&found.iter().map(SuppressionView::from).collect::<Vec<_>>()),
        id => id,
        first => after.is_none(),
        next => next,
        apps => apps,
        kinds => SuppressedKind::ALL.map(SuppressedKind::name),
        ..page_context.context(state)
    })
}

/// `POST /suppressions`
pub(super) async fn add(
    State(state): State<AppState>,
    page_context: PageContext,
    PageForm(wanted): PageForm<AdditionForm>,
) -> Response {
    let does = async {
        let AdditionForm { app, kind, ids, reason, expires } = &wanted;
        let given = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let ids = ids.lines().filter_map(given).collect();
        let done = state
            .suppress(
                page_context.caller(),
                Some(app),
                *kind,
                ids,
                given(reason).as_deref(),
                given(expires).as_deref(),
            )
            .await?;
        Ok(result_message(&page_context, "done_suppress", "", &done))
    };
    page_context.done(&state, LIST, does.await)
}

/// `GET /suppressions/remove`
pub(super) async fn ask_removal(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<RemovalQuery>,
) -> Response {
    let asks = async {
        let filter = SuppressionFilter {
            app_key: Some(&which.app),
            kind: Some(which.kind),
            id: Some(&which.id),
            limit: 1,
            ..SuppressionFilter::default()
        };
        let found = state.ledger.suppressions(&filter).await?;
        let words = page_context.language.text("suppressions_gone").unwrap_or_default();
        let found = found.first().ok_or_else(|| ApiError::not_found(words))?;
        Ok(context! { entry => Serde(&SuppressionView::from(found)), ..page_context.context(&state) })
    };
    let template = if page_context.part { "part/ask_suppression.html" } else { "ask_suppression.html" };
    page_context.answer(&state, template, asks.await)
}

/// `POST /suppressions/remove`
pub(super) async fn remove(
    State(state): State<AppState>,
    page_context: PageContext,
    PageForm(which): PageForm<RemovalQuery>,
) -> Response {
    let does = async {
        let done = state
            .unsuppress(page_context.caller(), &which.app, which.kind, std::slice::from_ref(&which.id))
            .await?;
        Ok(result_message(&page_context, "done_unsuppress", &which.id, &done))
    };
    page_context.done(&state, LIST, does.await)
}
