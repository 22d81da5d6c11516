//! `GET /broadcasts`: all broadcasts, the newest first.

use axum::extract::{Query, State};
use axum::response::Response;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::BroadcastView;
use crate::ledger::{BroadcastFilter, BroadcastId};
use crate::web::AppState;
use crate::web::answer::ApiError;

use super::card::BroadcastCard;
use super::visitor::Visitor;

/// The number of broadcasts on a page.
const PAGE: usize = 50;

/// The query: which broadcasts to show.
#[derive(Debug, Deserialize)]
pub(super) struct BroadcastHistoryQuery {
    #[serde(default)]
    name: String,
    #[serde(default)]
    only: String,
    before: Option<i64>,
}

/// `GET /broadcasts`
pub(super) async fn show(
    State(site): State<AppState>,
    visitor: Visitor,
    Query(which): Query<BroadcastHistoryQuery>,
) -> Response {
    let came = context(&site, &visitor, &which).await;
    visitor.answer(&site, "history.html", came)
}

async fn context(
    site: &AppState,
    visitor: &Visitor,
    which: &BroadcastHistoryQuery,
) -> Result<Value, ApiError> {
    let name = which.name.trim();
    let filter = BroadcastFilter {
        name: (!name.is_empty()).then(|| name.to_owned()),
        unfinished: which.only == "unfinished",
        finished: which.only == "finished",
        before: which.before.map(BroadcastId),
        limit: PAGE as u64 + 1,
        ..BroadcastFilter::default()
    };
    let mut found = site.ledger.list(&filter).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| last.id.0);
    let cards = found.iter().map(|one| BroadcastCard::value(&BroadcastView::from(one)));
    Ok(context! {
        broadcasts => cards.collect::<Vec<_>>(),
        name => name,
        only => which.only.as_str(),
        before => which.before,
        next => next,
        ..visitor.context(site)
    })
}
