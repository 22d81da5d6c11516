//! `http.hook`: jobs that an HTTP request runs. Only the host knows their secrets.

use mlua::{Function, Lua, Value};
use serde::Deserialize;

use crate::protocol::{HookDeclaration, HostRequest, HttpValuePart, JobDeclaration, JobTrigger};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::super::report::whereabouts;
use super::arguments::{utf8, wrong};
use super::options::{Given, options, raw};
use super::secret::SecretText;
use super::task::Milliseconds;
use super::{ModuleKit, json};

/// The part in Lua, which passes the request to a hook's function before the arguments that other jobs get.
const LUA_PART: &str = include_str!("hook.lua");

/// Builds `http.hook`.
pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Function> {
    kit.lua_part(LUA_PART, (kit.jobs(), kit.waiting(declare)?, json::decode_function(kit)?))
}

/// The options of a hook.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HookOptions {
    secret: Option<Given>,
    scheme: Option<String>,
    header: Option<String>,
    id: Option<String>,
    timeout: Option<Milliseconds>,
    overlap: Option<String>,
    rerun: bool,
}

fn declare(
    lua: &Lua,
    _: &ScriptContext,
    (name, given, body): (Value, Value, Value),
) -> Result<HostRequest, NativeError> {
    if !body.is_function() {
        return Err(wrong("fn", "the hook's function", &body));
    }
    let own: HookOptions = options("http.hook", &given)?;
    if own.secret.is_none() {
        return Err(NativeError::invalid(
            "secret",
            "secret: a hook needs one, or anybody could run it; write `secret = env.secret(\"NAME\")`",
        ));
    }
    let secret = secret_name(&raw(&given, "secret")?)?;
    Ok(HostRequest::Declare(Box::new(JobDeclaration {
        name: utf8("name", &name)?,
        when: JobTrigger::Hook(HookDeclaration {
            secret,
            scheme: own.scheme,
            header: own.header,
            id: own.id,
        }),
        tz: None,
        calendar: None,
        on_holiday: None,
        missed: None,
        grace_ms: None,
        overlap: own.overlap,
        timeout_ms: own.timeout.map(|time| time.0),
        jitter_ms: None,
        rerun: own.rerun,
        place: whereabouts(lua).unwrap_or_default(),
    })))
}

/// Returns the name of a secret that has no text around it.
fn secret_name(value: &Value) -> Result<String, NativeError> {
    let expected = "env.secret(\"NAME\")";
    match value {
        Value::UserData(secret) if secret.is::<SecretText>() => {
            match secret.borrow::<SecretText>()?.value().0.as_slice() {
                [HttpValuePart::Secret(name)] => Ok(name.clone()),
                _ => Err(NativeError::invalid(
                    "secret",
                    format!("secret: expected {expected} alone, with no text around it"),
                )),
            }
        }
        other => Err(wrong("secret", expected, other)),
    }
}
