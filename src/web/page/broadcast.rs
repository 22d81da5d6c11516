//! `GET /broadcasts/{id}`: one broadcast and its recipients.

use axum::extract::State;
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::{BroadcastView, ReadersView, RecipientView, standing};
use crate::ledger;
use crate::ledger::{Broadcast, BroadcastId};
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::{ApiPath, ApiQuery};

use super::card::BroadcastCard;
use super::format;
use super::page_context::PageContext;

/// The parts that are updated live.
const PARTS: &[&str] = &["broadcast", "outlook", "recipient_list"];

/// The same while it waits for an approval: what is to be approved does not change, and costs much to read.
const AWAITING_PARTS: &[&str] = &["broadcast", "recipient_list"];

/// The number of recipients on a page.
const PAGE: u32 = 100;

/// The query: which recipients to show.
#[derive(Debug, Default, Deserialize)]
pub(super) struct BroadcastPageQuery {
    pub(super) state: Option<String>,
    pub(super) after: Option<i64>,
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
    view_of(state, state.ledger.show(id).await?).await
}

async fn view_of(state: &AppState, broadcast: Broadcast) -> Result<BroadcastView, ApiError> {
    let mut views = standing(&state.ledger, &[broadcast], state.clock.unix_time()).await?;
    views.pop().ok_or_else(|| ApiError::not_found("the broadcast no longer exists"))
}

/// The parts that are updated, and their context.
pub(super) async fn live(
    state: &AppState,
    page_context: &PageContext,
    id: BroadcastId,
    which: &BroadcastPageQuery,
) -> Result<(&'static [&'static str], Value), ApiError> {
    let broadcast = state.ledger.show(id).await?;
    let parts = if broadcast.awaits_approval() { AWAITING_PARTS } else { PARTS };
    Ok((parts, context(state, page_context, broadcast, which).await?))
}

async fn whole(
    state: &AppState,
    page_context: &PageContext,
    id: BroadcastId,
    which: &BroadcastPageQuery,
) -> Result<Value, ApiError> {
    which.chosen()?;
    let broadcast = state.ledger.show(id).await?;
    let outlook = state.outlook(&broadcast).await?;
    let recalled = state.ledger.recalled(id).await?;
    let readers = ReadersView::read(&state.ledger, &broadcast, state.clock.unix_time()).await?;
    Ok(context! {
        outlook => outlook.as_ref().map(|outlook| Value::from(Serde(outlook))),
        settings => outlook.as_ref().map(|outlook| shown_settings(&outlook.settings)),
        reach => readers.as_ref().map(reach),
        recalled => recalled.done,
        unrecalled => recalled.refused,
        ..context(state, page_context, broadcast, which).await?
    })
}

/// The context of the parts that are updated live.
async fn context(
    state: &AppState,
    page_context: &PageContext,
    broadcast: Broadcast,
    which: &BroadcastPageQuery,
) -> Result<Value, ApiError> {
    let (id, call) = (broadcast.id, broadcast.spec.recipients());
    let (chosen, after) = (which.state.as_deref().unwrap_or_default(), which.after.unwrap_or_default());
    let mut found = state.ledger.recipients(id, which.chosen()?, after, PAGE + 1).await?;
    let more = found.len() > PAGE as usize;
    found.truncate(PAGE as usize);
    let last = found.last().map_or(after, |recipient| recipient.seq);
    let recipients: Vec<RecipientView> =
        found.into_iter().map(|recipient| RecipientView::of(recipient, call)).collect();
    let view = view_of(state, broadcast).await?;
    Ok(context! {
        live => true,
        outlook => (),
        events => format!("/events?broadcast={}&state={}&after={after}", id.0, format::in_query(chosen)),
        broadcast => BroadcastCard::value(&view),
        own_plan => view.approval.as_ref().is_some_and(|approval| page_context.is_among(&approval.begun_by)),
        states => ledger::RecipientState::ALL.map(ledger::RecipientState::name).to_vec(),
        chosen,
        after,
        next => more.then_some(last),
        recipients => Serde(&recipients),
        ..page_context.context(state)
    })
}

impl BroadcastPageQuery {
    /// The state of the recipients to show; None for all.
    fn chosen(&self) -> Result<Option<ledger::RecipientState>, ApiError> {
        let state = self.state.as_deref().filter(|name| !name.is_empty());
        let unknown = |name| ApiError::not_found(format!("recipients have no state `{name}`"));
        state.map(|name| ledger::RecipientState::from_name(name).ok_or_else(|| unknown(name))).transpose()
    }
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
