//! `schedule`: the jobs that a script declares.

use mlua::{Lua, Table, Value};
use serde::Deserialize;

use crate::protocol::{HostRequest, JobDeclaration, JobTrigger};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::super::report::whereabouts;
use super::ModuleKit;
use super::arguments::{utf8, wrong};
use super::options::options;
use super::task::{Milliseconds, milliseconds};

/// The part in Lua: it makes the options optional, and stores a job's function once the host has accepted the
/// declaration.
const LUA_PART: &str = r"
local jobs, declare, name_of, run = ...
local function declares(kind)
  return function(when, options, body)
    if body == nil and type(options) == 'function' then
      options, body = nil, options
    end
    local name = name_of(kind, options)
    declare(kind, when, options, name, body)
    jobs[name] = body
  end
end
return { cron = declares('cron'), every = declares('every'), at = declares('at'), run = run }
";

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let run = kit.context().run.as_str();
    kit.lua_part(LUA_PART, (kit.jobs(), kit.waiting(declare)?, kit.plain(name_of)?, run))
}

/// The options of a job.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct JobOptions {
    name: Option<String>,
    tz: Option<String>,
    calendar: Option<String>,
    on_holiday: Option<String>,
    missed: Option<String>,
    grace: Option<Milliseconds>,
    overlap: Option<String>,
    timeout: Option<Milliseconds>,
    jitter: Option<Milliseconds>,
    rerun: bool,
}

/// Returns the name in the options. The default is the script's name.
fn name_of(_: &Lua, context: &ScriptContext, (kind, given): (String, Value)) -> Result<String, NativeError> {
    let own: JobOptions = options(&format!("schedule.{kind}"), &given)?;
    Ok(own.name.unwrap_or_else(|| context.short_name().to_owned()))
}

type ScheduleArguments = (String, Value, Value, String, Value);

fn declare(
    lua: &Lua,
    _: &ScriptContext,
    (kind, when, given, name, body): ScheduleArguments,
) -> Result<HostRequest, NativeError> {
    if !body.is_function() {
        return Err(wrong("fn", "the job's function", &body));
    }
    let when = match (kind.as_str(), &when) {
        ("cron", expression) => JobTrigger::Cron(utf8("expr", expression)?),
        ("every", length) => JobTrigger::Every { ms: milliseconds("duration", length)? },
        (_, Value::Integer(_) | Value::Number(_)) => JobTrigger::AtInstant { ms: unix_ms(&when)? },
        (_, time) => JobTrigger::At(utf8("time", time)?),
    };
    let own: JobOptions = options(&format!("schedule.{kind}"), &given)?;
    Ok(HostRequest::Declare(Box::new(JobDeclaration {
        name,
        when,
        tz: own.tz,
        calendar: own.calendar,
        on_holiday: own.on_holiday,
        missed: own.missed,
        grace_ms: own.grace.map(|time| time.0),
        overlap: own.overlap,
        timeout_ms: own.timeout.map(|time| time.0),
        jitter_ms: own.jitter.map(|time| time.0),
        rerun: own.rerun,
        place: whereabouts(lua).unwrap_or_default(),
    })))
}

/// Converts seconds since 1970 to milliseconds.
fn unix_ms(seconds: &Value) -> Result<i64, NativeError> {
    let seconds = match seconds {
        Value::Integer(seconds) => *seconds as f64,
        other => other.as_f64().unwrap_or_default(),
    };
    // The upper bound is the year 9999.
    if !(0.0..=253_402_300_799.0).contains(&seconds) {
        return Err(NativeError::invalid(
            "time",
            format!("time: {seconds} is not a time in seconds since 1970"),
        ));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    Ok((seconds * 1000.0).round() as i64)
}
