//! Applies the actions of the page and the API, and logs them.

use std::rc::Rc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::control::{
    ActionResult, BroadcastAction, JobAction, OutlookView, SendAction, SuppressionRequest, Verdict,
    act_on_job, addition_act, approve, ask_service, cancel, continue_as_stored, edit, pause, preview_edit,
    recall, reject, removal_act, replan, resume, retry, settle, settle_proven, settle_send, suppress,
    unsuppress, verify,
};
use crate::core::{Act, Person, SuppressedKind, parse_duration, sha256_hex};
use crate::delivery::{EditPreview, RecallOptions};
use crate::ledger::{Broadcast, BroadcastId, Settlement};
use crate::run::undecided_changes;

use super::AppState;
use super::answer::ApiError;
use super::daemon_handle::DaemonContext;
use super::guard::Caller;

/// How long a response waits for a recall.
const PATIENCE: Duration = Duration::from_secs(20);

impl AppState {
    pub(super) async fn act_on_broadcast(
        &self,
        caller: &Caller,
        id: BroadcastId,
        act: BroadcastAction,
        recall: RecallOptions,
    ) -> Result<ActionResult, ApiError> {
        let ledger = &self.ledger;
        let found = ledger.show(id).await?;
        let audit = caller.actor().act(format!("broadcast.{}", word(act)), found.full_name());
        let done = match act {
            BroadcastAction::AskService => self.by_records(audit, found.clone(), true).await?,
            BroadcastAction::SettleProven => self.by_records(audit, found.clone(), false).await?,
            BroadcastAction::Verify => self.verify(audit, found.clone()).await?,
            BroadcastAction::Recall => {
                let audit = audit.with(json!({ "with_attachments": recall.with_attachments }));
                self.recall(audit, found.clone(), recall).await?
            }
            _ => ledger.audited(audit, Box::pin(self.act_in_ledger(&found, act))).await?,
        };
        (self.daemon.handle.wake)();
        tracing::info!(
            broadcast = found.full_name(),
            by = caller.name,
            "on the page or over the API, {}",
            done.message
        );
        Ok(done)
    }

    /// What an approver looks at, if the broadcast waits for an approval.
    pub(super) async fn outlook(&self, found: &Broadcast) -> Result<Option<OutlookView>, ApiError> {
        if !found.awaits_approval() {
            return Ok(None);
        }
        let (spec, key) = (found.spec.clone(), found.app_key.clone());
        let (left, total) = (found.counts.pending, found.counts.total());
        let sending = self
            .run_on_daemon(move |daemon| async move {
                let app = daemon.handle.apps.iter().find(|app| app.key() == key)?;
                app.sending_outlook(&spec, left, total)
            })
            .await?;
        Ok(OutlookView::read(&self.ledger, found, sending).await?)
    }

    /// Approves or rejects the plan of a broadcast that the caller has seen.
    pub(super) async fn judge(
        &self,
        caller: &Caller,
        id: BroadcastId,
        approves: bool,
        plan: &str,
        note: Option<&str>,
    ) -> Result<ActionResult, ApiError> {
        let ledger = &self.ledger;
        let (found, by) = (ledger.show(id).await?, caller.actor());
        let verdict = Verdict { seen: Some(plan), note };
        let verb = if approves { "broadcast.approve" } else { "broadcast.reject" };
        let audit = by.act(verb, found.full_name());
        let audit = audit.with(json!({ "plan": plan, "note_sha256": note.map(sha256_hex) }));
        let doing = async {
            Ok::<_, ApiError>(if approves {
                approve(ledger, &found, &by, verdict).await?
            } else {
                reject(ledger, &found, &by, verdict).await?
            })
        };
        let done = ledger.audited(audit, Box::pin(doing)).await?;
        (self.daemon.handle.wake)();
        tracing::info!(
            broadcast = found.full_name(),
            by = caller.name,
            "on the page or over the API, {}",
            done.message
        );
        Ok(done)
    }

