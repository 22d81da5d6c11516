//! `im`: sending, and related calls. Each call is one request to the host, which checks, paces and sends it.

use std::time::Duration;

use mlua::{Function, Lua, Table, Value};

use crate::core::{
    Call, Priority, RECALL_OPTIONS, SEND_OPTIONS, SendOptions, UPLOAD_OPTIONS, UploadOptions, nearest,
};
use crate::protocol::{AppInfo, FailureKind, HostRequest, MAX_RECEIPTS};

use super::super::convert::{EmptyTable, to_json};
use super::super::fault::NativeError;
use super::task::milliseconds;
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
    let recall = kit.waiting(move |_, context, arguments| recall(app, &context.run, arguments))?;
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
    (message, options): (Value, Option<Table>),
) -> Result<HostRequest, NativeError> {
    let options = send_options(options)?;
    Ok(HostRequest::Send { app, call, message: message_json(lua, &message)?.into(), options })
}

fn check(lua: &Lua, app: u32, message: &Value) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Check { app, message: message_json(lua, message)?.into() })
}

fn upload(app: u32, (path, options): (String, Option<Table>)) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Upload { app, path, options: upload_options(options)? })
}

fn recall(
    app: u32,
    run: &str,
    (receipts, options): (Table, Option<Table>),
) -> Result<HostRequest, NativeError> {
    let broadcast = receipts.get::<Value>("broadcast")?;
    if !broadcast.is_nil() {
        return recall_broadcast(app, run, &broadcast, &receipts, options);
    }
    let mut pairs = Vec::new();
    for pair in receipts.pairs::<Value, Value>() {
        match pair? {
            (Value::String(group), Value::String(message)) => {
                pairs.push((group.to_str()?.to_owned(), message.to_str()?.to_owned()));
            }
            (key, value) => {
                return Err(NativeError::invalid(
                    "receipts",
                    format!(
                        "receipts: expected {{ [group_id] = message_id }} as im.group_send returned it, got a {} under a {}",
                        value.type_name(),
                        key.type_name()
                    ),
                ));
            }
        }
    }
    let (force, from) = recall_options(options)?;
    pairs.sort();
    if pairs.len() > MAX_RECEIPTS {
        let message = format!("receipts: {} of them, where {MAX_RECEIPTS} are the most at once", pairs.len());
        return Err(NativeError::invalid("receipts", message));
    }
    Ok(HostRequest::Recall { app, receipts: pairs, force, from })
}

fn recall_broadcast(
    app: u32,
    run: &str,
    name: &Value,
    which: &Table,
    options: Option<Table>,
) -> Result<HostRequest, NativeError> {
    for pair in which.pairs::<Value, Value>() {
        let key = pair?.0.to_string()?;
        if key != "broadcast" && key != "run" {
            let problem = format!("recall: unknown field `{key}`; known: broadcast, run");
            return Err(NativeError::invalid(key, problem));
        }
    }
    let Value::String(name) = name else {
        let problem = format!("recall: expected the name of a broadcast, got {}", name.type_name());
        return Err(NativeError::invalid("broadcast", problem));
    };
    let run = match which.get::<Value>("run")? {
        Value::Nil => run.to_owned(),
        Value::Integer(run) => run.to_string(),
        Value::String(run) => run.to_str()?.to_owned(),
        other => {
            let problem = format!("recall: `run` must be a text, got {}", other.type_name());
            return Err(NativeError::invalid("run", problem));
        }
    };
    let (force, from) = recall_options(options)?;
    Ok(HostRequest::RecallBroadcast { app, name: name.to_str()?.to_owned(), run, force, from })
}

fn recall_options(options: Option<Table>) -> Result<(bool, Option<String>), NativeError> {
    let (mut force, mut from) = (false, None);
    each_option(options, &RECALL_OPTIONS, |name, value| {
        match name {
            "force" => force = boolean(name, &value)?,
            _ => from = Some(string(name, &value)?),
        }
        Ok(())
    })?;
    Ok((force, from))
}

