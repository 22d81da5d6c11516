//! Sends one message.

use tokio_util::sync::CancellationToken;

use crate::core::{Call, FailureKind, Receipts, RequestFailure, SendOptions};
use crate::ledger::RecipientState;
use crate::message::{Draft, Message, MessageProblems, check, check_draft};

use super::reconcile::with_longest_mark;
use super::record::SendStart;
use super::tries::Tries;
use super::{Delivery, SendCounters};

impl Delivery {
    /// Checks the JSON of a message against the app's limits, with the mark that it gets.
    pub fn check(&self, call: Call, json: serde_json::Value) -> Result<Message, MessageProblems> {
        if self.marks && !matches!(call, Call::Edit | Call::Announce) {
            let with_mark = with_longest_mark(&json);
            let with_mark = with_mark.map_err(|why| MessageProblems::one("ext.mooncast", why))?;
            check(call, with_mark, &self.message_limits())?;
        }
        check(call, json, &self.message_limits())
    }

    /// Checks the JSON of a message whose recipients are added later.
    pub fn check_draft(&self, call: Call, json: serde_json::Value) -> Result<Draft, MessageProblems> {
        check_draft(call, json, &self.message_limits())
    }

    /// Sends a message once: waits for its permit, records it, sends it, and retries only if nothing was sent.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`]. A message with [`FailureKind::InDoubt`] may have been sent, so it must not be sent
    /// again without a check.
    #[tracing::instrument(
        target = "traces", name = "message", skip_all,
        fields(app = self.name, quota = self.price(message).quota.name(), groups = message.recipient_count())
    )]
    pub async fn send(
        &self,
        message: &Message,
        options: SendOptions,
        stop: &CancellationToken,
        tally: &SendCounters,
    ) -> Result<Receipts, RequestFailure> {
        let deadline = options.timeout.map(|timeout| self.clock.now() + timeout);
        let result = match self.begin(message, &options, deadline, stop).await {
            // An earlier call sent it and counted it.
            Ok(SendStart::Done(receipts)) => {
                tally.send_before();
                return Ok(receipts);
            }
            Ok(SendStart::New(mut record)) => {
                let marked = record.marked.take();
                let message = marked.as_deref().unwrap_or(message);
                let tries = Tries::new(self, message, &options, deadline, stop, tally);
                let result = tries.run(&mut record).await;
                record.end(&result).await;
                result
            }
            Err(undelivered) => Err(undelivered),
        };
        tally.sends(message.call());
        let recipients = message.recipient_count();
        let count =
            |state, recipients: usize| self.figures.messages(message.call(), state, recipients as u64);
        match &result {
            Ok(_) => {
                tally.sent(recipients);
                count(RecipientState::Sent, recipients);
            }
            Err(undelivered) => {
                let delivered = undelivered.receipts.len();
                tally.sent(delivered);
                count(RecipientState::Sent, delivered);
                let rest = recipients - delivered.min(recipients);
                match undelivered.kind {
                    FailureKind::InDoubt => {
                        tally.in_doubt(rest);
                        count(RecipientState::InDoubt, rest);
                    }
                    FailureKind::Rejected | FailureKind::Auth => {
                        tally.rejected(rest);
                        count(RecipientState::Rejected, rest);
                    }
                    FailureKind::Invalid
                    | FailureKind::Throttled
                    | FailureKind::Unreachable
                    | FailureKind::Denied
                    | FailureKind::Cancelled => {
                        tally.not_sent(rest);
                    }
                }
            }
        }
        result
    }
}
