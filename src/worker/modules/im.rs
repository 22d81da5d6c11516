//! `im`: sending, and related calls. Each call is one request to the host, which checks, paces and sends it.

use std::collections::BTreeMap;

use mlua::{Function, Lua, LuaSerdeExt as _, Table, Value};
use serde::Deserialize;

use crate::core::{Call, Priority, SendOptions, UploadOptions};
use crate::protocol::{AppInfo, HostRequest, MAX_DETAILS, MAX_RECEIPTS, RecallRequest};

use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::arguments::{id_list, wrong};
use super::options::fields;
use super::task::Milliseconds;
use super::{ModuleKit, broadcast, edit, on, rest, suppress};

/// The part in Lua: iterators over pages, read-only limits, the two results of `check`.
const LUA_PART: &str = include_str!("im.lua");

/// Why announcements are not recalled.
const NOT_RECALLABLE: &str = "receipts: an announcement cannot be recalled: the service gives it an id of its own, and none to the message that each user gets";

/// The most bytes of a `once` key. Longer keys are mistakes.
const ONCE_BYTES: usize = 512;

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let apps = kit.lua().create_table()?;
    let mut default = None;
    for (index, info) in (0..).zip(&kit.context.apps) {
        let app = build_app(kit, index, info)?;
        apps.raw_set(info.name.as_str(), &app)?;
        default.get_or_insert(app);
    }
    let im = default.map_or_else(|| kit.lua().create_table(), Ok)?;
    let known: Vec<String> = kit.context.apps.iter().map(|info| info.name.clone()).collect();
    im.raw_set("app", kit.plain(move |_, _, name: String| find_app(&apps, &known, &name))?)?;
    Ok(im)
}

fn find_app(apps: &Table, known: &[String], name: &str) -> Result<Table, NativeError> {
    apps.raw_get::<Option<Table>>(name)?.ok_or_else(|| {
        NativeError::invalid("name", format!("no app `{name}` is configured; there is: {}", known.join(", ")))
    })
}

/// Builds the functions of one app.
fn build_app(kit: &ModuleKit, app: u32, info: &AppInfo) -> mlua::Result<Table> {
    let lua = kit.lua();
    let functions = lua.create_table()?;
    let send = |call| kit.waiting(move |lua, _, arguments| send(lua, app, call, arguments));
    functions.raw_set("group_send", send(Call::Group)?)?;
    functions.raw_set("targeted_send", send(Call::Targeted)?)?;
    functions.raw_set("user_send", send(Call::User)?)?;
    functions.raw_set("room_send", send(Call::Room)?)?;
    let broadcasts = broadcast::build(kit, app)?;
    let with_test: Function = broadcasts.raw_get("broadcast")?;
    let plain = "local broadcast = ...; return function(spec) return broadcast(spec) end";
    functions.raw_set("broadcast", kit.lua_part::<Function>(plain, with_test.clone())?)?;
    functions.raw_set("_campaign", with_test)?;
    functions.raw_set("_check_broadcast", kit.plain(broadcast::check)?)?;
    functions.raw_set("on", on::build(kit, &info.name)?)?;
    functions.raw_set("request", kit.waiting(move |lua, _, (given,)| rest::request(lua, app, given))?)?;
    functions.raw_set("suppress", kit.waiting(move |_, _, arguments| suppress::request(app, arguments))?)?;
    functions.raw_set("upload", kit.waiting(move |_, _, arguments| upload(app, arguments))?)?;

    let limits = lua.create_table()?;
    for (name, value) in &info.limits {
        limits.raw_set(name.as_str(), integral(*value))?;
    }
    let check = kit.waiting(move |lua, _, arguments| check(lua, app, arguments))?;
    let groups = kit.waiting(move |_, _, cursor| Ok(HostRequest::Groups { app, cursor }))?;
    let members =
        kit.waiting(move |_, _, (group_id, page)| Ok(HostRequest::Members { app, group_id, page }))?;
    let group = kit.waiting(move |_, _, (ids,)| group_details(app, ids))?;
    let recall = kit.waiting(move |lua, context, arguments| recall(lua, app, &context.run, arguments))?;
    let edit = kit.waiting(move |lua, _, arguments| edit::of_receipts(lua, app, arguments))?;
    let edit_broadcast: Function = broadcasts.raw_get("edit")?;
    let announce = kit.waiting(move |lua, _, arguments| announce(lua, app, arguments))?;
    kit.lua_part(
        LUA_PART,
        (
            functions,
            limits,
            check,
            groups,
            members,
            group,
            recall,
            edit,
            edit_broadcast,
            announce,
            MAX_DETAILS,
        ),
    )
}

