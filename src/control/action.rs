//! The actions that operators can take, and their results.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::BroadcastStatus;
use crate::schedule::script_of;

use super::view::{BroadcastView, JobView};

/// What can be done with a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastAction {
    /// Let it wait until it is resumed.
    Pause,
    /// Let it go on.
    Resume,
    /// Let it go on with its stored plan, though its inputs changed.
    Continue,
    /// Run its script again, and send what is left by a new plan. Recipients that have the message, or may have it, get
    /// nothing more.
    Replan,
    /// Send to nobody who is still pending.
    Cancel,
    /// Make those that the service refused pending again.
    Retry,
    /// Count those in doubt as sent.
    SettleAsSent,
    /// Send to those in doubt again.
    SettleAgain,
    /// Take back what was sent, as far as the service does.
    Recall,
}

/// What can be done with a single send in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendAction {
    /// Count it as sent.
    SettleAsSent,
    /// Count it as not sent, and let its `once` key be used again.
    SettleAgain,
}

/// What can be done with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// Run it now, whatever its schedule says.
    Trigger,
    /// Run its latest failed run again, with the request that it was for: of a hook alone.
    Retry,
    /// Let its instants pass without a run.
    Pause,
    /// Let it run again from its next instant on.
    Resume,
    /// End its run that goes on, with its broadcasts, and those that wait for their turn.
    Cancel,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionResult {
    /// What was done, in a sentence.
    pub message: String,
    /// How many recipients, messages or runs it concerns, where they are counted.
    pub count: Option<u64>,
    /// The run that was asked for.
    pub run: Option<String>,
    /// Whether nothing happens until a process drives the broadcast.
    #[serde(skip)]
    pub needs_driver: bool,
}

impl ActionResult {
    pub(super) fn of(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(super) fn counted(count: u64, message: impl Into<String>) -> Self {
        Self { count: Some(count), ..Self::of(message) }
    }

    pub(super) fn begins(run: String, message: impl Into<String>) -> Self {
        Self { run: Some(run), ..Self::of(message) }
    }
}

impl BroadcastAction {
    /// The actions that make sense for a broadcast in this state.
    pub fn sensible(view: &BroadcastView) -> Vec<Self> {
        let (counts, over) = (&view.counts, view.over);
        let (paused, interrupted) =
            (view.state == BroadcastStatus::Paused, view.state == BroadcastStatus::Interrupted);
        let cancelling = view.state == BroadcastStatus::Cancelling;
        let planned = view.planned_at.is_some();
        let all = [
            (Self::Pause, !over && !paused && !cancelling && !interrupted),
            // A broadcast whose plan was never fixed is planned again by its script.
            (Self::Resume, (paused && view.changes.is_none()) || (interrupted && planned)),
            (Self::Continue, view.changes.is_some()),
            (Self::Replan, view.changes.is_some()),
            // A cancel cannot be undone. It can be requested again if no process has received it.
            (Self::Cancel, !over && (!cancelling || view.driven_by.is_none())),
            (Self::Retry, counts.rejected > 0),
            (Self::SettleAsSent, counts.in_doubt > 0),
            (Self::SettleAgain, counts.in_doubt > 0),
            (Self::Recall, counts.sent > 0 && (over || paused)),
        ];
        all.into_iter().filter(|(_, sensible)| *sensible).map(|(act, _)| act).collect()
    }
}

impl JobAction {
    /// The actions that make sense for a job in this state: whether a run of it is `open`, and whether a failed run's
    /// request is `kept`. The runs of a script can only be cancelled.
    pub fn sensible(job: &JobView, open: bool, kept: bool) -> Vec<Self> {
        let (gone, paused) =
            (job.gone_at.is_some() || script_of(&job.name).is_some(), job.paused_at.is_some());
        let all = [
            (Self::Trigger, !gone),
            (Self::Retry, !gone && kept),
            (Self::Pause, !gone && !paused),
            (Self::Resume, paused),
            (Self::Cancel, open),
        ];
        all.into_iter().filter(|(_, sensible)| *sensible).map(|(act, _)| act).collect()
    }
}