    /// Applies an action whose effect is in the ledger.
    async fn act_in_ledger(&self, found: &Broadcast, act: BroadcastAction) -> Result<ActionResult, ApiError> {
        let ledger = &self.ledger;
        let done = match act {
            BroadcastAction::Pause => pause(ledger, found).await?,
            BroadcastAction::Resume => resume(ledger, found, &self.changed(found.clone()).await?).await?,
            BroadcastAction::Continue => continue_as_stored(ledger, found).await?,
            BroadcastAction::Replan => replan(ledger, found).await?,
            BroadcastAction::Cancel => cancel(ledger, found).await?,
            BroadcastAction::Retry => retry(ledger, found).await?,
            BroadcastAction::SettleAsSent => settle(ledger, found, Settlement::AsSent).await?,
            BroadcastAction::SettleAgain => settle(ledger, found, Settlement::Again).await?,
            BroadcastAction::AskService
            | BroadcastAction::SettleProven
            | BroadcastAction::Verify
            | BroadcastAction::Recall => {
                return Err(ApiError::not_found("this action is none of the ledger"));
            }
        };
        if matches!(act, BroadcastAction::Resume | BroadcastAction::Continue) {
            // The daemon takes it over also when the process that drives it now ends.
            ledger.hand_to_daemon(found.id).await?;
        }
        Ok(done)
    }

    /// Which inputs of a broadcast changed since its plan.
    async fn changed(&self, found: Broadcast) -> Result<Vec<String>, ApiError> {
        self.run_on_daemon(move |daemon| async move {
            let script = found.spec.script.as_ref().map(|script| script.path.as_str()).unwrap_or_default();
            undecided_changes(&found, (daemon.handle.inputs)(script).as_ref()).await
        })
        .await
    }

    pub(super) async fn act_on_send(
        &self,
        caller: &Caller,
        id: i64,
        act: SendAction,
    ) -> Result<ActionResult, ApiError> {
        let audit = caller.actor().act(format!("send.{}", word(act)), id.to_string());
        let doing = settle_send(&self.ledger, id, act == SendAction::SettleAsSent);
        let done = self.ledger.audited(audit, doing).await?;
        tracing::info!(send = id, by = caller.name, "on the page or over the API, {}", done.message);
        Ok(done)
    }

    pub(super) async fn act_on_job(
        &self,
        caller: &Caller,
        name: &str,
        act: JobAction,
    ) -> Result<ActionResult, ApiError> {
        let audit = caller.actor().act(format!("job.{}", word(act)), name);
        let done = self.ledger.audited(audit, act_on_job(&self.ledger, name, act, None)).await?;
        (self.daemon.handle.wake)();
        tracing::info!(job = name, by = caller.name, "on the page or over the API, {}", done.message);
        Ok(done)
    }

    /// The key of an app, by its name in mooncast.toml. Without a name, that of the first one.
    pub(super) fn app_key(&self, name: Option<&str>) -> Result<String, ApiError> {
        let apps = &self.daemon.handle.apps;
        let found = apps.iter().find(|app| name.is_none_or(|name| app.name() == name));
        found.map(|app| app.key().to_owned()).ok_or_else(|| {
            let known: Vec<&str> = apps.iter().map(|app| app.name()).collect();
            ApiError::not_found(format!("there is no such app; the apps are {}", known.join(", ")))
        })
    }

    /// Adds to the suppression list of an app.
    pub(super) async fn suppress(
        &self,
        caller: &Caller,
        app: Option<&str>,
        kind: SuppressedKind,
        ids: Vec<String>,
        reason: Option<&str>,
        expires: Option<&str>,
    ) -> Result<ActionResult, ApiError> {
        let app = self.app_key(app)?;
        let expires = expires.map(parse_duration).transpose();
        let expires =
            expires.map_err(|why| ApiError::new(StatusCode::BAD_REQUEST, format!("`expires`: {why}")))?;
        let ids: Vec<_> = ids.into_iter().map(|id| (id, None)).collect();
        let request = SuppressionRequest { app: &app, kind, ids: &ids, reason, expires, actor: &caller.name };
        let audit = addition_act(&caller.actor(), &request);
        let done = self.ledger.audited(audit, suppress(&self.ledger, request)).await?;
        tracing::info!(app, by = caller.name, "on the page or over the API, {}", done.message);
        Ok(done)
    }

    /// Removes from the suppression list of the app with this key.
    pub(super) async fn unsuppress(
        &self,
        caller: &Caller,
        app: &str,
        kind: SuppressedKind,
        ids: &[String],
    ) -> Result<ActionResult, ApiError> {
        let audit = removal_act(&caller.actor(), app, kind, ids);
        let done = self.ledger.audited(audit, unsuppress(&self.ledger, app, kind, ids)).await?;
        tracing::info!(app, by = caller.name, "on the page or over the API, {}", done.message);
        Ok(done)
    }