/// Converts an integral number to an integer, so that 20.0 is shown as 20.
#[expect(clippy::cast_possible_truncation, reason = "only where nothing is lost")]
fn integral(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        Value::Integer(value as i64)
    } else {
        Value::Number(value)
    }
}

fn message_json(lua: &Lua, message: &Value) -> Result<Vec<u8>, NativeError> {
    match message {
        Value::Table(_) => to_json(lua, message, JsonRole::Message),
        other => Err(NativeError::invalid(
            "message",
            format!("expected a message (a table), got {}", other.type_name()),
        )),
    }
}

fn send(
    lua: &Lua,
    app: u32,
    call: Call,
    (message, given): (Value, Value),
) -> Result<HostRequest, NativeError> {
    let own: SendFields = fields(call.function(), "options", &given)?;
    let options = SendOptions {
        once: own.once.map(|key| key.0),
        priority: own.priority,
        timeout: own.timeout.map(Into::into),
        overrides: own.overrides,
        ..SendOptions::default()
    };
    Ok(HostRequest::Send { app, call, message: message_json(lua, &message)?.into(), options })
}

fn announce(lua: &Lua, app: u32, (message, given): (Value, Value)) -> Result<HostRequest, NativeError> {
    let own: AnnounceFields = fields(Call::Announce.function(), "options", &given)?;
    let options = SendOptions {
        once: own.once.map(|key| key.0),
        timeout: own.timeout.map(Into::into),
        wait: own.wait,
        ..SendOptions::default()
    };
    let message = message_json(lua, &message)?.into();
    Ok(HostRequest::Send { app, call: Call::Announce, message, options })
}

fn check(lua: &Lua, app: u32, (message, kind): (Value, Option<String>)) -> Result<HostRequest, NativeError> {
    let call = match kind.as_deref() {
        Some("announce") => Some(Call::Announce),
        kind => kind.map(sent_kind).transpose()?,
    };
    Ok(HostRequest::Check { app, call, message: message_json(lua, &message)?.into() })
}

/// Reads the kind of a message that a script names.
fn sent_kind(kind: &str) -> Result<Call, NativeError> {
    match kind.parse() {
        Ok(Call::Edit | Call::Announce) | Err(_) => Err(NativeError::invalid(
            "kind",
            format!("`kind` must be one of group, targeted, user, room, not \"{}\"", kind.escape_debug()),
        )),
        Ok(call) => Ok(call),
    }
}

fn group_details(app: u32, ids: Value) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::GroupDetails { app, ids: id_list("group_id", ids)? })
}

fn upload(app: u32, (path, given): (String, Value)) -> Result<HostRequest, NativeError> {
    let own: UploadFields = fields("im.upload", "options", &given)?;
    let options = UploadOptions {
        restrict_access: own.restrict_access.unwrap_or(true),
        thumbnail: own.thumbnail.map(|ThumbnailSize::Pixels { height, width }| (height.0, width.0)),
        filename: own.filename,
        priority: own.priority,
        reuse: own.reuse.unwrap_or(true),
        force: own.force,
    };
    Ok(HostRequest::Upload { app, path, options })
}

