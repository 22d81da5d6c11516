//! The ledger's record of a single send: begun once, written before the request is sent and after its answer arrived.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::clock::Instant;
use crate::core::{Call, FailureKind, Receipts, RequestFailure, SendOptions};
use crate::ledger::{BeginSendResult, DeliveryState, LedgerError, NewSend, SendOutcome, SendTicket};
use crate::message::Message;

use super::Delivery;
use super::failpoint::CrashPoint;
use super::lazy_ledger::{OpenLedger, retry_until_written};

/// How often a send that waits for another with the same `once` key checks whether that one has ended.
const LOOK: Duration = Duration::from_millis(50);

/// How a single send begins.
pub(super) enum SendStart<'a> {
    /// The message is sent now.
    New(SendRecord<'a>),
    /// The message was sent before with the same `once` key.
    Done(Receipts),
}

/// A single send in the ledger; without an entry if the delivery has no ledger.
pub(super) struct SendRecord<'a> {
    delivery: &'a Delivery,
    entry: Option<(&'a OpenLedger, SendTicket)>,
    attempts: u32,
    /// Whether the ledger could not be written.
    unrecorded: bool,
}

impl Delivery {
    /// Begins a single send. If a live process sends with the same `once` key, this waits until that send ends.
    pub(super) async fn begin(
        &self,
        message: &Message,
        options: &SendOptions,
        deadline: Option<Instant>,
        stop: &CancellationToken,
    ) -> Result<SendStart<'_>, RequestFailure> {
        let Some((open, app)) = self.entry().await? else {
            return match options.once {
                None => Ok(SendStart::New(SendRecord {
                    delivery: self,
                    entry: None,
                    attempts: 0,
                    unrecorded: false,
                })),
                Some(_) => {
                    Err(RequestFailure::new(FailureKind::Invalid, "`once` needs a ledger, and there is none"))
                }
            };
        };
        let send = NewSend {
            app,
            once: options.once.clone(),
            // Only a send with a key needs the hash of its message.
            hash: options.once.as_ref().map(|_| hash(message)).unwrap_or_default(),
            recipients: recipients(message),
            origin: options.origin.clone(),
        };
        let key = options.once.as_deref().unwrap_or_default();
        loop {
            open.write_deferred().await.map_err(|error| unrecorded(&error))?;
            match open
                .ledger
                .begin_send(&open.owner, send.clone())
                .await
                .map_err(|error| unrecorded(&error))?
            {
                BeginSendResult::New(ticket) => {
                    let entry = Some((open, ticket));
                    return Ok(SendStart::New(SendRecord {
                        delivery: self,
                        entry,
                        attempts: 0,
                        unrecorded: false,
                    }));
                }
                BeginSendResult::Done(receipts) => {
                    let unknown = message
                        .to()
                        .iter()
                        .filter(|to| receipts.iter().all(|(group, _)| group != *to))
                        .count();
                    if unknown > 0 {
                        tracing::warn!(
                            "once = \"{key}\" was sent, and an operator settled it: the message ids of {unknown} of its {} groups are not known",
                            message.group_count()
                        );
                    }
                    return Ok(SendStart::Done(receipts));
                }
                BeginSendResult::InFlight => self.pause(LOOK, deadline, stop).await?,
                BeginSendResult::InDoubt { .. } => {
                    let why = format!(
                        "a message with once = \"{key}\" is in doubt: it may have been sent before. Check \
                         whether the group has it; `mooncast runs list` shows it, and `mooncast runs settle --once KEY` settles it, `--as-sent` or `--again`"
                    );
                    return Err(RequestFailure::new(FailureKind::InDoubt, why));
                }
                BeginSendResult::Different => {
                    let why = format!(
                        "once = \"{key}\" was used for another message in this app; a key stands for one message"
                    );
                    return Err(RequestFailure::invalid("options.once", why));
                }
            }
        }
    }
}

impl SendRecord<'_> {
    /// Records that the request is about to be sent. After an error it must not be sent.
    pub(super) async fn intend(&mut self) -> Result<(), RequestFailure> {
        self.delivery.fail_point.pass(CrashPoint::BeforeIntent);
        if let Some((open, ticket)) = &mut self.entry {
            open.ledger.intend_send(ticket).await.map_err(|error| {
                self.unrecorded = true;
                unrecorded(&error)
            })?;
        }
        self.delivery.fail_point.pass(CrashPoint::AfterIntent);
        self.attempts += 1;
        Ok(())
    }

    /// Records that nothing was sent, so a crash from here on leaves no doubt. With `counts` false the try is not
    /// counted, because the quota refused it.
    pub(super) async fn withdraw(&mut self, counts: bool, why: &str) -> Result<(), RequestFailure> {
        if !counts {
            self.attempts -= 1;
        }
        let Some((open, ticket)) = &self.entry else { return Ok(()) };
        let (state, error) = (DeliveryState::Pending, Some(why.to_owned()));
        let outcome = SendOutcome { state, receipts: Vec::new(), error, attempts: self.attempts };
        let written =
            retry_until_written(&self.delivery.clock, || open.ledger.settle_send(ticket, outcome.clone()))
                .await;
        self.unrecorded |= written.is_err();
        written.map_err(|error| unrecorded(&error))
    }

    /// Records how the send ended. If this fails, the script still gets the result. The outcome is deferred then, and
    /// no new send begins before it is written.
    pub(super) async fn end(mut self, result: &Result<Receipts, RequestFailure>) {
        self.delivery.fail_point.pass(CrashPoint::BeforeOutcome);
        let outcome = self.outcome(result);
        let Some((open, ticket)) = self.entry.take() else { return };
        // A send that failed on the ledger was not sent, so one try to write its outcome is enough.
        let write = || open.ledger.settle_send(&ticket, outcome.clone());
        let written = if self.unrecorded {
            write().await
        } else {
            retry_until_written(&self.delivery.clock, write).await
        };
        if let Err(error) = written {
            tracing::error!(
                "could not write the outcome `{}` of a message to the ledger; trying again: \
             {error}",
                outcome.state.name()
            );
            open.defer_outcome(ticket, outcome);
        }
    }

    fn outcome(&self, result: &Result<Receipts, RequestFailure>) -> SendOutcome {
        let (state, receipts, error) = match result {
            Ok(receipts) => (DeliveryState::Sent, receipts, None),
            Err(undelivered) => {
                let state = match undelivered.kind {
                    FailureKind::InDoubt => DeliveryState::InDoubt,
                    FailureKind::Rejected => DeliveryState::Rejected,
                    _ => DeliveryState::Pending,
                };
                (state, &undelivered.receipts, Some(undelivered.message.clone()))
            }
        };
        SendOutcome { state, receipts: receipts.clone(), error, attempts: self.attempts }
    }
}

/// The error for a ledger failure before the request: nothing was sent.
pub(super) fn unrecorded(error: &LedgerError) -> RequestFailure {
    RequestFailure::new(FailureKind::Unreachable, format!("{error}; nothing was sent"))
}

/// The SHA-256 of the whole message and its call.
fn hash(message: &Message) -> String {
    let call = format!("{}\n", message.call());
    let digest = Sha256::new_with_prefix(call).chain_update(message.to_json()).finalize();
    HEXLOWER.encode(&digest)
}

fn recipients(message: &Message) -> String {
    match message.call() {
        Call::Group => json!(message.to()).to_string(),
        Call::Targeted => json!({ "to": message.to(), "users": message.users() }).to_string(),
    }
}
