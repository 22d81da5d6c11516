//! Edits single sent messages.

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::client::TokenRenewals;
use crate::core::{Call, FailureKind, Priority, RequestFailure};
use crate::ledger::{BeginEditResult, NewEdit};
use crate::message::Message;

use super::Delivery;
use super::correction::EDIT_LIMIT;
use super::failpoint::CrashPoint;
use super::lazy_ledger::retry_until_written;
use super::recall::FailedMessage;
use super::record::unrecorded;
use super::request::SendRoute;
use super::retry::{Backoff, PATIENCE};

#[derive(Debug, Default, Serialize)]
pub struct EditSummary {
    /// The number of edited messages.
    pub edited: usize,
    /// The messages that were not edited.
    pub failed: Vec<FailedMessage>,
}

impl Delivery {
    /// Edits messages one after the other. An edit is safe to repeat, so one whose outcome is unknown is made again.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`] when a call fails for another reason than its message. Messages edited before that stay
    /// edited.
    pub async fn edit(
        &self,
        edits: &[Message],
        priority: Priority,
        origin: &str,
        stop: &CancellationToken,
    ) -> Result<EditSummary, RequestFailure> {
        let mut summary = EditSummary::default();
        for edit in edits {
            match self.edit_recorded(edit, priority, origin, stop).await {
                Ok(()) => summary.edited += 1,
                Err(refused) if refused.kind == FailureKind::Rejected => {
                    summary.failed.push(FailedMessage {
                        group_id: edit.to().concat(),
                        message_id: edit.edits().unwrap_or_default().to_owned(),
                        reason: refused.message,
                    });
                }
                Err(mut failed) => {
                    failed.message = format!("{}; {} were edited", failed.message, summary.edited);
                    return Err(failed);
                }
            }
        }
        Ok(summary)
    }

    /// Edits a message with its intent and its outcome in the ledger. An edit without an outcome counts as made until the
    /// same edit is made again.
    async fn edit_recorded(
        &self,
        edit: &Message,
        priority: Priority,
        origin: &str,
        stop: &CancellationToken,
    ) -> Result<(), RequestFailure> {
        let entry = if self.transport.is_none() { self.entry().await? } else { None };
        let Some((open, app)) = entry else { return self.edit_one(edit, priority, stop).await };
        let content = edit.draft().to_json();
        let (group_id, content) = (edit.to().concat(), String::from_utf8_lossy(&content));
        let message_id = edit.edits().unwrap_or_default();
        let new = NewEdit { app, message_id, group_id: &group_id, content: &content, origin };
        let number = match open.ledger.begin_edit(new).await.map_err(|error| unrecorded(&error))? {
            BeginEditResult::New(number) => number,
            BeginEditResult::Full => return Err(RequestFailure::new(FailureKind::Rejected, EDIT_LIMIT)),
        };
        self.fail_point.pass(CrashPoint::AfterIntent);
        let made = self.edit_one(edit, priority, stop).await;
        self.fail_point.pass(CrashPoint::AfterRequest);
        let refused = match &made {
            Ok(()) => None,
            Err(refused) if refused.kind == FailureKind::Rejected => Some(refused.message.as_str()),
            Err(_) => return made,
        };
        let written = retry_until_written(&self.clock, || open.ledger.settle_edit(number, refused)).await;
        written.map_err(|error| unrecorded(&error)).and(made)
    }

    async fn edit_one(
        &self,
        edit: &Message,
        priority: Priority,
        stop: &CancellationToken,
    ) -> Result<(), RequestFailure> {
        let (mut backoff, mut renewals) = (Backoff::of(&self.clock), TokenRenewals::default());
        let give_up = self.clock.now() + PATIENCE;
        loop {
            let permit = self.permit(&self.quotas.edits, 1, priority, None, stop).await?;
            let Some(route) = self.route(Call::Edit, None, stop).await else {
                return Err(RequestFailure::cancelled("the edit"));
            };
            let failure = match route {
                Ok(route) => match self.request(&route, edit, edit.to_json(), None, None, permit).await {
                    Ok(_) => return Ok(()),
                    Err(failure) => {
                        if let SendRoute::Service(authorisation) = &route
                            && failure.refuses_token()
                            && self.client.renew(&mut renewals, authorisation, &failure).await
                        {
                            continue;
                        }
                        failure
                    }
                },
                Err(failure) => failure,
            };
            self.before_another(failure, &mut backoff, give_up, stop).await?;
        }
    }
}
