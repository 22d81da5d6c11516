//! `GET /broadcasts`: all of them, the newest first.

use axum::extract::{Query, State};
use axum::response::Response;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::ledger::{BroadcastId, Filter};
use crate::web::answer::Problem;
use crate::web::{BroadcastView, Site};

use super::card::Card;
use super::visitor::Visitor;

/// Broadcasts on a page.
const PAGE: usize = 50;

/// Which are asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    name: String,
    #[serde(default)]
    only: String,
    before: Option<i64>,
}

/// `GET /broadcasts`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    let came = context(&site, &visitor, &which).await;
    visitor.answer(&site, "history.html", came)
}

async fn context(site: &Site, visitor: &Visitor, which: &Which) -> Result<Value, Problem> {
    let name = which.name.trim();
    let filter = Filter {
        name: (!name.is_empty()).then(|| name.to_owned()),
        unfinished: which.only == "unfinished",
        finished: which.only == "finished",
        before: which.before.map(BroadcastId),
        limit: PAGE as u64 + 1,
        ..Filter::default()
    };
    let mut found = site.ledger.list(&filter).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| last.id.0);
    let cards = found.iter().map(|one| Card::value(&BroadcastView::from(one)));
    Ok(context! {
        broadcasts => cards.collect::<Vec<_>>(),
        name => name,
        only => which.only.as_str(),
        before => which.before,
        next => next,
        ..visitor.context(site)
    })
}
