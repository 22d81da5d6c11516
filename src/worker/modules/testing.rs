//! The host functions of `stdlib/test.lua`. Only that library uses them.

use std::collections::BTreeMap;

use bytes::Bytes;
use mlua::{Lua, Table, Value};
use serde::Deserialize;

use crate::protocol::{HookRequest, HostRequest, TestStep};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::super::report::whereabouts;
use super::ModuleKit;
use super::arguments::{integer, table, utf8, wrong};
use super::options::{WholeNumber, fields};
use super::task::milliseconds;

/// The name under which the library requires this module.
pub(super) const NAME: &str = "test.host";

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let host = kit.lua().create_table()?;
    host.raw_set("bodies", kit.jobs())?;
    host.raw_set("declare", kit.waiting(declare)?)?;
    host.raw_set("run", kit.waiting(run)?)?;
    host.raw_set("load", kit.waiting(|_, _, script: Value| step(TestStep::Load(utf8("script", &script)?)))?)?;
    host.raw_set("trigger", kit.waiting(|_, _, job: Value| step(TestStep::Trigger(utf8("job", &job)?)))?)?;
    host.raw_set("post", kit.waiting(post)?)?;
    host.raw_set("advance", kit.waiting(advance)?)?;
    host.raw_set("clock", kit.waiting(clock)?)?;
    host.raw_set("fault", kit.waiting(|_, _, rules: Value| step(TestStep::Fault(rules_of(&rules)?)))?)?;
    host.raw_set("sent", kit.waiting(|_, _, group: Value| step(TestStep::Sent(group_of(&group)?)))?)?;
    host.raw_set("count", kit.waiting(|_, _, group: Value| step(TestStep::Count(group_of(&group)?)))?)?;
    host.raw_set("reply", kit.waiting(reply)?)?;
    host.raw_set("requests", kit.waiting(|_, _, ()| step(TestStep::Requests))?)?;
    Ok(host)
}

fn step(step: TestStep) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Test(Box::new(step)))
}

fn declare(lua: &Lua, _: &ScriptContext, (name, body): (Value, Value)) -> Result<HostRequest, NativeError> {
    if !body.is_function() {
        return Err(wrong("fn", "the test's function", &body));
    }
    step(TestStep::Declare { name: utf8("name", &name)?, place: whereabouts(lua).unwrap_or_default() })
}

fn run(_: &Lua, _: &ScriptContext, (script, args): (Value, Value)) -> Result<HostRequest, NativeError> {
    let mut words = Vec::new();
    if !args.is_nil() {
        let list = table("args", &args)?;
        for (number, word) in list.sequence_values::<Value>().enumerate() {
            words.push(match word? {
                Value::String(text) => utf8("args", &Value::String(text))?,
                number @ (Value::Integer(_) | Value::Number(_)) => number.to_string()?,
                other => return Err(wrong(&format!("args[{}]", number + 1), "a string", &other)),
            });
        }
    }
    step(TestStep::Run { script: utf8("script", &script)?, args: words })
}

/// The request to post to a hook.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PostedRequest {
    body: Bytes,
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
}

fn post(_: &Lua, _: &ScriptContext, (job, request): (Value, Value)) -> Result<HostRequest, NativeError> {
    let PostedRequest { body, headers, query } = fields("t.post", "request", &request)?;
    let headers = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let query = query.into_iter().collect();
    let request = HookRequest { method: "POST".to_owned(), query, headers, body };
    step(TestStep::Post { job: utf8("job", &job)?, request })
}

fn advance(_: &Lua, _: &ScriptContext, time: Value) -> Result<HostRequest, NativeError> {
    step(TestStep::Advance { ms: milliseconds("time", &time)? })
}

fn clock(_: &Lua, _: &ScriptContext, time: Value) -> Result<HostRequest, NativeError> {
    let time = match &time {
        Value::Integer(_) | Value::Number(_) => time.to_string()?,
        text => utf8("time", text)?,
    };
    step(TestStep::Clock { time })
}

/// Reads one fault rule, or a list of them.
fn rules_of(rules: &Value) -> Result<String, NativeError> {
    let Value::Table(list) = rules else { return utf8("faults", rules) };
    let rules: Vec<String> =
        list.sequence_values::<Value>().map(|rule| utf8("faults", &rule?)).collect::<Result<_, _>>()?;
    Ok(rules.join("\n"))
}

/// Reads a group's id, which may be a number; `None` for all groups.
fn group_of(group: &Value) -> Result<Option<String>, NativeError> {
    Ok(match group {
        Value::Nil => None,
        Value::Integer(_) => Some(integer("group", group)?.to_string()),
        text => Some(utf8("group", text)?),
    })
}

/// The answer to requests to another service.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Reply {
    body: String,
    status: Option<WholeNumber>,
}

fn reply(_: &Lua, _: &ScriptContext, (url, answer): (Value, Value)) -> Result<HostRequest, NativeError> {
    let Reply { body, status } = fields("t.reply", "answer", &answer)?;
    let status = status.map_or(200, |status| u16::try_from(status.0).unwrap_or(0));
    step(TestStep::Reply { url: utf8("url", &url)?, status, body })
}
