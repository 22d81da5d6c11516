//! `http`: requests to granted hosts. The host sends them, and fills in secrets.

use mlua::{Lua, Table, Value};
use serde::Deserialize;

use crate::protocol::{HostRequest, HttpRequest, HttpValue, HttpValuePart};

use super::super::context::ScriptContext;
use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::arguments::{table, utf8, wrong};
use super::options::{Given, options, raw};
use super::secret::SecretText;
use super::task::Milliseconds;
use super::{ModuleKit, hook, json};

/// The default timeout of a request, in milliseconds.
const DEFAULT_TIMEOUT: u64 = 30_000;

/// The names and values of headers or of a query.
type HeaderList = Vec<(String, HttpValue)>;

/// The part in Lua: shorter forms, and the methods of a response.
const LUA_PART: &str = include_str!("http.lua");

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let parts = (kit.waiting(get)?, kit.waiting(post)?, kit.waiting(request)?, json::decode_function(kit)?);
    let http: Table = kit.lua_part(LUA_PART, parts)?;
    http.raw_set("hook", hook::build(kit)?)?;
    Ok(http)
}

/// The options of `http.get`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GetOptions {
    query: Option<Given>,
    headers: Option<Given>,
    timeout: Option<Milliseconds>,
}

/// The options of `http.post`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PostOptions {
    query: Option<Given>,
    headers: Option<Given>,
    json: Option<Given>,
    timeout: Option<Milliseconds>,
}

/// The options of `http.request`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RequestOptions {
    method: Option<String>,
    url: Option<String>,
    query: Option<Given>,
    headers: Option<Given>,
    body: Option<Given>,
    json: Option<Given>,
    timeout: Option<Milliseconds>,
}

fn get(_: &Lua, _: &ScriptContext, (url, given): (Value, Value)) -> Result<HostRequest, NativeError> {
    let url = utf8("url", &url)?;
    let own: GetOptions = options("http.get", &given)?;
    let (query, headers) =
        (value_list("query", own.query, &given)?, value_list("headers", own.headers, &given)?);
    Ok(http_request("GET".to_owned(), url, query, headers, None, own.timeout))
}

fn post(
    lua: &Lua,
    _: &ScriptContext,
    (url, body, given): (Value, Value, Value),
) -> Result<HostRequest, NativeError> {
    let (url, body) = (utf8("url", &url)?, body_value(&body)?);
    let own: PostOptions = options("http.post", &given)?;
    let query = value_list("query", own.query, &given)?;
    let mut headers = value_list("headers", own.headers, &given)?;
    let body = with_json(lua, body, own.json, &given, &mut headers)?;
    Ok(http_request("POST".to_owned(), url, query, headers, body, own.timeout))
}

fn request(lua: &Lua, _: &ScriptContext, (given,): (Value,)) -> Result<HostRequest, NativeError> {
    table("options", &given)?;
    let own: RequestOptions = options("http.request", &given)?;
    let query = value_list("query", own.query, &given)?;
    let mut headers = value_list("headers", own.headers, &given)?;
    let body = own.body.map(|_| body_value(&raw(&given, "body")?)).transpose()?.flatten();
    let body = with_json(lua, body, own.json, &given, &mut headers)?;
    let Some(url) = own.url else {
        return Err(NativeError::invalid("url", "url: a request needs one"));
    };
    let method = own.method.map_or_else(|| "GET".to_owned(), |method| method.to_ascii_uppercase());
    Ok(http_request(method, url, query, headers, body, own.timeout))
}

fn http_request(
    method: String,
    url: String,
    query: HeaderList,
    headers: HeaderList,
    body: Option<HttpValue>,
    timeout: Option<Milliseconds>,
) -> HostRequest {
    let timeout_ms = timeout.map_or(DEFAULT_TIMEOUT, |time| time.0);
    HostRequest::Http(Box::new(HttpRequest { method, url, query, headers, body, timeout_ms }))
}

/// Returns the body, or the value of the option `json` as the body.
fn with_json(
    lua: &Lua,
    body: Option<HttpValue>,
    json: Option<Given>,
    given: &Value,
    headers: &mut HeaderList,
) -> Result<Option<HttpValue>, NativeError> {
    if json.is_none() {
        return Ok(body);
    }
    if body.is_some() {
        let problem = "a request has one body: give either `body` or `json`";
        return Err(NativeError::invalid("json", problem));
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), plain(b"application/json".to_vec())));
    }
    Ok(Some(plain(to_json(lua, &raw(given, "json")?, JsonRole::Data)?)))
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

/// The names and values of the option `field`.
fn value_list(field: &str, present: Option<Given>, given: &Value) -> Result<HeaderList, NativeError> {
    let mut list = Vec::new();
    if present.is_none() {
        return Ok(list);
    }
    for pair in table(field, &raw(given, field)?)?.pairs::<Value, Value>() {
        let (name, value) = pair?;
        let name = utf8(field, &name)?;
        let value = value_of(&format!("{field}.{name}"), &value)?;
        list.push((name, value));
    }
    // The order of a table's fields differs from run to run, but the same table must give the same request.
    list.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(list)
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
