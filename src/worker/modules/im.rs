//! `im`: sending, and related calls. Each call is one request to the host, which checks, paces and sends it.

use std::collections::BTreeMap;

use mlua::{Function, Lua, LuaSerdeExt as _, Table, Value};
use serde::Deserialize;

use crate::core::{Call, Priority, SendOptions, UploadOptions};
use crate::protocol::{AppInfo, HostRequest, MAX_RECEIPTS};

use super::super::convert::{EmptyTable, to_json};
use super::super::fault::NativeError;
use super::options::fields;
use super::task::Milliseconds;
use super::{ModuleKit, broadcast};

/// The part in Lua: iterators over pages, read-only limits, the two results of `check`.
const LUA_PART: &str = include_str!("im.lua");

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
    let with_test = broadcast::build(kit, app)?;
    let plain = "local broadcast = ...; return function(spec) return broadcast(spec) end";
    functions.raw_set("broadcast", kit.lua_part::<Function>(plain, with_test.clone())?)?;
    functions.raw_set("_campaign", with_test)?;
    functions.raw_set("_check_broadcast", kit.plain(broadcast::check)?)?;
    functions.raw_set("upload", kit.waiting(move |_, _, arguments| upload(app, arguments))?)?;

    let limits = lua.create_table()?;
    for (name, value) in &info.limits {
        limits.raw_set(name.as_str(), integral(*value))?;
    }
    let check = kit.waiting(move |lua, _, message| check(lua, app, &message))?;
    let groups = kit.waiting(move |_, _, cursor| Ok(HostRequest::Groups { app, cursor }))?;
    let members =
        kit.waiting(move |_, _, (group_id, page)| Ok(HostRequest::Members { app, group_id, page }))?;
    let recall = kit.waiting(move |lua, context, arguments| recall(lua, app, &context.run, arguments))?;
    kit.lua_part(LUA_PART, (functions, check, groups, members, recall, limits))
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
        Value::Table(_) => to_json(lua, message, EmptyTable::OfMessage),
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
    let function = match call {
        Call::Group => "im.group_send",
        Call::Targeted => "im.targeted_send",
    };
    let own: SendFields = fields(function, "options", &given)?;
    let options = SendOptions {
        once: own.once.map(|key| key.0),
        priority: own.priority,
        timeout: own.timeout.map(Into::into),
        ..SendOptions::default()
    };
    Ok(HostRequest::Send { app, call, message: message_json(lua, &message)?.into(), options })
}

fn check(lua: &Lua, app: u32, message: &Value) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Check { app, message: message_json(lua, message)?.into() })
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
    (receipts, given): (Table, Value),
) -> Result<HostRequest, NativeError> {
    let RecallFields { force, from } = fields("im.recall", "options", &given)?;
    let receipts_value = Value::Table(receipts.clone());
    if !receipts.get::<Value>("broadcast")?.is_nil() {
        let own: RecalledBroadcast = fields("im.recall", "", &receipts_value)?;
        let run = match own.run {
            Some(RunName::Number(number)) => number.to_string(),
            Some(RunName::Text(text)) => text,
            None => run.to_owned(),
        };
        return Ok(HostRequest::RecallBroadcast { app, name: own.broadcast, run, force, from });
    }
    let pairs: BTreeMap<String, String> = lua.from_value(receipts_value).map_err(|_| {
        NativeError::invalid(
            "receipts",
            "receipts: expected { [group_id] = message_id } as im.group_send returned it",
        )
    })?;
    if pairs.len() > MAX_RECEIPTS {
        let message = format!("receipts: {} of them; one call takes at most {MAX_RECEIPTS}", pairs.len());
        return Err(NativeError::invalid("receipts", message));
    }
    Ok(HostRequest::Recall { app, receipts: pairs.into_iter().collect(), force, from })
}

/// The options of the sending calls.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SendFields {
    once: Option<OnceKey>,
    priority: Priority,
    timeout: Option<Milliseconds>,
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
    force: bool,
    from: Option<String>,
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
enum RunName {
    Number(i64),
    Text(String),
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
