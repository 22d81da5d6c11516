//! `POST /messages/broadcast` and `POST /messages/users/broadcast`: a message to all users of the app, or to those online.
//!
//! The service gives such a message an id of its own, and none to what each user gets. So it is in no history file, has no
//! callback, and cannot be recalled or edited.

use serde_json::{Map, Value, json};

use super::chat::ChatKind;
use super::compact::compact;
use super::exchange::Exchange;
use super::fields::JsonFields;
use super::refusal::{
    ANNOUNCED_ENOUGH, BODY_EMPTY, EXT_NOT_OBJECT, FROM_EMPTY, INVALID_BODY, ONLINE_ANNOUNCED_ENOUGH, Refusal,
    TOO_LARGE, TYPE_EMPTY,
};
use super::send::AcceptedMessage;
use super::service::SimulatorState;
use super::settings::SimulatorSettings;
use super::{ServiceCall, shape};

fn read(settings: &SimulatorSettings, body: &[u8], to: &str) -> Result<AcceptedMessage, Refusal> {
    let fields = JsonFields::read(body)?;
    let from: Option<String> = fields.get("from")?;
    let target: Option<String> = fields.get("target_type")?;
    let mut content: Map<String, Value> = fields.get("msg")?.unwrap_or_default();
    let kind = content.remove("type").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    if to == "all" && target.as_deref() != Some("users") {
        let why = match target {
            None => "target_type must be provided",
            Some(_) => "target_type can only be 'users'",
        };
        return Err(Refusal::illegal_argument(why));
    }
    let ext = fields.raw("ext");
    let rows = [
        (from.as_deref() == Some(""), FROM_EMPTY),
        (kind.is_empty(), TYPE_EMPTY),
        (content.is_empty(), BODY_EMPTY),
        (ext.is_some_and(|ext| !ext.starts_with('{')), EXT_NOT_OBJECT),
        (!shape::fits(&kind, &content, settings.strict), INVALID_BODY),
    ];
    if let Some((_, refusal)) = rows.into_iter().find(|(broken, _)| *broken) {
        return Err(refusal);
    }
    let length = serde_json::to_string(&content).map_or(usize::MAX, |json| json.len());
    if length.saturating_add(ext.map_or(0, |ext| compact(ext).len())) > settings.limits.message_bytes {
        return Err(TOO_LARGE);
    }
    Ok(AcceptedMessage {
        from: from.unwrap_or_else(|| "admin".to_owned()),
        chat: ChatKind::Announcement,
        groups: vec![to.to_owned()],
        users: None,
        raw: compact(&String::from_utf8_lossy(body)),
        by_user: false,
    })
}

impl SimulatorState {
    pub(super) fn announcement(&mut self, exchange: &Exchange, body: &[u8]) -> Result<Value, Refusal> {
        let (to, meter, enough) = match exchange.route.call {
            ServiceCall::AnnounceAll => ("all", &mut self.meters.announce_all, ANNOUNCED_ENOUGH),
            _ => ("online", &mut self.meters.announce_online, ONLINE_ANNOUNCED_ENOUGH),
        };
        let message = read(exchange.settings, body, to)?;
        meter.check(exchange.now, enough)?;
        let accepted = self.record.accept(message, exchange.now.unix_ms(), false);
        let accepted = accepted.map_err(|error| Refusal::unlogged(&error))?;
        meter.count(exchange.now);
        self.stats.announcements += 1;
        let id = accepted.into_iter().next().map(|message| message.id);
        Ok(json!({ "data": { "id": id } }))
    }
}
