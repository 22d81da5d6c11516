//! `im.on`: jobs that run for the events of the chat service. The host reads and filters the events.

use mlua::{Function, Lua, Value};
use serde::Deserialize;

use crate::protocol::{EventDeclaration, HostRequest, JobDeclaration, JobTrigger};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::super::report::whereabouts;
use super::ModuleKit;
use super::arguments::{integer, utf8, wrong};
use super::options::{Given, options, raw};
use super::task::Milliseconds;

/// The most ids of a list.
const MOST: usize = 1000;

/// The part in Lua: it makes the options optional, and stores the job's function once the host has accepted the
/// declaration.
const LUA_PART: &str = r#"
local jobs, declare, name_of = ...
return function(event, options, body)
  if body == nil and type(options) == 'function' then
    options, body = nil, options
  end
  local name = name_of(event, options)
  declare(event, options, name, body)
  jobs[name] = function(context, given)
    if given == nil then
      error(('the job `%s` runs only for events of the chat service; to try it, write a test: t.callback { event = "%s", … }')
        :format(name, event), 0)
    end
    return body(given, context)
  end
end
"#;

/// Builds `im.on` for an app.
pub(super) fn build(kit: &ModuleKit, app: &str) -> mlua::Result<Function> {
    let app = app.to_owned();
    let declare = kit.waiting(move |lua, _, arguments| declare(lua, &app, arguments))?;
    kit.lua_part(LUA_PART, (kit.jobs(), declare, kit.plain(name_of)?))
}

/// The options of `im.on`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventOptions {
    name: Option<String>,
    group: Option<Given>,
    from: Option<Given>,
    r#match: Option<String>,
    timeout: Option<Milliseconds>,
    rerun: bool,
}

/// Returns the name in the options. The default is the script's name and the event's.
fn name_of(_: &Lua, context: &ScriptContext, (event, given): (Value, Value)) -> Result<String, NativeError> {
    let own: EventOptions = options("im.on", &given)?;
    let event = utf8("event", &event)?;
    Ok(own.name.unwrap_or_else(|| format!("{}.{event}", context.short_name())))
}

fn declare(
    lua: &Lua,
    app: &str,
    (event, given, name, body): (Value, Value, String, Value),
) -> Result<HostRequest, NativeError> {
    if !body.is_function() {
        return Err(wrong("fn", "the job's function", &body));
    }
    let own: EventOptions = options("im.on", &given)?;
    Ok(HostRequest::Declare(Box::new(JobDeclaration {
        name,
        when: JobTrigger::Event(EventDeclaration {
            app: app.to_owned(),
            event: utf8("event", &event)?,
            groups: if own.group.is_some() { ids("group", &raw(&given, "group")?)? } else { Vec::new() },
            users: if own.from.is_some() { ids("from", &raw(&given, "from")?)? } else { Vec::new() },
            pattern: own.r#match,
        }),
        tz: None,
        calendar: None,
        on_holiday: None,
        missed: None,
        grace_ms: None,
        overlap: None,
        timeout_ms: own.timeout.map(|time| time.0),
        jitter_ms: None,
        rerun: own.rerun,
        place: whereabouts(lua).unwrap_or_default(),
    })))
}

/// Reads one id, which may be a whole number, or a list of at least one id.
pub(super) fn ids(field: &str, value: &Value) -> Result<Vec<String>, NativeError> {
    let Value::Table(list) = value else { return Ok(vec![id(field, value)?]) };
    let count = list.pairs::<Value, Value>().count();
    if count != list.raw_len() {
        return Err(NativeError::invalid(field, format!("{field}: expected an id or a list of ids")));
    }
    if !(1..=MOST).contains(&count) {
        let problem =
            format!("{field}: the list has {count} ids; write 1 to {MOST}, or leave `{field}` out for all");
        return Err(NativeError::invalid(field, problem));
    }
    (1..=count).map(|index| id(&format!("{field}[{index}]"), &list.raw_get(index)?)).collect()
}

fn id(field: &str, value: &Value) -> Result<String, NativeError> {
    match value {
        Value::Integer(_) | Value::Number(_) => Ok(integer(field, value)?.to_string()),
        text => utf8(field, text),
    }
}
