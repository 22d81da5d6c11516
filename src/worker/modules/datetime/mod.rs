//! `datetime`: times in time zones. The current time is that of the host, whose clock is simulated in a rehearsal.

mod moment;

use std::cmp::Ordering;

use mlua::{AnyUserData, IntoLua, Lua, MetaMethod, Table, UserData, UserDataMethods, Value};
use serde::Deserialize;

use crate::protocol::HostRequest;

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::{table, utf8, wrong};
use super::options::{fields, options};
#[cfg(test)]
pub(super) use moment::try_texts;
pub(super) use moment::{ZonedDateTime, posix};

/// The registry key of the methods of a datetime.
const METHODS: &str = "mooncast.datetime";

/// Makes a datetime of the host's current time.
const NOW: &str = r"
local ask, from_unix = ...
return function(tz)
  return from_unix(ask(), tz)
end
";

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let lua = kit.lua();
    let methods = lua.create_table()?;
    methods.raw_set("add", kit.plain(add)?)?;
    methods.raw_set("format", kit.plain(format)?)?;
    methods.raw_set("in_tz", kit.plain(in_tz)?)?;
    methods.raw_set("iso", kit.plain(iso)?)?;
    methods.raw_set("start_of", kit.plain(start_of)?)?;
    methods.raw_set("unix", kit.plain(unix)?)?;
    lua.set_named_registry_value(METHODS, methods)?;

    let metatable = lua.create_userdata(ZonedDateTime::EPOCH)?.metatable()?;
    metatable.set(MetaMethod::Add, kit.plain(plus)?)?;
    metatable.set(MetaMethod::Sub, kit.plain(minus)?)?;
    metatable.set(MetaMethod::Eq, kit.plain(|_, _, pair| compare(&pair).map(Ordering::is_eq))?)?;
    metatable.set(MetaMethod::Lt, kit.plain(|_, _, pair| compare(&pair).map(Ordering::is_lt))?)?;
    metatable.set(MetaMethod::Le, kit.plain(|_, _, pair| compare(&pair).map(Ordering::is_le))?)?;

    let module = lua.create_table()?;
    let from_unix = kit.plain(from_unix)?;
    let now: mlua::Function = kit.lua_part(NOW, (kit.waiting(ask_now)?, &from_unix))?;
    module.raw_set("now", now)?;
    module.raw_set("from_unix", from_unix)?;
    module.raw_set("parse", kit.plain(parse)?)?;
    Ok(module)
}

/// Returns the request for the host's current time.
#[expect(clippy::unnecessary_wraps, reason = "as every native that asks the host for something")]
pub(super) fn ask_now(_: &Lua, _: &ScriptContext, _: Value) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Now)
}

impl UserData for ZonedDateTime {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, moment, ()| Ok(moment.iso()));
        methods.add_meta_method(MetaMethod::Index, |lua, moment, name: String| match moment.field(&name) {
            Some(number) => number.into_lua(lua),
            None if name == "zone" => moment.zone_name().into_lua(lua),
            None => lua.named_registry_value::<Table>(METHODS)?.raw_get(name),
        });
    }
}

fn of_zone(tz: &Value) -> Result<Option<String>, NativeError> {
    match tz {
        Value::Nil => Ok(None),
        tz => utf8("tz", tz).map(Some),
    }
}

fn invalid(field: &'static str) -> impl FnOnce(String) -> NativeError {
    move |message| NativeError::invalid(field, message)
}

fn from_unix(
    _: &Lua,
    _: &ScriptContext,
    (seconds, tz): (Value, Value),
) -> Result<ZonedDateTime, NativeError> {
    let zone = moment::zone(of_zone(&tz)?.as_deref()).map_err(invalid("tz"))?;
    let duration = match &seconds {
        Value::Integer(seconds) => jiff::SignedDuration::from_secs(*seconds),
        Value::Number(number) => jiff::SignedDuration::try_from_secs_f64(*number)
            .map_err(|error| NativeError::invalid("seconds", format!("seconds: {error}")))?,
        other => return Err(wrong("seconds", "a number", other)),
    };
    ZonedDateTime::from_unix(duration, zone).map_err(invalid("seconds"))
}

/// The options of `datetime.parse`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DateParseOptions {
    format: Option<String>,
    tz: Option<String>,
}

fn parse(_: &Lua, _: &ScriptContext, (text, given): (Value, Value)) -> Result<ZonedDateTime, NativeError> {
    let text = utf8("text", &text)?;
    let DateParseOptions { format, tz } = options("datetime.parse", &given)?;
    let zone = tz.as_deref().map(|tz| moment::zone(Some(tz)).map_err(invalid("tz"))).transpose()?;
    match format {
        Some(format) => ZonedDateTime::parse_as(&text, &format, zone),
        None => ZonedDateTime::parse(&text, zone),
    }
    .map_err(invalid("text"))
}

