//! `GET /broadcasts/{id}`: one broadcast and its recipients.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::{BroadcastView, ReadersView, RecipientView, standing};
use crate::ledger;
use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::{ApiPath, ApiQuery};

use super::card::BroadcastCard;
use super::page_context::PageContext;

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
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(id): ApiPath<i64>,
    ApiQuery(which): ApiQuery<BroadcastPageQuery>,
) -> Response {
    let came = whole(&state, &page_context, BroadcastId(id), &which).await;
    page_context.answer(&state, "broadcast.html", came)
}

/// A broadcast with the status that its driver reported.
pub(super) async fn look(state: &AppState, id: BroadcastId) -> Result<BroadcastView, ApiError> {
    let found = state.ledger.show(id).await?;
    let mut views = standing(&state.ledger, &[found], state.clock.unix_time()).await?;
    views.pop().ok_or_else(|| ApiError::not_found("the broadcast no longer exists"))
}

/// The context of the updated part.
pub(super) async fn context(
    state: &AppState,
    page_context: &PageContext,
    id: BroadcastId,
) -> Result<Value, ApiError> {
    let view = look(state, id).await?;
    Ok(context! {
        live => true,
        events => format!("/events?broadcast={}", id.0),
        broadcast => BroadcastCard::value(&view),
        own_plan => view.approval.as_ref().is_some_and(|approval| page_context.is_among(&approval.begun_by)),
        ..page_context.context(state)
    })
}

async fn whole(
    state: &AppState,
    page_context: &PageContext,
    id: BroadcastId,
    which: &BroadcastPageQuery,
) -> Result<Value, ApiError> {
    let filter = which.state.as_deref().filter(|name| !name.is_empty());
    let chosen = match filter.map(|name| (name, ledger::RecipientState::from_name(name))) {
        Some((name, None)) => {
            return Err(ApiError::not_found(format!("recipients have no state `{name}`")));
        }
        Some((_, chosen)) => chosen,
        None => None,
    };
    let after = which.after.unwrap_or_default();
    let mut found = state.ledger.recipients(id, chosen, after, PAGE + 1).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let broadcast = state.ledger.show(id).await?;
    let outlook = state.outlook(&broadcast).await?;
    let view = |recipient| RecipientView::of(recipient, broadcast.spec.recipients());
    let recipients: Vec<RecipientView> = found.into_iter().map(view).collect();
    let last = recipients.last().map_or(after, |recipient| recipient.seq);
    let recalled = state.ledger.recalled(id).await?;
    let now = state.clock.unix_time();
    let readers = ReadersView::read(&state.ledger, &broadcast, now).await?;
    Ok(context! {
        states => ledger::RecipientState::ALL.map(ledger::RecipientState::name).to_vec(),
        chosen => filter.unwrap_or_default(),
        after => after,
        next => more.then_some(last),
        recipients => Serde(&recipients),
        outlook => outlook.as_ref().map(|outlook| Value::from(Serde(outlook))),
        settings => outlook.as_ref().map(|outlook| shown_settings(&outlook.settings)),
        reach => readers.as_ref().map(reach),
        recalled => recalled.done,
        unrecalled => recalled.refused,
        ..context(state, page_context, id).await?
    })
}

/// The settings as names and their values in JSON.
fn shown_settings(settings: &serde_json::Map<String, serde_json::Value>) -> Vec<Value> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    settings.iter().map(|(name, value)| context! { name, value => text(value) }).collect()
}

/// The readers with their shares in per cent.
fn reach(view: &ReadersView) -> Value {
    let within = |hours: Option<u64>, readers: u64, percent: String| context! { hours, readers, percent };
    let rows = view.over_time.iter().map(|one| within(Some(one.hours), one.readers, one.percent()));
    let rows: Vec<Value> = rows.chain([within(None, view.readers, view.percent())]).collect();
    context! { readers => view.readers, percent => view.percent(), rows }
}