fn recall(
    lua: &Lua,
    app: u32,
    run: &str,
    (receipts, given): (Value, Value),
) -> Result<HostRequest, NativeError> {
    let RecallFields { kind, force, from, note, with_attachments } = fields("im.recall", "options", &given)?;
    if kind.as_deref() == Some(Call::Announce.name()) {
        return Err(NativeError::invalid("options.kind", NOT_RECALLABLE));
    }
    let kind = kind.map(|kind| sent_kind(&kind)).transpose()?;
    let asked = RecallRequest { kind, force, from, note, with_attachments };
    let receipts_value = receipts;
    let Value::Table(receipts) = &receipts_value else {
        let expected = "{ [group_id] = message_id } or { broadcast = NAME, run = RUN }";
        return Err(match &receipts_value {
            Value::String(_) => NativeError::invalid("receipts", NOT_RECALLABLE),
            other => wrong("receipts", expected, other),
        });
    };
    if !receipts.get::<Value>("broadcast")?.is_nil() {
        if asked.kind.is_some() {
            let why = "`kind` says what receipts are of; a broadcast has its own kind, so leave it out";
            return Err(NativeError::invalid("options.kind", why));
        }
        let own: RecalledBroadcast = fields("im.recall", "", &receipts_value)?;
        let run = own.run.map_or_else(|| run.to_owned(), RunName::text);
        return Ok(HostRequest::RecallBroadcast { app, name: own.broadcast, run, asked });
    }
    let receipts = receipt_pairs(lua, receipts_value)?;
    Ok(HostRequest::Recall { app, receipts, asked })
}

/// Reads receipts as the sending calls return them.
pub(super) fn receipt_pairs(lua: &Lua, receipts: Value) -> Result<Vec<(String, String)>, NativeError> {
    let pairs: BTreeMap<String, String> = lua.from_value(receipts).map_err(|_| {
        NativeError::invalid(
            "receipts",
            "receipts: expected { [group_id] = message_id } as im.group_send returned it",
        )
    })?;
    if pairs.len() > MAX_RECEIPTS {
        let message = format!("receipts: {} of them; one call takes at most {MAX_RECEIPTS}", pairs.len());
        return Err(NativeError::invalid("receipts", message));
    }
    Ok(pairs.into_iter().collect())
}

/// The options of the sending calls.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SendFields {
    once: Option<OnceKey>,
    #[serde(rename = "override")]
    overrides: bool,
    priority: Priority,
    timeout: Option<Milliseconds>,
}

/// The options of `im.announce`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct AnnounceFields {
    once: Option<OnceKey>,
    timeout: Option<Milliseconds>,
    wait: bool,
}

/// The options of `im.upload`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UploadFields {
    filename: Option<String>,
    force: bool,
    priority: Priority,
    restrict_access: Option<bool>,
    reuse: Option<bool>,
    thumbnail: Option<ThumbnailSize>,
}

/// The options of `im.recall`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RecallFields {
    kind: Option<String>,
    force: bool,
    from: Option<String>,
    note: Option<String>,
    with_attachments: bool,
}

/// The broadcast whose messages are recalled.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecalledBroadcast {
    broadcast: String,
    run: Option<RunName>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text")]
pub(super) enum RunName {
    Number(i64),
    Text(String),
}

impl RunName {
    pub(super) fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct OnceKey(String);

impl TryFrom<String> for OnceKey {
    type Error = String;

    fn try_from(key: String) -> Result<Self, String> {
        if (1..=ONCE_BYTES).contains(&key.len()) {
            return Ok(Self(key));
        }
        Err(format!("expected a key of 1 to {ONCE_BYTES} bytes, got {}", key.len()))
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected { width = PIXELS, height = PIXELS }, each from 1 to 10000")]
enum ThumbnailSize {
    Pixels { height: ThumbnailSide, width: ThumbnailSide },
}

#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct ThumbnailSide(u32);

impl TryFrom<u32> for ThumbnailSide {
    type Error = &'static str;

    fn try_from(pixels: u32) -> Result<Self, &'static str> {
        if (1..=10_000).contains(&pixels) { Ok(Self(pixels)) } else { Err("not from 1 to 10000") }
    }
}
