//! Runs and rehearses scripts for callers of the page and the API.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::control::{
    ActionResult, ControlError, RehearsalView, arguments_as_details, begin_rehearsal, find_script,
    keep_run_file, run_script,
};
use crate::forms::FormField;
use crate::ledger::RunRequest;

use super::AppState;
use super::answer::ApiError;
use super::guard::Caller;

/// How long a response waits for a rehearsal.
const REHEARSED_WITHIN: Duration = Duration::from_secs(4);

impl AppState {
    pub(super) async fn run_script(
        &self,
        caller: &Caller,
        script: &str,
        request: &RunRequest,
    ) -> Result<ActionResult, ApiError> {
        let mut details = arguments_as_details(&request.args);
        if let Some(plan) = &request.plan {
            details["plan"] = json!(plan);
        }
        if request.test_only {
            details["test_only"] = json!(true);
        }
        let audit = caller.actor().act("script.run", script).with(details);
        let done = self.ledger.audited(audit, run_script(&self.ledger, script, request)).await?;
        (self.daemon.handle.wake)();
        tracing::info!(script, by = caller.name, "on the page or over the API, {}", done.message);
        Ok(done)
    }

    /// Rehearses a script in a process of its own. Returns the number of the rehearsal; it may go on after the response.
    pub(super) async fn rehearse(
        &self,
        caller: &Caller,
        script: &str,
        args: &[String],
    ) -> Result<i64, ApiError> {
        let audit = caller.actor().act("script.rehearse", script).with(arguments_as_details(args));
        let begun = begin_rehearsal(&self.ledger, script, args, &caller.name);
        let (id, new) = self.ledger.audited(audit, begun).await?;
        tracing::info!(
            script,
            by = caller.name,
            rehearsal = id,
            "on the page or over the API, rehearsal begun"
        );
        let rehearsed = self.run_on_daemon(move |daemon| async move {
            let handle = &daemon.handle;
            let report = (handle.rehearse)(new).await;
            let plan = report.as_ref().ok().and_then(|report| report["plan"].as_str().map(str::to_owned));
            let report = report.map(|report| report.to_string());
            let report = report.as_deref().map_err(String::as_str);
            let ended = handle.ledger.end_rehearsal(id, plan.as_deref(), report).await;
            if let Err(error) = ended {
                tracing::error!(rehearsal = id, "cannot record the report of a rehearsal: {error}");
            }
        });
        // The rehearsal goes on after the response.
        if let Ok(ended) = self.clock.timeout(REHEARSED_WITHIN, rehearsed).await {
            ended?;
        }
        Ok(id)
    }

    /// Runs a rehearsed script with its arguments: everything that was rehearsed, or only the test messages.
    ///
    /// # Errors
    ///
    /// The script has changed since, the rehearsal has no plan, or everything was already sent by it.
    pub(super) async fn send_rehearsed(
        &self,
        caller: &Caller,
        rehearsal: &RehearsalView,
        test_only: bool,
    ) -> Result<ActionResult, ApiError> {
        let script = find_script(&self.ledger, &rehearsal.script).await?;
        let refused = |why: &str| ApiError::new(StatusCode::CONFLICT, format!("{}: {why}", rehearsal.script));
        if script.hash.as_deref() != Some(&rehearsal.version) {
            return Err(refused("the script has changed since this rehearsal; rehearse it again"));
        }
        let Some(plan) = rehearsal.plan.clone() else {
            return Err(refused(
                "this rehearsal has no plan that could be sent; correct what it lists and rehearse again",
            ));
        };
        if let Some(run) = rehearsal.run.as_deref().filter(|_| !test_only) {
            return Err(refused(&format!(
                "the run {run} was already begun to send what was rehearsed; rehearse it again to send once more"
            )));
        }
        let plan = (!test_only).then_some(plan);
        let request = RunRequest { args: rehearsal.args.clone(), plan, test_only };
        self.run_script(caller, &rehearsal.script, &request).await
    }

    /// Keeps an uploaded file for a run. Returns the value of its argument.
    pub(super) async fn keep_run_file(
        &self,
        caller: &Caller,
        field: Option<&FormField>,
        name: &str,
        content: &[u8],
    ) -> Result<String, ControlError> {
        let audit = caller.actor().act("run_file.add", name).with(json!({ "bytes": content.len() }));
        self.ledger.audited(audit, keep_run_file(&self.ledger, field, name, content)).await
    }
}
