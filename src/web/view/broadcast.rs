//! Broadcasts and their recipients.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{WaitView, instant};
use crate::ledger::{Broadcast, Counts, Exported};

/// Recipients by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountsView {
    /// All of them.
    pub total: u64,
    /// Nothing was sent to them yet.
    pub pending: u64,
    /// Their answers are waited for.
    pub sending: u64,
    /// The service has the message.
    pub sent: u64,
    /// The service refused it.
    pub rejected: u64,
    /// It may have been delivered.
    pub in_doubt: u64,
    /// Left out by the message function, or excluded.
    pub skipped: u64,
    /// The broadcast was cancelled before their turn.
    pub cancelled: u64,
}

impl From<&Counts> for CountsView {
    fn from(counts: &Counts) -> Self {
        Self {
            total: counts.total(),
            pending: counts.pending,
            sending: counts.sending,
            sent: counts.sent,
            rejected: counts.rejected,
            in_doubt: counts.in_doubt,
            skipped: counts.skipped,
            cancelled: counts.cancelled,
        }
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
    /// `building`, `ready`, `paused`, `cancelling`, `finished` or `cancelled`.
    pub state: String,
    /// Whether nothing of it is left to send.
    pub over: bool,
    /// Why it is paused or cancelled, where somebody said so.
    pub note: Option<String>,
    /// The process that drives it, if one does.
    pub driven_by: Option<String>,
    /// Its recipients by state.
    pub counts: CountsView,
    /// Recipients that were named more than once, and get it once.
    pub duplicates: u64,
    /// The largest message, in bytes that count against the limit.
    pub largest_message_bytes: u64,
    /// The plan's hash, once it is fixed.
    pub plan: Option<String>,
    /// Recipients a second lately, where that is known.
    pub rate: Option<f64>,
    /// The most that there may be a second: its own cap, or the pace of its quota. Known where this daemon drives it.
    pub most: Option<f64>,
    /// How long it will take still, in seconds, where that can be told.
    pub seconds_left: Option<f64>,
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
    /// Without what only its driver knows.
    fn from(broadcast: &Broadcast) -> Self {
        Self {
            id: broadcast.id.0,
            name: broadcast.name.clone(),
            run: broadcast.run.clone(),
            app: broadcast.app_key.clone(),
            state: broadcast.state_name().to_owned(),
            over: broadcast.is_over(),
            note: broadcast.wish_note.clone(),
            driven_by: broadcast.driver.as_ref().map(|driver| {
                let owner = &driver.owner;
                format!("{} (process {})", owner.name, owner.pid)
            }),
            counts: CountsView::from(&broadcast.counts),
            duplicates: broadcast.duplicates,
            largest_message_bytes: broadcast.largest_message_bytes,
            plan: broadcast.plan.clone(),
            rate: None,
            most: None,
            seconds_left: None,
            waits_for: None,
            created_at: instant(broadcast.created_at),
            planned_at: broadcast.planned_at.map(instant),
            finished_at: broadcast.finished_at.map(instant),
        }
    }
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

impl From<Exported> for RecipientView {
    fn from(exported: Exported) -> Self {
        Self {
            seq: exported.seq,
            group_id: exported.group_id,
            users: exported.users,
            state: exported.state.name().to_owned(),
            message_id: exported.message_id,
            attempts: exported.attempts,
            error: exported.error,
            updated_at: instant(exported.updated_at),
            recalled: exported.recalled,
        }
    }
}
