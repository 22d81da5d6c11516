//! `http`: requests to granted hosts. The host sends them, and fills in secrets.

use mlua::{Lua, Table, Value};

use crate::protocol::{HostRequest, HttpRequest, HttpValue, HttpValuePart};

use super::super::context::ScriptContext;
use super::super::convert::{EmptyTable, to_json};
use super::super::fault::NativeError;
use super::arguments::{each, table, utf8, wrong};
use super::secret::SecretText;
use super::task::milliseconds;
use super::{ModuleKit, hook, json};

/// The default timeout of a request, in milliseconds.
const DEFAULT_TIMEOUT: u64 = 30_000;

/// The part in Lua: shorter forms, and the methods of a response.
const LUA_PART: &str = include_str!("http.lua");

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let get = kit.waiting(|lua, _, (url, options)| request(lua, "GET", Some(&url), None, &options))?;
    let post =
        kit.waiting(|lua, _, (url, body, options)| request(lua, "POST", Some(&url), Some(&body), &options))?;
    let any = kit.waiting(whole)?;
    let http: Table = kit.lua_part(LUA_PART, (get, post, any, json::decode_function(kit)?))?;
    http.raw_set("hook", hook::build(kit)?)?;
    Ok(http)
}

fn whole(lua: &Lua, _: &ScriptContext, (options,): (Value,)) -> Result<HostRequest, NativeError> {
    table("options", &options)?;
    request(lua, "GET", None, None, &options)
}

fn request(
    lua: &Lua,
    method: &str,
    url: Option<&Value>,
    body: Option<&Value>,
    options: &Value,
) -> Result<HostRequest, NativeError> {
    let mut method = method.to_owned();
    let mut timeout_ms = DEFAULT_TIMEOUT;
    let mut headers = Vec::new();
    let mut own_url = url.map(|url| utf8("url", url)).transpose()?;
    let mut own_body = body.map(body_value).transpose()?.flatten();
    let mut is_json = false;
    let known: &[&str] = match (url, body) {
        (None, _) => &["method", "url", "headers", "body", "json", "timeout"],
        (Some(_), None) => &["headers", "timeout"],
        (Some(_), Some(_)) => &["headers", "json", "timeout"],
    };
    each("options", options, known, |name, value| {
        match name {
            "method" => method = utf8("method", value)?.to_ascii_uppercase(),
            "url" => own_url = Some(utf8("url", value)?),
            "headers" => headers = header_list(value)?,
            "timeout" => timeout_ms = milliseconds("timeout", value)?,
            _ if own_body.is_some() => {
                return Err(NativeError::invalid(
                    "json",
                    "a request has one body: give either `body` or `json`",
                ));
            }
            "body" => own_body = body_value(value)?,
            _ => {
                own_body = Some(plain(to_json(lua, value, EmptyTable::Object)?));
                is_json = true;
            }
        }
        Ok(())
    })?;
    let Some(url) = own_url else {
        return Err(NativeError::invalid("url", "url: a request needs one"));
    };
    if is_json && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), plain(b"application/json".to_vec())));
    }
    Ok(HostRequest::Http(Box::new(HttpRequest { method, url, headers, body: own_body, timeout_ms })))
}

fn body_value(value: &Value) -> Result<Option<HttpValue>, NativeError> {
    match value {
        Value::Nil => Ok(None),
        Value::Table(_) => Err(NativeError::invalid(
            "body",
            "body: expected a string, got a table; `json = TABLE` sends it as JSON",
        )),
        other => value_of("body", other).map(Some),
    }
}

fn header_list(value: &Value) -> Result<Vec<(String, HttpValue)>, NativeError> {
    let mut headers = Vec::new();
    for pair in table("headers", value)?.pairs::<Value, Value>() {
        let (name, value) = pair?;
        let name = utf8("headers", &name)?;
        let value = value_of(&format!("headers.{name}"), &value)?;
        headers.push((name, value));
    }
    // The order of a table's fields differs from run to run, but the same table must give the same request.
    headers.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(headers)
}

fn value_of(field: &str, value: &Value) -> Result<HttpValue, NativeError> {
    match value {
        Value::String(text) => Ok(plain(text.as_bytes().to_vec())),
        Value::Integer(_) | Value::Number(_) => Ok(plain(value.to_string()?.into_bytes())),
        Value::UserData(secret) if secret.is::<SecretText>() => Ok(secret.borrow::<SecretText>()?.value()),
        other => Err(wrong(field, "a string or a secret", other)),
    }
}

fn plain(text: Vec<u8>) -> HttpValue {
    HttpValue(vec![HttpValuePart::Text(text.into())])
}
