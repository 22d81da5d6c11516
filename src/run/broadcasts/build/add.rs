//! Checks recipients and their messages, and adds them to the plan.

use serde_json::Value;

use crate::core::{Call, WindowZone, ZoneColumn};
use crate::delivery::{CrashPoint, with_longest_mark};
use crate::input::Audience;
use crate::ledger::{NewMessage, NewRecipient, StoredSpec};
use crate::message::MessageProblems;
use crate::protocol::{FailureKind, RequestFailure};
use crate::run::services::RunServices;
use crate::zones;

use super::super::audience::{ParsedRecipient, RawRecipient};
use super::super::fault;
use super::{PlanBuilder, SharedMessage};

/// Recipients that are checked before other tasks get their turn.
const IN_TURN: usize = 32;

impl PlanBuilder {
    pub(super) async fn add(
        &mut self,
        services: &RunServices,
        named: Vec<(RawRecipient, ParsedRecipient)>,
    ) -> Result<(), RequestFailure> {
        let Some((_, first)) = named.first() else { return Ok(()) };
        let call = match self.call {
            Some(call) => call,
            None => self.decide(first.call).await?,
        };
        self.put_held().await?;
        let mut recipients = Vec::with_capacity(named.len());
        for (index, (given, named)) in named.into_iter().enumerate() {
            if index % IN_TURN == IN_TURN - 1 {
                // The host has one thread: other tasks get their turn here.
                tokio::task::yield_now().await;
            }
            if named.call != call {
                let why = mixed(call, self.request.kind.is_some());
                let why = RequestFailure::invalid("users", format!("{}: {why}", given.position()));
                self.note(services, &given.position(), why)?;
                continue;
            }
            let message = match given.message {
                None => match self.plain_message(services, call)? {
                    Some(plain) => Some(plain),
                    None => continue,
                },
                Some(Value::Null) => None,
                Some(ref message) => {
                    let position =
                        format!("{} ({} {})", given.position(), call.recipient(), named.recipient_id);
                    match self.checked(services, call, message.clone(), Some(&position)) {
                        Ok(message) => Some(message),
                        Err(why) => {
                            self.note(services, &position, why)?;
                            continue;
                        }
                    }
                }
            };
            let known = self.awaited.remove(&given.number());
            let (position, given_zone) = (given.position(), given.zone);
            let fields = known.unwrap_or_else(|| {
                let header = self.file.as_ref().and_then(Audience::header);
                self.columns.of(given.recipient, header, call, &self.request.name)
            });
            // A recipient without a message is skipped.
            let zone = if message.is_some() { self.zone_of(given_zone, &fields) } else { Ok(None) };
            let zone = match zone {
                Ok(zone) => zone,
                Err(what) => {
                    let why = RequestFailure::invalid("window.tz", format!("{position}: {what}"));
                    self.note(services, &position, why)?;
                    continue;
                }
            };
            let mut fields = Some(fields);
            let mut parts = named.split().into_iter().peekable();
            while let Some((group_id, users)) = parts.next() {
                let fields = if parts.peek().is_some() { fields.clone() } else { fields.take() };
                recipients.push(NewRecipient {
                    target: None,
                    zone: zone.clone(),
                    group_id,
                    users,
                    message: message.clone(),
                    fields: fields.unwrap_or_default(),
                });
            }
        }
        if self.beside.is_some() {
            self.role.delivery.pass(CrashPoint::InDraft);
        }
        self.role.ledger.append(self.role.lease, &recipients).await.map_err(fault)?;
        let so_far = self.underway.recipients() + recipients.len() as u64;
        self.underway.recipients.set(so_far);
        Ok(())
    }

    /// Returns a recipient's own time zone, if the window asks for one: `given` by the script's function, or in a column.
    fn zone_of(&self, given: Option<String>, fields: &[(String, Value)]) -> Result<Option<String>, String> {
        let Some(window) = &self.request.window else { return Ok(None) };
        let (text, of) = match &window.tz {
            WindowZone::All(_) => return Ok(None),
            WindowZone::Function(_) => {
                (given.unwrap_or_default(), "the function of `window.tz` gave".to_owned())
            }
            WindowZone::Column(ZoneColumn { column }) => {
                let value = fields.iter().find(|(name, _)| name == column).map(|(_, value)| value);
                let text = value.and_then(Value::as_str).unwrap_or_default();
                (text.trim().to_owned(), format!("the column `{column}` has"))
            }
        };
        let zone = zones::zone(&text).map_err(|why| format!("{of} no time zone: {why}"))?;
        Ok(Some(zones::words(&zone)))
    }

