//! Applies the actions of the page and the API, and logs them.

use std::time::Duration;

use axum::http::StatusCode;

use crate::control::{
    ActionResult, BroadcastAction, JobAction, SendAction, act_on_job, cancel, continue_as_stored, pause,
    recall, replan, resume, retry, run_script, settle, settle_send,
};
use crate::delivery::RecallOptions;
use crate::ledger::{Broadcast, BroadcastId, Settlement};

use super::AppState;
use super::answer::ApiError;

/// How long a response waits for a recall.
const PATIENCE: Duration = Duration::from_secs(20);

impl AppState {
    pub(super) async fn act_on_broadcast(
        &self,
        id: BroadcastId,
        act: BroadcastAction,
    ) -> Result<ActionResult, ApiError> {
        let ledger = &self.ledger;
        let found = ledger.show(id).await?;
        let done = match act {
            BroadcastAction::Pause => pause(ledger, &found).await?,
            BroadcastAction::Resume => resume(ledger, &found).await?,
            BroadcastAction::Continue => continue_as_stored(ledger, &found).await?,
            BroadcastAction::Replan => replan(ledger, &found).await?,
            BroadcastAction::Cancel => cancel(ledger, &found).await?,
            BroadcastAction::Retry => retry(ledger, &found).await?,
            BroadcastAction::SettleAsSent => settle(ledger, &found, Settlement::AsSent).await?,
            BroadcastAction::SettleAgain => settle(ledger, &found, Settlement::Again).await?,
            BroadcastAction::Recall => self.recall(found.clone()).await?,
        };
        if matches!(act, BroadcastAction::Resume | BroadcastAction::Continue) {
            // The daemon takes it over also when the process that drives it now ends.
            ledger.hand_to_daemon(id).await?;
        }
        (self.daemon.house.nudge)();
        tracing::info!(broadcast = found.full_name(), "asked for over the web: {}", done.message);
        Ok(done)
    }

    pub(super) async fn act_on_send(&self, id: i64, act: SendAction) -> Result<ActionResult, ApiError> {
        let done = settle_send(&self.ledger, id, act == SendAction::SettleAsSent).await?;
        tracing::info!(send = id, "asked for over the web: {}", done.message);
        Ok(done)
    }

    pub(super) async fn act_on_job(&self, name: &str, act: JobAction) -> Result<ActionResult, ApiError> {
        let done = act_on_job(&self.ledger, name, act, None).await?;
        (self.daemon.house.nudge)();
        tracing::info!(job = name, "asked for over the web: {}", done.message);
        Ok(done)
    }

    pub(super) async fn run_script(&self, script: &str, args: &[String]) -> Result<ActionResult, ApiError> {
        let done = run_script(&self.ledger, script, args).await?;
        (self.daemon.house.nudge)();
        tracing::info!(script, "asked for over the web: {}", done.message);
        Ok(done)
    }

    async fn recall(&self, found: Broadcast) -> Result<ActionResult, ApiError> {
        let (id, name) = (found.id, found.full_name());
        let recalled = self.run_on_daemon(move |daemon| async move {
            // Two concurrent recalls would each find that the service refuses the messages that the other recalled.
            if !daemon.recalling.borrow_mut().insert(id) {
                return Err(ApiError::new(StatusCode::CONFLICT, "it is being recalled already"));
            }
            let house = &daemon.house;
            let done = recall(&house.ledger, &house.apps, &found, &RecallOptions::default()).await;
            daemon.recalling.borrow_mut().remove(&id);
            Ok(done?.0)
        });
        // The recall continues after the response.
        match self.clock.timeout(PATIENCE, recalled).await {
            Ok(done) => done?,
            Err(_) => Ok(ActionResult {
                message: format!("{name} is being recalled, which goes on; how far it is can be looked at"),
                ..ActionResult::default()
            }),
        }
    }
}
