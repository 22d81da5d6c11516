//! `im.request`: other calls of the service's REST API.

use mlua::{Lua, Value};
use serde::Deserialize;

use crate::core::RestQuota;
use crate::protocol::{HostRequest, RestRequest};

use super::super::convert::{JsonRole, to_json};
use super::super::fault::NativeError;
use super::arguments::{table, utf8, wrong};
use super::options::{Given, WholeNumber, fields, raw};
use super::task::Milliseconds;

/// The fields of a request.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RequestFields {
    method: Option<String>,
    path: Option<String>,
    query: Option<Given>,
    body: Option<Given>,
    quota: Option<QuotaField>,
    idempotent: bool,
    timeout: Option<Milliseconds>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "expected \"read\" or { per_second = NUMBER }")]
enum QuotaField {
    Named(QuotaName),
    Own { per_second: WholeNumber },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum QuotaName {
    Read,
}

/// Reads the call that a script wants to make.
pub(super) fn request(lua: &Lua, app: u32, given: Value) -> Result<HostRequest, NativeError> {
    table("request", &given)?;
    let own: RequestFields = fields("im.request", "", &given)?;
    let missing =
        |field: &str| NativeError::invalid(field, format!("im.request: {field}: a request needs one"));
    let method = own.method.ok_or_else(|| missing("method"))?;
    let path = own.path.ok_or_else(|| missing("path"))?;
    let query = own.query.map(|_| query_pairs(&raw(&given, "query")?)).transpose()?.unwrap_or_default();
    let body = own.body.map(|_| body_json(lua, &raw(&given, "body")?)).transpose()?;
    let quota = match own.quota {
        None | Some(QuotaField::Named(QuotaName::Read)) => RestQuota::Read,
        Some(QuotaField::Own { per_second }) => {
            RestQuota::PerSecond(u32::try_from(per_second.0).map_err(|_| {
                let why = format!("im.request: quota: per_second is {}, and must be 1 or more", per_second.0);
                NativeError::invalid("quota", why)
            })?)
        }
    };
    let (idempotent, timeout) = (own.idempotent, own.timeout.map(Into::into));
    Ok(HostRequest::Rest(Box::new(RestRequest {
        app,
        method,
        path,
        query,
        body,
        quota,
        idempotent,
        timeout,
    })))
}

fn query_pairs(query: &Value) -> Result<Vec<(String, String)>, NativeError> {
    let mut pairs = Vec::new();
    for pair in table("query", query)?.pairs::<Value, Value>() {
        let (name, value) = pair?;
        let name = utf8("query", &name)?;
        let field = format!("query.{name}");
        let value = match &value {
            Value::String(_) => utf8(&field, &value)?,
            Value::Number(number) if !number.is_finite() => {
                return Err(wrong(&field, "a number that is not NaN or infinite", &value));
            }
            Value::Integer(_) | Value::Number(_) | Value::Boolean(_) => value.to_string()?,
            other => return Err(wrong(&field, "a string, a number, true or false", other)),
        };
        pairs.push((name, value));
    }
    // The order of a table's fields differs from run to run, but the same table must give the same request.
    pairs.sort();
    Ok(pairs)
}

fn body_json(lua: &Lua, body: &Value) -> Result<bytes::Bytes, NativeError> {
    match body {
        Value::Table(_) => Ok(to_json(lua, body, JsonRole::Data)?.into()),
        other => Err(wrong("body", "a table, which is sent as JSON", other)),
    }
}