    /// Sets the type of call from the first recipient, and stores it with the broadcast.
    async fn decide(&mut self, call: Call) -> Result<Call, RequestFailure> {
        if call == Call::Targeted {
            // Targeted messages are never packed into one call.
            self.spec = StoredSpec { call, pack: 1, ..self.spec.clone() };
            self.role.ledger.discard_unbuilt(self.role.lease, &self.spec).await.map_err(fault)?;
            self.role.broadcast.spec = self.spec.clone();
        } else {
            self.role.broadcast.spec = self.spec.clone();
        }
        self.call = Some(call);
        Ok(call)
    }

    /// Returns the shared message. It is `None` in a rehearsal that noted a problem with the message.
    pub(super) fn plain_message(
        &mut self,
        services: &RunServices,
        call: Call,
    ) -> Result<Option<NewMessage>, RequestFailure> {
        match &self.plain {
            SharedMessage::Unread => {}
            SharedMessage::Checked(plain) => return Ok(Some(plain.clone())),
            SharedMessage::Wrong => return Ok(None),
        }
        let message = self
            .request
            .message
            .clone()
            .ok_or_else(|| RequestFailure::invalid("message", "the broadcast has no message"))?;
        match self.checked(services, call, message, None) {
            Ok(plain) => {
                self.plain = SharedMessage::Checked(plain.clone());
                Ok(Some(plain))
            }
            Err(why) => {
                self.note(services, "", why)?;
                self.plain = SharedMessage::Wrong;
                Ok(None)
            }
        }
    }

    pub(super) fn checked(
        &self,
        services: &RunServices,
        call: Call,
        message: Value,
        position: Option<&str>,
    ) -> Result<NewMessage, RequestFailure> {
        let refused = |problems: MessageProblems| {
            let listed: Vec<_> = problems.iter().map(|p| (p.field.clone(), p.message.clone())).collect();
            let position = position.map_or_else(String::new, |position| format!("{position}: "));
            RequestFailure {
                field: listed.first().map(|(field, _)| field.as_str().into()),
                problems: listed,
                ..RequestFailure::new(FailureKind::Invalid, format!("{position}{problems}"))
            }
        };
        let delivery = &self.role.delivery;
        let mut size = None;
        if self.spec.mark.is_some() {
            // Each message has a mark when it is sent, so the limits are checked with one.
            let with_mark = with_longest_mark(&message).map_err(|why| {
                let position = position.map_or_else(String::new, |position| format!("{position}: "));
                RequestFailure::invalid("ext.mooncast", format!("{position}{why}"))
            })?;
            size = Some(delivery.check_draft(call, with_mark).map_err(refused)?.size());
        }
        let draft = delivery.check_draft(call, message).map_err(refused)?;
        let content = draft.to_json();
        let known_as = services.policy.known_as(&content);
        Ok(NewMessage { content, size: size.unwrap_or_else(|| draft.size()) as u64, known_as })
    }
}

/// Explains what is wrong with a recipient that needs the other type of call. `is_given` says whether the script gives
/// the broadcast's `kind`.
const fn mixed(call: Call, is_given: bool) -> &'static str {
    match call {
        Call::Group if is_given => "it names `users`, and the broadcast's `kind` is \"group\"",
        Call::Targeted if is_given => "it names no `users`, and the broadcast's `kind` is \"targeted\"",
        Call::Group => {
            "it names `users`, and the first recipient does not: a broadcast goes to groups or to members"
        }
        Call::Targeted => {
            "it names no `users`, and the first recipient does: a broadcast goes to groups or to members"
        }
        Call::Edit => "it is not a message of the broadcast that is edited",
        Call::User | Call::Room | Call::Announce => {
            "it is a group, and the broadcast's `kind` is another one"
        }
    }
}
