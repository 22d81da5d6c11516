//! The JSON of each callback.

use md5::{Digest, Md5};
use rand::rngs::StdRng;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::simulator::chat::ChatKind;
use crate::simulator::files::{SimulatorFiles, uuid};
use crate::simulator::payload::MessageContent;
use crate::simulator::record::ReceivedMessage;
use crate::simulator::rewrite::AppliedEdit;
use crate::simulator::settings::SimulatorSettings;
use crate::simulator::time::ClockReading;

/// What happened.
#[derive(Debug)]
pub(in crate::simulator) enum SimulatedEvent<'a> {
    Message(&'a ReceivedMessage),
    Recalled(&'a ReceivedMessage),
    Edited(&'a AppliedEdit),
    Read {
        message: &'a ReceivedMessage,
        user: &'a str,
    },
    Member {
        joined: bool,
        group: &'a str,
        user: &'a str,
        /// Whether to write it in the older form, `chat_type: "muc"`.
        muc: bool,
    },
}

/// Writes simulated callbacks. It has what those of one moment share: settings, files and time.
#[derive(Debug)]
pub(in crate::simulator) struct EventWriter<'a> {
    pub(in crate::simulator) settings: &'a SimulatorSettings,
    pub(in crate::simulator) files: &'a SimulatorFiles,
    pub(in crate::simulator) now: ClockReading,
}

impl EventWriter<'_> {
    /// Returns the callback with its signature: the MD5 of `callId`, the secret and `timestamp` in hex digits.
    pub(super) fn write(&self, event: &SimulatedEvent, secret: &SecretString, rng: &mut StdRng) -> Value {
        let SimulatorSettings { org, app, .. } = self.settings;
        let appkey = format!("{org}#{app}");
        let call_id = format!("{appkey}_{}", uuid(rng));
        // A message's time is that of its acceptance, as in history files.
        let timestamp = match event {
            SimulatedEvent::Message(message) => message.at,
            _ => self.now.unix_ms(),
        };
        let signed = format!("{call_id}{}{timestamp}", secret.expose_secret());
        let common = json!({
            "callId": call_id,
            "timestamp": timestamp,
            "security": data_encoding::HEXLOWER.encode(&Md5::digest(signed)),
            "securityVersion": "1.0.0",
            "appkey": appkey,
            "host": "simulator",
        });
        let mut callback = self.own(event, &format!("{:019}", rand::Rng::random::<u64>(rng) >> 1));
        if let (Value::Object(callback), Value::Object(common)) = (&mut callback, common) {
            callback.extend(common);
        }
        callback
    }

    /// Returns the fields of the event alone. `id` is the id of an event that is not itself a message.
    fn own(&self, event: &SimulatedEvent, id: &str) -> Value {
        match event {
            SimulatedEvent::Message(message) => {
                let content = MessageContent::of(message);
                let kind = if content.kind == "txt" { "text" } else { &content.kind };
                if message.chat == ChatKind::User {
                    return json!({
                        "eventType": "chat",
                        "chat_type": "chat",
                        "content_type": format!("chat:user:{kind}"),
                        "from": message.from,
                        "to": message.group,
                        "msg_id": message.id,
                        "payload": content.payload(self.files),
                    });
                }
                // The service tells rooms as groups.
                json!({
                    "eventType": "chat",
                    "chat_type": "groupchat",
                    "content_type": format!("chat:group:{kind}"),
                    "group_id": message.group,
                    "from": message.from,
                    "to": message.group,
                    "msg_id": message.id,
                    "payload": content.payload(self.files),
                })
            }
            SimulatedEvent::Recalled(message) => json!({
                "eventType": "chat",
                "chat_type": "recall",
                "group_id": message.group,
                "from": message.from,
                "to": message.group,
                "recall_id": message.id,
                "msg_id": id,
                "payload": { "ack_message_id": message.id, "bodies": [], "ext": {} },
            }),
            SimulatedEvent::Edited(AppliedEdit { message, operator }) => {
                let mut payload = MessageContent::of(message).payload(self.files);
                payload["type"] = json!("edit");
                payload["edit_message_id"] = json!(message.id);
                payload["from"] = json!(message.from);
                payload["to"] = json!(message.group);
                payload["meta"] = json!({ "edit_msg": {
                    "count": message.edits,
                    "edit_time": self.now.unix_ms(),
                    "operator": operator,
                    "send_time": message.at,
                    "sender": message.from,
                } });
                json!({
                    "eventType": "chat",
                    "chat_type": "edit",
                    "group_id": message.group,
                    "from": message.from,
                    "to": message.group,
                    "msg_id": id,
                    "payload": payload,
                })
            }
            SimulatedEvent::Read { message, user } => json!({
                "eventType": "chat",
                "chat_type": "read_ack",
                "content_type": "chat:ack:read",
                "from": user,
                "to": message.group,
                "msg_id": id,
                "payload": {
                    "type": "read_ack",
                    "ack_message_id": message.id,
                    "ext": {},
                    "msg_config": { "allow_group_ack": true },
                },
            }),
            SimulatedEvent::Member { joined, group, user, muc: true } => json!({
                "eventType": "chat",
                "chat_type": "muc",
                "group_id": group,
                "from": user,
                "to": group,
                "msg_id": id,
                "payload": {
                    "operation": if *joined { "presence" } else { "absence" },
                    "is_chatroom": false,
                    "reason": "",
                    "muc_id": format!("{}#{}_{group}@conference.easemob.com", self.settings.org, self.settings.app),
                    "status": { "description": "", "error_code": "ok" },
                },
            }),
            SimulatedEvent::Member { joined, group, user, muc: false } => json!({
                "event": "group_op_event",
                "type": "GROUP",
                "operation": if *joined { "JOIN" } else { "LEAVE" },
                "id": group,
                "operator": user,
                "member_count": self.settings.members,
                "payload": { "member": [user], "type": "DIRECT" },
            }),
        }
    }
}
