//! The actions that operators can take. The page and the API share them; each action returns a sentence about what
//! it did.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::BroadcastStatus;
use crate::delivery::{BroadcastRecallSummary, RecallOptions, StopSwitch, cancel};
use crate::ledger::{
    Broadcast, BroadcastCommand, BroadcastId, JobRow, Ledger, LedgerError, OperatorDecision, Settlement,
};
use crate::schedule::{run_name, script_of};

use super::AppState;
use super::answer::ApiError;
use super::daemon_handle::DaemonHandle;
use super::replan::{ask_to_replan, continue_as_stored};
use super::scripts::{RequestedRun, ask_for_script, asked_scripts};
use super::view::{BroadcastView, SendView};
use axum::http::StatusCode;

/// The state of a single send that can be settled.
pub(super) const IN_DOUBT: &str = "in_doubt";

/// How long a response waits for the action's result.
const PATIENCE: Duration = Duration::from_secs(20);

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
}

impl ActionResult {
    fn said(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    fn counted(count: u64, message: impl Into<String>) -> Self {
        Self { message: message.into(), count: Some(count), run: None }
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

impl AppState {
    /// Applies an action to a broadcast.
    pub(super) async fn act_on_broadcast(
        &self,
        id: BroadcastId,
        act: BroadcastAction,
    ) -> Result<ActionResult, ApiError> {
        let ledger = &self.ledger;
        let found = ledger.show(id).await?;
        let name = format!("{}/{}", found.name, found.run);
        let done = match act {
            BroadcastAction::Pause => {
                ledger.request_command(id, BroadcastCommand::Pause, None).await?;
                ActionResult::said(format!("{name} pauses"))
            }
            BroadcastAction::Continue => {
                continue_as_stored(ledger, &found).await?;
                ActionResult::said(format!("{name} goes on with its stored plan"))
            }
            BroadcastAction::Resume if found.is_held_for_changes() => {
                continue_as_stored(ledger, &found).await?;
                ActionResult::said(format!("{name} goes on with its stored plan"))
            }
            BroadcastAction::Replan => {
                let asked = ask_to_replan(ledger, &found).await;
                let said = asked.map_err(|error| ApiError::new(StatusCode::CONFLICT, error.to_string()))?;
                self.run_on_daemon(async |office| (office.house.nudge)()).await?;
                ActionResult::said(said)
            }
            BroadcastAction::Resume => {
                ledger.request_command(id, BroadcastCommand::Run, None).await?;
                ledger.hand_to_daemon(id).await?;
                ActionResult::said(format!("{name} goes on"))
            }
            BroadcastAction::Cancel => ActionResult::said(cancel(ledger, id).await?.sentence(&name)),
            BroadcastAction::Retry => {
                let count = ledger.retry_rejected(id).await?;
                sent_as_stored(ledger, &found).await?;
                ledger.hand_to_daemon(id).await?;
                ActionResult::counted(
                    count,
                    format!("{count} of {name} {} pending again, and {} sent", are(count), are(count)),
                )
            }
            BroadcastAction::SettleAsSent => {
                let count = ledger.settle_doubts(id, Settlement::AsSent).await?;
                ActionResult::counted(
                    count,
                    format!("{count} of {name} {} as sent", if count == 1 { "counts" } else { "count" }),
                )
            }
            BroadcastAction::SettleAgain => {
                let count = ledger.settle_doubts(id, Settlement::Again).await?;
                sent_as_stored(ledger, &found).await?;
                ledger.hand_to_daemon(id).await?;
                ActionResult::counted(
                    count,
                    format!("{count} of {name} {} pending again, and {} sent", are(count), are(count)),
                )
            }
            BroadcastAction::Recall => self.recall(id, &name).await?,
        };
        tracing::info!(broadcast = name, "asked for over the web: {}", done.message);
        Ok(done)
    }

    /// The single send with this number.
    pub(super) async fn send(&self, id: i64) -> Result<SendView, ApiError> {
        let found = self.ledger.send(id).await?;
        let found = found.ok_or_else(|| ApiError::not_found(format!("there is no single send {id}")))?;
        Ok(SendView::from(&found))
    }

    /// Settles a single send that is in doubt.
    pub(super) async fn act_on_send(&self, id: i64, act: SendAction) -> Result<ActionResult, ApiError> {
        let as_sent = act == SendAction::SettleAsSent;
        let view = self.send(id).await?;
        if !self.ledger.settle_send_doubt(id, as_sent).await? {
            let why = format!("single send {id} is not in doubt: it is {}", view.state);
            return Err(ApiError::new(StatusCode::CONFLICT, why));
        }
        let done = ActionResult::said(view.settled(as_sent));
        tracing::info!(send = id, "asked for over the web: {}", done.message);
        Ok(done)
    }

    async fn recall(&self, id: BroadcastId, name: &str) -> Result<ActionResult, ApiError> {
        let recalled = self.run_on_daemon(move |office| async move {
            // Two concurrent recalls would each find that the service refuses the messages that the other recalled.
            if !office.recalling.borrow_mut().insert(id) {
                return Err(ApiError::new(StatusCode::CONFLICT, "it is being recalled already"));
            }
            let told = recall(&office.house, id).await;
            office.recalling.borrow_mut().remove(&id);
            told
        });
        // The recall continues after the response.
        let Ok(told) = self.clock.timeout(PATIENCE, recalled).await else {
            return Ok(ActionResult::said(format!(
                "{name} is being recalled, which goes on; how far it is can be looked at"
            )));
        };
        let told = told??;
        let mut message = format!("{} of {name} were recalled", told.recalled);
        let refused: u64 = told.refused.values().sum();
        for (count, what) in [
            (told.before, "had been recalled before"),
            (told.too_late, "were sent too long ago"),
            (refused, "the service would not recall"),
            (told.in_doubt, "are in doubt, and nobody knows their ids"),
        ] {
            if count > 0 {
                let _ = write!(message, "; {count} {what}");
            }
        }
        Ok(ActionResult::counted(told.recalled, message))
    }

    /// Applies an action to a job.
    pub(super) async fn act_on_job(&self, name: &str, act: JobAction) -> Result<ActionResult, ApiError> {
        let ledger = &self.ledger;
        let job = self.job(name).await?;
        if let (JobAction::Trigger | JobAction::Retry | JobAction::Pause, Some(_)) = (act, job.gone_at) {
            let why = format!("no script declares `{name}` any more");
            return Err(ApiError::new(StatusCode::CONFLICT, why));
        }
        let done = match act {
            JobAction::Trigger | JobAction::Retry | JobAction::Pause | JobAction::Resume
                if script_of(name).is_some() =>
            {
                let why = "this is no job: `POST /api/v1/scripts/run` runs a script";
                return Err(ApiError::new(StatusCode::CONFLICT, why));
            }
            JobAction::Trigger => {
                let run = run_name(ledger.trigger_job(name).await?);
                let message = format!("{name} is asked for: run {run} begins within a second or two");
                ActionResult { message, count: None, run: Some(run) }
            }
            JobAction::Retry => {
                let Some(at) = ledger.retry_hook_run(name, None).await? else {
                    let why = format!("{name} has no failed run whose request is kept");
                    return Err(ApiError::new(StatusCode::CONFLICT, why));
                };
                let run = run_name(at);
                let message = format!("{name} runs again with its request, as run {run}");
                ActionResult { message, count: None, run: Some(run) }
            }
            JobAction::Pause => ActionResult::said(if ledger.pause_job(name, true).await? {
                format!("{name} is paused: its instants pass")
            } else {
                format!("{name} is paused already")
            }),
            JobAction::Resume => ActionResult::said(if ledger.pause_job(name, false).await? {
                format!("{name} goes on with its next instant")
            } else {
                format!("{name} is not paused")
            }),
            JobAction::Cancel => {
                let runs = ledger.job_runs(Some(name), 100).await?;
                let open = runs.iter().filter(|run| run.finished_at.is_none()).count() as u64;
                if open > 0 {
                    ledger.cancel_job(name).await?;
                    ActionResult::counted(
                        open,
                        format!("{name} is being cancelled: {open} of its runs, with their broadcasts"),
                    )
                } else {
                    ActionResult::counted(0, format!("no run of {name} goes on or waits"))
                }
            }
        };
        self.run_on_daemon(async |office| (office.house.nudge)()).await?;
        tracing::info!(job = name, "asked for over the web: {}", done.message);
        Ok(done)
    }

    pub(super) async fn run_script(&self, script: &str, args: &[String]) -> Result<ActionResult, ApiError> {
        let RequestedRun { script, job, at } = ask_for_script(&self.ledger, script, args).await?;
        let run = run_name(at);
        self.run_on_daemon(async |office| (office.house.nudge)()).await?;
        let message = format!("{script} is asked for: run {run} of `{job}` begins within a second or two");
        tracing::info!(job, "asked for over the web: {message}");
        Ok(ActionResult { message, count: None, run: Some(run) })
    }

    /// The job of this name, active or not, or the script whose runs have this name.
    pub(super) async fn job(&self, name: &str) -> Result<JobRow, ApiError> {
        let found = match script_of(name) {
            Some(_) => asked_scripts(&self.ledger, Some(name)).await?,
            None => self.ledger.job_rows(Some(name)).await?,
        };
        let found = found.into_iter().next();
        found.ok_or_else(|| ApiError::not_found(format!("there is no job `{name}`")))
    }
}

/// Messages of a finished broadcast that are sent again use the stored plan.
async fn sent_as_stored(ledger: &Ledger, found: &Broadcast) -> Result<(), LedgerError> {
    if found.is_over() { ledger.decide(found.id, Some(OperatorDecision::Continue)).await } else { Ok(()) }
}

async fn recall(house: &DaemonHandle, id: BroadcastId) -> Result<BroadcastRecallSummary, ApiError> {
    let found = house.ledger.show(id).await?;
    let app = house.apps.iter().find(|app| app.key() == found.app_key).ok_or_else(|| {
        let why = format!("the app {} is not configured here", found.app_key);
        ApiError::new(StatusCode::CONFLICT, why)
    })?;
    let (_switch, stop) = StopSwitch::new();
    let told = app.recall_broadcast(&house.ledger, &found, &RecallOptions::default(), &stop).await;
    told.map_err(|error| ApiError::new(StatusCode::CONFLICT, error.to_string()))
}

/// The verb for this count.
const fn are(count: u64) -> &'static str {
    if count == 1 { "is" } else { "are" }
}
