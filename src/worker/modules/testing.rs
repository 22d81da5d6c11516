//! The host functions of `stdlib/test.lua`. Only that library uses them.

use std::collections::BTreeMap;

use bytes::Bytes;
use mlua::{IntoLua as _, Lua, Table, Value};
use serde::Deserialize;

use crate::protocol::{HookRequest, HostRequest, TestEvent, TestStep};

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::super::report::whereabouts;
use super::ModuleKit;
use super::arguments::{integer, table, utf8, wrong};
use super::on::ids;
use super::options::{Given, WholeNumber, fields, raw};
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
    host.raw_set("callback", kit.waiting(callback)?)?;
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

/// An event of the chat service, as a test writes it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct EventFields {
    event: Option<String>,
    id: Option<String>,
    app: Option<String>,
    group: Option<Given>,
    from: Option<Given>,
    user: Option<Given>,
    users: Option<Given>,
    message_id: Option<String>,
    text: Option<String>,
    body: Option<Given>,
    ext: Option<Given>,
}

fn callback(lua: &Lua, _: &ScriptContext, event: Value) -> Result<HostRequest, NativeError> {
    let own: EventFields = fields("t.callback", "event", &event)?;
    let missing = |name: &str| {
        NativeError::invalid(format!("event.{name}"), format!("t.callback: the event has no `{name}`"))
    };
    let given = |name: &str| raw(&event, name);
    let users = match (own.from, own.user, own.users) {
        (Some(_), None, None) => ids("from", &given("from")?)?,
        (None, Some(_), None) => ids("user", &given("user")?)?,
        (None, None, Some(_)) => ids("users", &given("users")?)?,
        (None, None, None) => Vec::new(),
        _ => {
            let problem =
                "t.callback: write only one of `from`, `user` and `users`: they are the users who act";
            return Err(NativeError::invalid("event.users", problem));
        }
    };
    let json = |name: &str| {
        Ok::<_, NativeError>(
            to_json(lua, &table(name, &given(name)?)?.into_lua(lua)?, JsonRole::Data)?.into(),
        )
    };
    let body = match (own.text, own.body) {
        (Some(_), Some(_)) => {
            let problem = "t.callback: write `text` or `body`; `text` is the body of a text message";
            return Err(NativeError::invalid("event.body", problem));
        }
        (Some(text), None) => Some(serde_json::json!({ "type": "txt", "msg": text }).to_string().into()),
        (None, Some(_)) => Some(json("body")?),
        (None, None) => None,
    };
    let groups = own.group.ok_or_else(|| missing("group")).and_then(|_| ids("group", &given("group")?))?;
    let [group] = <[String; 1]>::try_from(groups).map_err(|_| missing("group"))?;
    step(TestStep::Callback(Box::new(TestEvent {
        event: own.event.ok_or_else(|| missing("event"))?,
        id: own.id,
        app: own.app,
        group,
        users,
        message_id: own.message_id,
        body,
        ext: own.ext.map(|_| json("ext")).transpose()?,
    })))
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
