//! `GET /broadcasts`: all broadcasts, the newest first.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use crate::control::BroadcastView;
use crate::ledger::{BroadcastFilter, BroadcastId};
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::ApiQuery;

use super::card::BroadcastCard;
use super::page_context::PageContext;

/// The number of broadcasts on a page.
const PAGE: usize = 50;

/// The query: which broadcasts to show.
#[derive(Debug, Deserialize)]
pub(super) struct BroadcastHistoryQuery {
    #[serde(default)]
    name: String,
    only: Option<HistoryChoice>,
    before: Option<i64>,
}

/// Which broadcasts to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HistoryChoice {
    All,
    Unfinished,
    Finished,
}

/// `GET /broadcasts`
pub(super) async fn show(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<BroadcastHistoryQuery>,
) -> Response {
    let came = context(&state, &page_context, &which).await;
    page_context.answer(&state, "history.html", came)
}

async fn context(
    state: &AppState,
    page_context: &PageContext,
    which: &BroadcastHistoryQuery,
) -> Result<Value, ApiError> {
    let name = which.name.trim();
    let filter = BroadcastFilter {
        name: (!name.is_empty()).then(|| name.to_owned()),
        unfinished: which.only == Some(HistoryChoice::Unfinished),
        finished: which.only == Some(HistoryChoice::Finished),
        before: which.before.map(BroadcastId),
        limit: PAGE as u64 + 1,
        ..BroadcastFilter::default()
    };
    let mut found = state.ledger.list(&filter).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| last.id.0);
    let cards = found.iter().map(|one| BroadcastCard::value(&BroadcastView::from(one)));
    Ok(context! {
        broadcasts => cards.collect::<Vec<_>>(),
        name => name,
        only => Serde(&which.only.filter(|only| *only != HistoryChoice::All)),
        before => which.before,
        next => next,
        ..page_context.context(state)
    })
}
