//! The ledger's record of a single send: begun once, written before the request is sent and after its answer arrived.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::client::RestCall;
use crate::clock::Instant;
use crate::core::{
    Act, Actor, ActorKind, Call, Door, FailureKind, Receipts, RequestFailure, SendOptions, TokenRole,
    host_name, sha256_hex,
};
use crate::ledger::{
    AnnouncementTurn, AppId, BeginSendResult, ENDED_BEFORE, LedgerError, NewSend, RecipientState,
    SendOutcome, SendTicket,
};
use crate::message::{Message, MessageKind};
use crate::reconcile::fingerprints;

use super::Delivery;
use super::failpoint::CrashPoint;
use super::lazy_ledger::{OpenLedger, retry_until_written};

/// The first wait of a send for another with the same `once` key. It doubles with each look, because a look takes the
/// ledger's turn to write.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// The longest of these waits.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// How a single send begins.
pub(super) enum SendStart<'a> {
    /// The message is sent now.
    New(SendRecord<'a>),
    /// The message was sent before with the same `once` key.
    Done(Receipts),
}

/// The record of a single send.
pub(super) struct SendRecord<'a> {
    delivery: &'a Delivery,
    /// The ledger and the send's row in it; `None` if the delivery has no ledger.
    entry: Option<(&'a OpenLedger, SendTicket)>,
    /// The message as it is sent, if it gets a mark.
    pub(super) marked: Option<Box<Message>>,
    /// The turn of an announcement whose request may have begun.
    pub(super) turn: Option<AnnouncementTurn>,
    /// The outcome that is written if the record is dropped now.
    outcome: SendOutcome,
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
                None => Ok(SendStart::New(SendRecord::unrecorded(self))),
                Some(_) => {
                    Err(RequestFailure::new(FailureKind::Invalid, "`once` needs a ledger, and there is none"))
                }
            };
        };
        self.store_sender(&open.ledger, app, message).await?;
        let marked = self.mark_single(open, message)?.map(Box::new);
        let send = NewSend {
            app,
            once: options.once.clone(),
            // Only a send with a key needs the hash of its message.
            hash: options.once.as_ref().map(|_| hash(message)).unwrap_or_default(),
            recipients: recipients(message),
            origin: options.origin.clone(),
            job_run: options.job_run.clone(),
            // The service's records do not have announcements, so no record may settle one.
            fingerprints: match message.scope() {
                Some(_) => "[]".to_owned(),
                None => fingerprints(marked.as_deref().unwrap_or(message)),
            },
            files: files(message),
        };
        let key = options.once.as_deref().unwrap_or_default();
        let mut look = FIRST_LOOK;
        loop {
            open.write_deferred().await.map_err(|error| unrecorded(&error))?;
            match open
                .ledger
                .begin_send(&open.instance, send.clone())
                .await
                .map_err(|error| unrecorded(&error))?
            {
                BeginSendResult::New(ticket) => {
                    let mut record = SendRecord::recorded(self, open, ticket);
                    record.marked = marked;
                    return Ok(SendStart::New(record));
                }
                BeginSendResult::Done(receipts) => {
                    let unknown = message
                        .to()
                        .iter()
                        .filter(|to| receipts.iter().all(|(group, _)| group != *to))
                        .count();
                    if unknown > 0 {
                        tracing::warn!(
                            "once = \"{key}\" was sent, and an operator settled it: the message ids of {unknown} of its {} {}s are not known",
                            message.recipient_count(),
                            message.call().recipient()
                        );
                    }
                    return Ok(SendStart::Done(receipts));
                }
                BeginSendResult::InFlight => {
                    self.pause(look, deadline, stop).await?;
                    look = (look * 2).min(LONGEST_LOOK);
                }
                BeginSendResult::InDoubt { .. } => {
                    let why = format!(
                        "a message with once = \"{key}\" is in doubt: it may have been sent before. Check \
                         whether the recipient has it; `mooncast runs list` shows it, and `mooncast runs settle --once KEY` settles it, `--as-sent` or `--again`"
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

/// The act of a call of `im.request`, as the audit records it before the call is made. Its body is recorded as a hash,
/// because it may hold what only the service should know.
fn audit_of(call: &RestCall, origin: &str, job_run: Option<&str>) -> Act {
    let actor = Actor {
        name: origin.to_owned(),
        kind: ActorKind::Script,
        role: TokenRole::Operator,
        door: Door::Script,
        host: host_name(),
        address: None,
    };
    let body = call.body.as_ref().map(sha256_hex);
    let details = json!({ "run": job_run, "body_sha256": body });
    actor.act("request", format!("{} {}", call.method, call.path)).with(details)
}

impl Delivery {
    /// Begins the record of a call of `im.request`: in the audit, and among the single sends, without a message.
    pub(super) async fn begin_rest(
        &self,
        call: &RestCall,
        origin: &str,
        job_run: Option<&str>,
    ) -> Result<SendRecord<'_>, RequestFailure> {
        let Some((open, app)) = self.entry().await? else { return Ok(SendRecord::unrecorded(self)) };
        open.write_deferred().await.map_err(|error| unrecorded(&error))?;
        let act = audit_of(call, origin, job_run);
        open.ledger.append_audit(&act).await.map_err(|error| unrecorded(&error))?;
        let send = NewSend {
            app,
            once: None,
            hash: String::new(),
            recipients: json!({ "request": format!("{} {}", call.method, call.path) }).to_string(),
            origin: origin.to_owned(),
            job_run: job_run.map(str::to_owned),
            fingerprints: "[]".to_owned(),
            files: None,
        };
        match open.ledger.begin_send(&open.instance, send).await.map_err(|error| unrecorded(&error))? {
            BeginSendResult::New(ticket) => Ok(SendRecord::recorded(self, open, ticket)),
            // Only a send with a `once` key can have been begun before.
            _ => Err(RequestFailure::new(FailureKind::Unreachable, "the ledger took no record of the call")),
        }
    }
}

impl<'a> SendRecord<'a> {
    /// The record of a send that the ledger does not record.
    pub(super) const fn unrecorded(delivery: &'a Delivery) -> Self {
        Self {
            delivery,
            entry: None,
            marked: None,
            turn: None,
            outcome: SendOutcome {
                state: RecipientState::Pending,
                receipts: Vec::new(),
                error: None,
                attempts: 0,
            },
            unrecorded: false,
        }
    }

    fn recorded(delivery: &'a Delivery, open: &'a OpenLedger, ticket: SendTicket) -> Self {
        let mut record = Self::unrecorded(delivery);
        record.entry = Some((open, ticket));
        record
    }

    /// Counts another try whose intent is on the disk already.
    pub(super) const fn again(&mut self) {
        self.outcome.attempts += 1;
    }
}

impl<'a> SendRecord<'a> {
    /// Records that the request is about to be sent. After an error it must not be sent.
    pub(super) async fn intend(&mut self) -> Result<(), RequestFailure> {
        self.delivery.fail_point.pass(CrashPoint::BeforeIntent);
        self.outcome.state = RecipientState::InDoubt;
        self.outcome.error = Some(ENDED_BEFORE.to_owned());
        if let Some((open, ticket)) = &mut self.entry {
            open.ledger.intend_send(ticket).await.map_err(|error| {
                self.unrecorded = true;
                unrecorded(&error)
            })?;
        }
        self.delivery.fail_point.pass(CrashPoint::AfterIntent);
        self.outcome.attempts += 1;
        Ok(())
    }

    /// Records that nothing was sent, so a crash from here on leaves no doubt. With `counts` false the try is not
    /// counted: the quota refused it, or there was no time left to make it.
    pub(super) async fn withdraw(&mut self, counts: bool, why: &str) -> Result<(), RequestFailure> {
        if !counts {
            self.outcome.attempts -= 1;
        }
        self.outcome.state = RecipientState::Pending;
        self.outcome.error = Some(why.to_owned());
        let Some((open, ticket)) = &self.entry else { return Ok(()) };
        let write = || open.ledger.settle_send(ticket, self.outcome.clone());
        let written = retry_until_written(&self.delivery.clock, write).await;
        self.unrecorded |= written.is_err();
        written.map_err(|error| unrecorded(&error))?;
        if let Some(turn) = self.turn.take() {
            self.delivery.end_announcement(open, turn, false).await;
        }
        Ok(())
    }

    /// The ledger and the app in it; `None` if the delivery has no ledger.
    pub(super) fn ledger(&self) -> Option<(&'a OpenLedger, AppId)> {
        self.entry.as_ref().map(|(open, ticket)| (*open, ticket.app()))
    }

    /// Records how the send ended. If this fails, the script still gets the result. The outcome is deferred then, and
    /// no new send begins before it is written.
    pub(super) async fn end(mut self, result: &Result<Receipts, RequestFailure>) {
        self.delivery.fail_point.pass(CrashPoint::BeforeOutcome);
        self.outcome = self.outcome_of(result);
        let state = self.outcome.state;
        let Some((open, ticket)) = &self.entry else { return };
        let open = *open;
        // A send that failed on the ledger was not sent, so one try to write its outcome is enough.
        let write = || open.ledger.settle_send(ticket, self.outcome.clone());
        let written = if self.unrecorded {
            write().await
        } else {
            retry_until_written(&self.delivery.clock, write).await
        };
        if let Err(error) = &written
            && error.is_fault()
        {
            tracing::error!(
                "could not write the outcome `{}` of a message to the ledger; trying again: {error}",
                state.name()
            );
            // The drop defers it. An announcement whose outcome is not written counts as used.
            return;
        }
        self.entry = None;
        if let Err(error) = written {
            tracing::warn!(
                "the outcome `{}` of a message was not written, because another process settled it: {error}",
                state.name()
            );
        } else if let Some(turn) = self.turn.take() {
            let sent = matches!(state, RecipientState::Sent | RecipientState::InDoubt);
            self.delivery.end_announcement(open, turn, sent).await;
        }
    }

    fn outcome_of(&self, result: &Result<Receipts, RequestFailure>) -> SendOutcome {
        let (state, receipts, error) = match result {
            Ok(receipts) => (RecipientState::Sent, receipts, None),
            Err(undelivered) => {
                let state = match undelivered.kind {
                    FailureKind::InDoubt => RecipientState::InDoubt,
                    FailureKind::Rejected => RecipientState::Rejected,
                    _ => RecipientState::Pending,
                };
                (state, &undelivered.receipts, Some(undelivered.message.clone()))
            }
        };
        SendOutcome { state, receipts: receipts.clone(), error, attempts: self.outcome.attempts }
    }
}

/// A record that is dropped before its outcome is written, as when its run is aborted, leaves it to be written later.
/// Otherwise the send would count as under way for as long as this process lives.
impl Drop for SendRecord<'_> {
    fn drop(&mut self) {
        if let Some((open, ticket)) = self.entry.take() {
            open.defer_outcome(ticket, self.outcome.clone());
        }
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
        Call::Group | Call::Edit => json!(message.to()).to_string(),
        Call::Targeted => json!({ "to": message.to(), "users": message.users() }).to_string(),
        call @ (Call::User | Call::Room | Call::Announce) => {
            json!({ "kind": call, "to": message.to() }).to_string()
        }
    }
}

/// The addresses of the files at the service that a message carries, as a JSON list.
fn files(message: &Message) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Files {
        url: Option<String>,
        thumb: Option<String>,
    }
    if matches!(message.draft().kind(), None | Some(MessageKind::Txt | MessageKind::Cmd)) {
        return None;
    }
    let Files { url, thumb } = serde_json::from_slice(message.draft().body_json()).ok()?;
    let files: Vec<String> = url.into_iter().chain(thumb).collect();
    (!files.is_empty()).then(|| json!(files).to_string())
}
