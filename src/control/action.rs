//! The actions that operators can take, and their results.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::BroadcastStatus;
use crate::schedule::{ON_EVENT, script_of};

use super::view::{BroadcastView, JobView};

/// An action on a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BroadcastAction {
    /// Pause it until it is resumed.
    Pause,
    /// Resume it.
    Resume,
    /// Continue with its stored plan, even if its inputs changed.
    Continue,
    /// Run its script again, and send the rest by a new plan. Recipients that have the message, or may have it, get no
    /// second one.
    Replan,
    /// Cancel it: pending recipients get no message.
    Cancel,
    /// Make the recipients that the service refused pending again.
    Retry,
    /// Count the recipients in doubt as sent.
    SettleAsSent,
    /// Send to the recipients in doubt again.
    SettleAgain,
    /// Ask the service for its history files now, and settle what they show.
    AskService,
    /// Send again to the recipients in doubt that the service did not accept, by its history.
    SettleProven,
    /// Verify by the service's records that it has the sent messages.
    Verify,
    /// Recall the sent messages, as far as the service allows it.
    Recall,
}

/// An action on a single send in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendAction {
    /// Count it as sent.
    SettleAsSent,
    /// Count it as not sent. Its `once` key can then be used again.
    SettleAgain,
}

/// An action on a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// Run it now, independent of its schedule.
    Trigger,
    /// Run its latest failed run again with that run's request or event. Only for jobs without scheduled times.
    Retry,
    /// Skip its scheduled times until it is resumed.
    Pause,
    /// Resume it from its next scheduled time on.
    Resume,
    /// Cancel its active run with its broadcasts, and its waiting runs.
    Cancel,
}

/// The result of an action.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionResult {
    /// The result as a sentence.
    pub message: String,
    /// The number of affected recipients, messages or runs, if they are counted.
    pub count: Option<u64>,
    /// The requested run.
    pub run: Option<String>,
    /// Whether the action takes effect only when a process sends the broadcast.
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
        // The messages are those of the broadcast that it edits.
        let own = view.corrects.is_none();
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
            (Self::AskService, counts.in_doubt > 0),
            (Self::SettleProven, view.doubts.as_ref().is_some_and(|doubts| doubts.absent > 0)),
            (Self::Verify, own && over && counts.sent > 0),
            (Self::Recall, own && counts.sent > 0 && (over || paused)),
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
            (Self::Trigger, !gone && !job.times.starts_with(ON_EVENT)),
            (Self::Retry, !gone && kept),
            (Self::Pause, !gone && !paused),
            (Self::Resume, paused),
            (Self::Cancel, open),
        ];
        all.into_iter().filter(|(_, sensible)| *sensible).map(|(act, _)| act).collect()
    }
}