/// Reads a datetime, or reports the type of the value.
fn moment(field: &str, value: &Value) -> Result<ZonedDateTime, NativeError> {
    match value {
        Value::UserData(moment) if moment.is::<ZonedDateTime>() => {
            Ok(moment.borrow::<ZonedDateTime>()?.clone())
        }
        other => Err(wrong(field, "a datetime", other)),
    }
}

fn this(datetime: &AnyUserData) -> Result<ZonedDateTime, NativeError> {
    Ok(datetime.borrow::<ZonedDateTime>()?.clone())
}

fn format(
    _: &Lua,
    _: &ScriptContext,
    (datetime, format): (AnyUserData, Value),
) -> Result<String, NativeError> {
    this(&datetime)?.format(&utf8("format", &format)?).map_err(invalid("format"))
}

fn iso(_: &Lua, _: &ScriptContext, (datetime,): (AnyUserData,)) -> Result<String, NativeError> {
    Ok(this(&datetime)?.iso())
}

fn unix(_: &Lua, _: &ScriptContext, (datetime,): (AnyUserData,)) -> Result<Value, NativeError> {
    let duration = this(&datetime)?.since_epoch();
    Ok(seconds(duration))
}

/// Returns whole seconds as an integer, others as a float.
fn seconds(duration: jiff::SignedDuration) -> Value {
    if duration.subsec_nanos() == 0 {
        Value::Integer(duration.as_secs())
    } else {
        Value::Number(duration.as_secs_f64())
    }
}

fn in_tz(
    _: &Lua,
    _: &ScriptContext,
    (datetime, tz): (AnyUserData, Value),
) -> Result<ZonedDateTime, NativeError> {
    let zone = moment::zone(Some(&utf8("tz", &tz)?)).map_err(invalid("tz"))?;
    Ok(this(&datetime)?.in_zone(zone))
}

fn start_of(
    _: &Lua,
    _: &ScriptContext,
    (datetime, unit): (AnyUserData, Value),
) -> Result<ZonedDateTime, NativeError> {
    this(&datetime)?.start_of(&utf8("unit", &unit)?).map_err(invalid("unit"))
}

fn add(
    _: &Lua,
    _: &ScriptContext,
    (datetime, amounts): (AnyUserData, Value),
) -> Result<ZonedDateTime, NativeError> {
    let amounts = Value::Table(table("amounts", &amounts)?);
    let amounts: moment::Amounts = fields("moment:add", "amounts", &amounts)?;
    let mut moment = this(&datetime)?;
    for span in amounts.spans().map_err(invalid("amounts"))? {
        moment = moment.plus(span).map_err(invalid("amounts"))?;
    }
    Ok(moment)
}

/// Reads the operand of `+` and `-`: seconds, or a text like `"1h 30m"` or `"2 days"`.
fn amount(value: &Value) -> Result<jiff::Span, NativeError> {
    match value {
        Value::Integer(seconds) => moment::of_seconds(*seconds as f64),
        Value::Number(seconds) => moment::of_seconds(*seconds),
        Value::String(_) => moment::of_text(&utf8("amount", value)?),
        other => return Err(wrong("amount", "seconds or a text like \"1h 30m\"", other)),
    }
    .map_err(invalid("amount"))
}

fn plus(_: &Lua, _: &ScriptContext, (left, right): (Value, Value)) -> Result<ZonedDateTime, NativeError> {
    let (datetime, span) = match &left {
        Value::UserData(_) => (moment("datetime", &left)?, amount(&right)?),
        _ => (moment("datetime", &right)?, amount(&left)?),
    };
    datetime.plus(span).map_err(invalid("amount"))
}

fn minus(lua: &Lua, _: &ScriptContext, (left, right): (Value, Value)) -> Result<Value, NativeError> {
    let left = moment("datetime", &left)?;
    if let Value::UserData(_) = right {
        return Ok(seconds(left.since_epoch() - moment("datetime", &right)?.since_epoch()));
    }
    let earlier = left.plus(amount(&right)?.negate()).map_err(invalid("amount"))?;
    Ok(earlier.into_lua(lua)?)
}

/// Compares two times, regardless of their zones.
fn compare((left, right): &(Value, Value)) -> Result<Ordering, NativeError> {
    Ok(moment("datetime", left)?.since_epoch().cmp(&moment("datetime", right)?.since_epoch()))
}
