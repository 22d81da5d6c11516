//! `GET /broadcasts/{id}`: one broadcast and its recipients.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::{BroadcastView, RecipientView, standing};
use crate::ledger;
use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::answer::ApiError;

use super::card::BroadcastCard;
use super::visitor::Visitor;

/// The parts that are updated live.
pub(super) const PARTS: &[&str] = &["broadcast"];

/// The number of recipients on a page.
const PAGE: u32 = 100;

/// The query: which recipients to show.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BroadcastPageQuery {
    state: Option<String>,
    after: Option<i64>,
}

/// `GET /broadcasts/{id}`
pub(super) async fn show(
    State(site): State<AppState>,
    visitor: Visitor,
    Path(id): Path<i64>,
    Query(which): Query<BroadcastPageQuery>,
) -> Response {
    let came = whole(&site, &visitor, BroadcastId(id), &which).await;
    visitor.answer(&site, "broadcast.html", came)
}

/// A broadcast with the status that its driver reported.
pub(super) async fn look(site: &AppState, id: BroadcastId) -> Result<BroadcastView, ApiError> {
    let found = site.ledger.show(id).await?;
    let mut views = standing(&site.ledger, &[found], site.clock.unix_time()).await?;
    views.pop().ok_or_else(|| ApiError::not_found("the broadcast is gone"))
}

/// The context of the updated part.
pub(super) async fn context(site: &AppState, visitor: &Visitor, id: BroadcastId) -> Result<Value, ApiError> {
    let view = look(site, id).await?;
    Ok(context! {
        live => true,
        events => format!("/events?broadcast={}", id.0),
        broadcast => BroadcastCard::value(&view),
        ..visitor.context(site)
    })
}

async fn whole(
    site: &AppState,
    visitor: &Visitor,
    id: BroadcastId,
    which: &BroadcastPageQuery,
) -> Result<Value, ApiError> {
    let state = which.state.as_deref().filter(|state| !state.is_empty());
    let chosen = match state.map(|state| (state, ledger::DeliveryState::from_name(state))) {
        Some((state, None)) => {
            return Err(ApiError::not_found(format!("there is no state `{state}` of recipients")));
        }
        Some((_, chosen)) => chosen,
        None => None,
    };
    let after = which.after.unwrap_or_default();
    let mut found = site.ledger.recipients(id, chosen, after, PAGE + 1).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let recipients: Vec<RecipientView> = found.into_iter().map(RecipientView::from).collect();
    let last = recipients.last().map_or(after, |recipient| recipient.seq);
    let recalled = site.ledger.recalled(id).await?;
    Ok(context! {
        states => ledger::DeliveryState::ALL.map(ledger::DeliveryState::name).to_vec(),
        chosen => state.unwrap_or_default(),
        after => after,
        next => more.then_some(last),
        recipients => Serde(&recipients),
        recalled => recalled.done,
        unrecalled => recalled.refused,
        ..context(site, visitor, id).await?
    })
}
