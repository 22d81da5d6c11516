//! `http.hook`: jobs that an HTTP request runs. Only the host knows their secrets.

use mlua::{Function, Lua, Value};

use crate::protocol::{
    HOOK_OPTIONS, HookDeclaration, HostRequest, HttpValuePart, JobDeclaration, JobTrigger,
};

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::super::report::whereabouts;
use super::arguments::{boolean, each, utf8, wrong};
use super::secret::SecretText;
use super::task::milliseconds;
use super::{ModuleKit, json};

/// The part in Lua, which passes the request to a hook's function before the arguments that other jobs get.
const LUA_PART: &str = include_str!("hook.lua");

/// Builds `http.hook`.
pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Function> {
    kit.lua_part(LUA_PART, (kit.jobs(), kit.waiting(declare)?, json::decode_function(kit)?))
}

fn declare(
    lua: &Lua,
    _: &ScriptContext,
    (name, options, body): (Value, Value, Value),
) -> Result<HostRequest, NativeError> {
    if !body.is_function() {
        return Err(wrong("fn", "the hook's function", &body));
    }
    let mut secret = None;
    let (mut scheme, mut header, mut id) = (None, None, None);
    let (mut timeout_ms, mut overlap, mut rerun) = (None, None, false);
    each("options", &options, &HOOK_OPTIONS, |option, value| {
        match option {
            "secret" => secret = Some(secret_name(value)?),
            "scheme" => scheme = Some(utf8(option, value)?),
            "header" => header = Some(utf8(option, value)?),
            "id" => id = Some(utf8(option, value)?),
            "timeout" => timeout_ms = Some(milliseconds(option, value)?),
            "overlap" => overlap = Some(utf8(option, value)?),
            _ => rerun = boolean(option, value)?,
        }
        Ok(())
    })?;
    let Some(secret) = secret else {
        return Err(NativeError::invalid(
            "secret",
            "secret: a hook needs one, or anybody could run it; write `secret = env.secret(\"NAME\")`",
        ));
    };
    Ok(HostRequest::Declare(Box::new(JobDeclaration {
        name: utf8("name", &name)?,
        when: JobTrigger::Hook(HookDeclaration { secret, scheme, header, id }),
        tz: None,
        missed: None,
        grace_ms: None,
        overlap,
        timeout_ms,
        jitter_ms: None,
        rerun,
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
