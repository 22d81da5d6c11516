//! Checks recipients and their messages, and adds them to the plan.

use serde_json::Value;

use crate::core::Call;
use crate::delivery::CrashPoint;
use crate::input::Audience;
use crate::ledger::{BroadcastSpec, NewMessage, NewRecipient};
use crate::protocol::{FailureKind, RequestFailure};
use crate::run::services::RunServices;

use super::super::audience::{GroupMembers, RawRecipient};
use super::super::fault;
use super::{PlanBuilder, SharedMessage};

/// Recipients that are checked before other tasks get their turn.
const IN_TURN: usize = 32;

impl PlanBuilder {
    pub(super) async fn add(
        &mut self,
        services: &RunServices,
        named: Vec<(RawRecipient, GroupMembers)>,
    ) -> Result<(), RequestFailure> {
        let Some((_, first)) = named.first() else { return Ok(()) };
        let call = match self.call {
            Some(call) => call,
            None => self.decide(first.call()).await?,
        };
        self.put_held().await?;
        let mut recipients = Vec::with_capacity(named.len());
        for (index, (given, named)) in named.into_iter().enumerate() {
            if index % IN_TURN == IN_TURN - 1 {
                // The host has one thread: other tasks get their turn here.
                tokio::task::yield_now().await;
            }
            if named.call() != call {
                let why = RequestFailure::invalid("users", format!("{}: {}", given.place(), mixed(call)));
                self.note(services, &given.place(), why)?;
                continue;
            }
            let message = match given.message {
                None => match self.plain_message(services, call)? {
                    Some(plain) => Some(plain),
                    None => continue,
                },
                Some(Value::Null) => None,
                Some(ref message) => {
                    let place = format!("{} (group {})", given.place(), named.group_id);
                    match self.checked(services, call, message.clone(), Some(&place)) {
                        Ok(message) => Some(message),
                        Err(why) => {
                            self.note(services, &place, why)?;
                            continue;
                        }
                    }
                }
            };
            let known = self.awaited.remove(&given.number());
            let fields = known.unwrap_or_else(|| {
                let header = self.file.as_ref().and_then(Audience::header);
                self.columns.of(given.recipient, header, &self.asked.name)
            });
            let mut fields = Some(fields);
            let mut parts = named.split().into_iter().peekable();
            while let Some((group_id, users)) = parts.next() {
                let fields = if parts.peek().is_some() { fields.clone() } else { fields.take() };
                recipients.push(NewRecipient {
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

    /// Sets the type of call from the first recipient, and stores it with the broadcast.
    async fn decide(&mut self, call: Call) -> Result<Call, RequestFailure> {
        if call == Call::Targeted {
            // Targeted messages are never packed into one call.
            self.spec = BroadcastSpec { call, pack: 1, ..self.spec.clone() };
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
            .asked
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

    fn checked(
        &self,
        services: &RunServices,
        call: Call,
        message: Value,
        place: Option<&str>,
    ) -> Result<NewMessage, RequestFailure> {
        let draft = self.role.delivery.check_draft(call, message).map_err(|problems| {
            let listed: Vec<_> = problems.iter().map(|p| (p.field.clone(), p.message.clone())).collect();
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            RequestFailure {
                field: listed.first().map(|(field, _)| field.as_str().into()),
                problems: listed,
                ..RequestFailure::new(FailureKind::Invalid, format!("{place}{problems}"))
            }
        })?;
        let content = draft.to_json();
        let known_as = services.policy.known_as(&content);
        Ok(NewMessage { content, size: draft.size() as u64, known_as })
    }
}

/// Explains what is wrong with a recipient that needs the other type of call.
const fn mixed(call: Call) -> &'static str {
    match call {
        Call::Group => {
            "it names `users`, and the first recipient does not: a broadcast goes to groups or to members"
        }
        Call::Targeted => {
            "it names no `users`, and the first recipient does: a broadcast goes to groups or to members"
        }
    }
}