    /// Settles messages in doubt by the service's records: asks the service, or sends again those that the
    /// service certainly did not accept.
    async fn by_records(&self, audit: Act, found: Broadcast, asks: bool) -> Result<ActionResult, ApiError> {
        let later = format!(
            "{}: the service's history files are being read; the page shows the result",
            found.full_name()
        );
        self.beyond_the_response(audit, later, move |daemon| async move {
            let handle = &daemon.handle;
            Ok(if asks {
                ask_service(&handle.ledger, &handle.apps, &found).await?
            } else {
                settle_proven(&handle.ledger, &handle.apps, &found).await?
            })
        })
        .await
    }

    async fn verify(&self, audit: Act, found: Broadcast) -> Result<ActionResult, ApiError> {
        let later = format!("{} is being verified; the page shows the result", found.full_name());
        self.beyond_the_response(audit, later, move |daemon| async move {
            Ok(verify(&daemon.handle.apps, &found).await?.0)
        })
        .await
    }

    /// Carries out an act whose effect is outside of the ledger. It goes on after the response, and after a client that
    /// has gone; its failure is in the audit in each case. `later` is the response if the act takes too long.
    async fn beyond_the_response<F>(
        &self,
        audit: Act,
        later: String,
        doing: impl FnOnce(Rc<DaemonContext>) -> F + 'static,
    ) -> Result<ActionResult, ApiError>
    where
        F: Future<Output = Result<ActionResult, ApiError>> + 'static,
    {
        let done = self.run_on_daemon(move |daemon| async move {
            daemon.handle.ledger.audited_first(audit, doing(Rc::clone(&daemon))).await
        });
        match self.clock.timeout(PATIENCE, done).await {
            Ok(done) => done?,
            Err(_) => Ok(ActionResult { message: later, ..ActionResult::default() }),
        }
    }

    /// What an edit of the messages of a broadcast would do.
    pub(super) async fn preview_edit(&self, id: BroadcastId, change: Value) -> Result<EditPreview, ApiError> {
        let found = self.ledger.show(id).await?;
        self.run_on_daemon(move |daemon| async move {
            let handle = &daemon.handle;
            Ok(preview_edit(&handle.ledger, &handle.apps, &found, &change).await?)
        })
        .await?
    }

    /// Edits the messages of a broadcast, all alike.
    pub(super) async fn edit(
        &self,
        caller: &Caller,
        id: BroadcastId,
        change: Value,
        from: Option<String>,
    ) -> Result<ActionResult, ApiError> {
        let found = self.ledger.show(id).await?;
        let name = found.full_name();
        let details = json!({ "change_sha256": sha256_hex(change.to_string()), "from": from });
        let audit = caller.actor().act("broadcast.edit", &name).with(details);
        let by = Person::of(&caller.actor());
        let later = format!("{name} is being edited; the page shows the result");
        let done = self
            .beyond_the_response(audit, later, move |daemon| async move {
                let handle = &daemon.handle;
                Ok(edit(&handle.ledger, &handle.apps, &found, &change, from.as_deref(), &by).await?)
            })
            .await?;
        (self.daemon.handle.wake)();
        tracing::info!(broadcast = name, by = caller.name, "on the page or over the API, {}", done.message);
        Ok(done)
    }

    async fn recall(
        &self,
        audit: Act,
        found: Broadcast,
        options: RecallOptions,
    ) -> Result<ActionResult, ApiError> {
        let later = format!(
            "{} is being recalled; the recall continues, and the broadcast's page shows its progress",
            found.full_name()
        );
        self.beyond_the_response(audit, later, move |daemon| async move {
            // Two concurrent recalls would each find that the service refuses the messages that the other recalled.
            if !daemon.recalling.borrow_mut().insert(found.id) {
                return Err(ApiError::new(StatusCode::CONFLICT, "its recall is already running"));
            }
            let handle = &daemon.handle;
            let done = recall(&handle.ledger, &handle.apps, &found, &options).await;
            daemon.recalling.borrow_mut().remove(&found.id);
            Ok(done?.0)
        })
        .await
    }
}

/// An action's name in the audit.
fn word(act: impl serde::Serialize) -> String {
    serde_json::to_value(act).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
