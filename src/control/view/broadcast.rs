//! Broadcasts and their recipients.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{ChangesView, WaitView};
use crate::control::utc;
use crate::core::{BroadcastStatus, DeliveryState};
use crate::delivery::{BroadcastWait, DriverStatus, WaitKind};
use crate::ledger::{
    Broadcast, BroadcastCommand, BroadcastId, ExportedRecipient, Ledger, LedgerError, RecipientCounts,
};

impl PartialSchema for RecipientCounts {
    fn schema() -> RefOr<Schema> {
        let names = std::iter::once("total").chain(DeliveryState::ALL.map(DeliveryState::name));
        let counts = names
            .fold(ObjectBuilder::new(), |counts, name| counts.property(name, u64::schema()).required(name));
        counts.into()
    }
}

impl ToSchema for RecipientCounts {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("CountsView")
    }
}

/// A broadcast as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BroadcastView {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Which run of that name.
    pub run: String,
    /// The app that it is sent to: address, org and name.
    pub app: String,
    /// `building`, `ready`, `interrupted` (no process drives it), `paused`, `cancelling`, `finished` or `cancelled`.
    #[schema(value_type = String)]
    pub state: BroadcastStatus,
    /// Whether nothing of it is left to send.
    pub over: bool,
    /// Why it is paused or cancelled, where somebody said so.
    pub note: Option<String>,
    /// What changed, while it is paused and its inputs changed.
    pub changes: Option<ChangesView>,
    /// The process that drives it, if one does.
    pub driven_by: Option<String>,
    /// Its recipients by state.
    pub counts: RecipientCounts,
    /// Recipients that were named more than once, and get it once.
    pub duplicates: u64,
    /// The largest message, in bytes that count against the limit.
    pub largest_message_bytes: u64,
    /// The plan's hash, once it is fixed.
    pub plan: Option<String>,
    /// Recipients a second lately, where that is known.
    pub rate: Option<f64>,
    /// The most that there may be a second: its own rate, or the pace of its quota.
    pub most: Option<f64>,
    /// How long it will take still, in seconds, where that can be told.
    pub seconds_left: Option<f64>,
    /// When it will end, where that can be told.
    pub expected_end: Option<String>,
    /// What it waits for.
    pub waits_for: Option<WaitView>,
    /// When it was made.
    pub created_at: String,
    /// When its plan was fixed.
    pub planned_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
}

impl From<&Broadcast> for BroadcastView {
    /// The view without the values that only the driver knows.
    fn from(broadcast: &Broadcast) -> Self {
        Self {
            id: broadcast.id.0,
            name: broadcast.name.clone(),
            run: broadcast.run.clone(),
            app: broadcast.app_key.clone(),
            state: broadcast.status(),
            over: broadcast.is_over(),
            note: broadcast.command_note.clone(),
            changes: broadcast.shown_changes().as_ref().map(ChangesView::from),
            driven_by: broadcast.driver.as_ref().map(|driver| {
                let owner = &driver.owner;
                format!("{} (process {})", owner.name, owner.pid)
            }),
            counts: broadcast.counts,
            duplicates: broadcast.duplicates,
            largest_message_bytes: broadcast.largest_message_bytes,
            plan: broadcast.plan.clone(),
            rate: None,
            most: None,
            seconds_left: None,
            expected_end: None,
            waits_for: None,
            created_at: utc(broadcast.created_at),
            planned_at: broadcast.planned_at.map(utc),
            finished_at: broadcast.finished_at.map(utc),
        }
    }
}

impl BroadcastView {
    /// The current view, with the status that its drivers reported to the ledger. `now` is since 1970. The result
    /// is the same whatever process drives the broadcast.
    pub fn standing(broadcast: &Broadcast, told: Vec<DriverStatus>, now: Duration) -> Self {
        let mut view = Self::from(broadcast);
        if broadcast.is_over() {
            return view;
        }
        if broadcast.command == BroadcastCommand::Pause {
            let note = broadcast.command_note.clone();
            view.waits_for =
                Some(WaitView::new(&BroadcastWait { note, ..BroadcastWait::of(WaitKind::Resume) }, now));
        } else if broadcast.is_interrupted() {
            view.waits_for = Some(WaitView::of(WaitKind::Driver));
        }
        let driven = broadcast.driver.is_some();
        let Some(status) = DriverStatus::together(told).filter(|_| driven) else { return view };
        view.rate = status.rate;
        view.most = Some(status.most);
        if view.waits_for.is_none() {
            view.waits_for = status.wait.map(|wait| WaitView::new(&wait, now));
            view.seconds_left = status.ends_at.map(|ends| ends.saturating_sub(now).as_secs_f64());
            view.expected_end = status.ends_at.map(utc);
        }
        view
    }
}

/// The current views of some broadcasts, from the ledger.
pub async fn standing(
    ledger: &Ledger,
    broadcasts: &[Broadcast],
    now: Duration,
) -> Result<Vec<BroadcastView>, LedgerError> {
    let one = match broadcasts {
        [one] => Some(one.id),
        _ => None,
    };
    let mut told: HashMap<BroadcastId, Vec<DriverStatus>> = HashMap::new();
    if broadcasts.iter().any(|broadcast| !broadcast.is_over()) {
        for (id, status) in ledger.driver_statuses(one).await? {
            // A status that another version wrote may not parse; it is ignored.
            told.entry(id).or_default().extend(serde_json::from_str::<DriverStatus>(&status));
        }
    }
    let stands =
        |one: &Broadcast| BroadcastView::standing(one, told.remove(&one.id).unwrap_or_default(), now);
    Ok(broadcasts.iter().map(stands).collect())
}

/// A recipient, as `runs export` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecipientView {
    /// Its place in the plan.
    pub seq: i64,
    /// The group.
    pub group_id: String,
    /// The members of a targeted message; empty for the whole group.
    pub users: Vec<String>,
    /// `pending`, `sending`, `sent`, `rejected`, `in_doubt`, `skipped` or `cancelled`.
    pub state: String,
    /// The service's id of the message, once it was sent.
    pub message_id: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why not, or why it is in doubt.
    pub error: Option<String>,
    /// When its state changed last.
    pub updated_at: String,
    /// Whether it was recalled, where that was asked for.
    pub recalled: Option<bool>,
}

impl From<ExportedRecipient> for RecipientView {
    fn from(exported: ExportedRecipient) -> Self {
        Self {
            seq: exported.seq,
            group_id: exported.group_id,
            users: exported.users,
            state: exported.state.name().to_owned(),
            message_id: exported.message_id,
            attempts: exported.attempts,
            error: exported.error,
            updated_at: utc(exported.updated_at),
            recalled: exported.recalled,
        }
    }
}