fn send_options(table: Option<Table>) -> Result<SendOptions, NativeError> {
    let mut options = SendOptions::default();
    each_option(table, &SEND_OPTIONS, |name, value| {
        match name {
            "once" => options.once = Some(once(&value)?),
            "priority" => options.priority = priority(&value)?,
            _ => options.timeout = Some(Duration::from_millis(milliseconds("options.timeout", &value)?)),
        }
        Ok(())
    })?;
    Ok(options)
}

fn upload_options(table: Option<Table>) -> Result<UploadOptions, NativeError> {
    let mut options = UploadOptions::default();
    each_option(table, &UPLOAD_OPTIONS, |name, value| {
        match name {
            "force" => options.force = boolean(name, &value)?,
            "filename" => options.filename = Some(string(name, &value)?),
            "priority" => options.priority = priority(&value)?,
            "reuse" => options.reuse = boolean(name, &value)?,
            "restrict_access" => options.restrict_access = boolean(name, &value)?,
            _ => options.thumbnail = Some(thumbnail(&value)?),
        }
        Ok(())
    })?;
    Ok(options)
}

/// Calls `set` for each option. An unknown option is an error that suggests the nearest known name.
fn each_option(
    table: Option<Table>,
    known: &[&str],
    mut set: impl FnMut(&str, Value) -> Result<(), NativeError>,
) -> Result<(), NativeError> {
    let Some(table) = table else { return Ok(()) };
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        let name = key.to_string()?;
        if !known.contains(&name.as_str()) {
            let hint = nearest(&name, known.iter().copied()).map(|near| format!("; did you mean `{near}`?"));
            return Err(NativeError::invalid(
                format!("options.{name}"),
                format!(
                    "unknown option `{name}`{}",
                    hint.unwrap_or_else(|| format!("; known: {}", known.join(", ")))
                ),
            ));
        }
        set(&name, value)?;
    }
    Ok(())
}

fn once(value: &Value) -> Result<String, NativeError> {
    let key = string("once", value)?;
    if key.is_empty() || key.len() > ONCE_BYTES {
        let problem = format!("once: expected a key of 1 to {ONCE_BYTES} bytes, got {}", key.len());
        return Err(NativeError::invalid("options.once", problem));
    }
    Ok(key)
}

fn priority(value: &Value) -> Result<Priority, NativeError> {
    string("priority", value)?
        .parse()
        .map_err(|why: String| NativeError::invalid("options.priority", format!("priority: {why}")))
}

fn thumbnail(value: &Value) -> Result<(u32, u32), NativeError> {
    let wrong = || {
        NativeError::invalid(
            "options.thumbnail",
            "thumbnail: expected { width = PIXELS, height = PIXELS }, each from 1 to 10000",
        )
    };
    let Value::Table(table) = value else { return Err(wrong()) };
    let side = |name: &str| match table.raw_get::<Option<u32>>(name) {
        Ok(Some(pixels)) if (1..=10_000).contains(&pixels) => Ok(pixels),
        _ => Err(wrong()),
    };
    Ok((side("height")?, side("width")?))
}

fn string(name: &str, value: &Value) -> Result<String, NativeError> {
    match value {
        Value::String(text) => Ok(text.to_str()?.to_owned()),
        other => Err(wrong_type(name, "a string", other)),
    }
}

fn boolean(name: &str, value: &Value) -> Result<bool, NativeError> {
    match value {
        Value::Boolean(value) => Ok(*value),
        other => Err(wrong_type(name, "true or false", other)),
    }
}

fn wrong_type(name: &str, expected: &str, got: &Value) -> NativeError {
    crate::protocol::RequestFailure {
        field: Some(format!("options.{name}").into()),
        ..crate::protocol::RequestFailure::new(
            FailureKind::Invalid,
            format!("{name}: expected {expected}, got {}", got.type_name()),
        )
    }
    .into()
}
