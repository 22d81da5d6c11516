//! Events that the service's users cause: messages, read receipts, joins and leaves.

use rand::Rng;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::callback::{RECEIPT_MEMBERS, SimulatedEvent};
use super::chat::ChatKind;
use super::payload::MessageContent;
use super::record::ReceivedMessage;
use super::send::AcceptedMessage;
use super::service::SimulatorState;
use super::settings::SimulatorSettings;
use super::time::ClockReading;

/// Something that a user does in an app. The service posts a callback for it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase", deny_unknown_fields)]
pub enum UserEvent {
    /// A user writes a text to a group. It is in the history too.
    Message {
        group: String,
        from: String,
        text: String,
        #[serde(default)]
        ext: Map<String, Value>,
    },
    /// A user reads a message. `message` is its id.
    Read { message: String, user: String },
    /// A user joins a group. With `muc`, the callback has the older form.
    Joined {
        group: String,
        user: String,
        #[serde(default)]
        muc: bool,
    },
    /// A user leaves a group. With `muc`, the callback has the older form.
    Left {
        group: String,
        user: String,
        #[serde(default)]
        muc: bool,
    },
}

/// The read message is not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message `{0}` is not stored; take the id of a message from `/_sim/received/GROUP`")]
pub struct UnknownMessageError(String);

impl SimulatorState {
    /// Lets a user act. Returns the id of a message that the user wrote.
    pub(super) fn user_event(
        &mut self,
        settings: &SimulatorSettings,
        event: UserEvent,
        now: ClockReading,
    ) -> Result<Option<String>, UnknownMessageError> {
        match event {
            UserEvent::Message { group, from, text, ext } => {
                let mut raw = json!({ "from": from, "to": [group], "type": "txt", "body": { "msg": text } });
                if !ext.is_empty() {
                    raw["ext"] = ext.into();
                }
                let raw = raw.to_string();
                let message = AcceptedMessage {
                    from,
                    chat: ChatKind::Group,
                    groups: vec![group],
                    users: None,
                    raw,
                    by_user: true,
                };
                // Such a message is not logged, so nothing can fail.
                let accepted = self.record.accept(message, now.unix_ms(), false).unwrap_or_default();
                self.queue_callbacks(settings, &accepted, now);
                Ok(accepted.into_iter().next().map(|message| message.id))
            }
            UserEvent::Read { message: id, user } => {
                let message = self.record.find(&id).cloned().ok_or(UnknownMessageError(id))?;
                self.callback(settings, &SimulatedEvent::Read { message: &message, user: &user }, now);
                Ok(None)
            }
            UserEvent::Joined { group, user, muc } => {
                let event = SimulatedEvent::Member { joined: true, group: &group, user: &user, muc };
                self.callback(settings, &event, now);
                Ok(None)
            }
            UserEvent::Left { group, user, muc } => {
                let event = SimulatedEvent::Member { joined: false, group: &group, user: &user, muc };
                self.callback(settings, &event, now);
                Ok(None)
            }
        }
    }

    /// Queues the callbacks of accepted messages, and those of the members who read them.
    pub(super) fn queue_callbacks(
        &mut self,
        settings: &SimulatorSettings,
        accepted: &[ReceivedMessage],
        now: ClockReading,
    ) {
        let Some(callback) = &settings.callback else { return };
        for message in accepted.iter().filter(|message| !message.moderated) {
            self.callback(settings, &SimulatedEvent::Message(message), now);
            if MessageContent::of(message).need_group_ack != Some(true) || settings.members > RECEIPT_MEMBERS
            {
                continue;
            }
            let members = (1..=settings.members.max(1)).map(|number| format!("user{number}"));
            let readers = message.users.clone().unwrap_or_else(|| members.collect());
            for user in readers.iter().filter(|user| **user != message.from) {
                if self.callbacks.rng().random_bool(callback.read_share.clamp(0.0, 1.0)) {
                    self.callback(settings, &SimulatedEvent::Read { message, user }, now);
                }
            }
        }
    }
}
