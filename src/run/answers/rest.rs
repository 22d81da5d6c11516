//! Answers the requests for calls of the service's REST API.

use serde_json::{Value, json};

use crate::client::{RestAnswer, RestCall};
use crate::core::{RestMethod, RestPath, RestQuota};
use crate::delivery::RestOptions;
use crate::protocol::{HostResponse, RequestFailure, RestRequest};
use crate::run::rest::GrantedRest;
use crate::run::services::RunServices;

/// The most bytes of a body.
const BODY_BYTES: usize = 1024 * 1024;

/// The most bytes of the names and values of a query.
const QUERY_BYTES: usize = 8 * 1024;

/// The highest rate of a quota of its own, in calls a second.
const MOST_PER_SECOND: u32 = 10_000;

/// Names of a query that other servers read as a login or as the method. No call of the service needs them.
const REFUSED_NAMES: [&str; 6] =
    ["access_token", "authorization", "client_id", "client_secret", "_method", "x-http-method-override"];

/// Makes a call, if the permissions grant it.
pub(super) async fn call(
    services: &RunServices,
    request: RestRequest,
) -> Result<HostResponse, RequestFailure> {
    let granted = granted(services, request)?;
    if !granted.call.method.only_reads() {
        services.policy.request(services.app(granted.app)?.key(), &granted.call)?;
    }
    let answer = services.rest.call(services, granted).await?;
    super::json(&match answer {
        Some(RestAnswer { status, body: Value::Null }) => json!({ "status": status }),
        Some(RestAnswer { status, body }) => json!({ "status": status, "body": body }),
        // A script that is rehearsed goes on as if it had been made.
        None => json!({ "status": 200, "body": {}, "rehearsed": true }),
    })
}

/// Checks a call as far as possible without making it.
pub(super) fn check(services: &RunServices, request: &RestRequest) -> Result<(), RequestFailure> {
    granted(services, request.clone()).map(drop)
}

fn granted(services: &RunServices, request: RestRequest) -> Result<GrantedRest, RequestFailure> {
    let RestRequest { app, method, path, query, body, quota, idempotent, timeout } = request;
    services.app(app)?;
    let invalid =
        |field: &'static str, why: String| RequestFailure::invalid(field, format!("{field}: {why}"));
    let method: RestMethod = method.parse().map_err(|why| invalid("method", why))?;
    let path: RestPath = path.parse().map_err(|why| invalid("path", why))?;
    if let Some((name, _)) =
        query.iter().find(|(name, _)| name.is_empty() || REFUSED_NAMES.contains(&&*name.to_ascii_lowercase()))
    {
        let why = format!("\"{}\" is not a name that a query may have", name.escape_debug());
        return Err(invalid("query", why));
    }
    let length: usize = query.iter().map(|(name, value)| name.len() + value.len()).sum();
    if length > QUERY_BYTES {
        return Err(invalid("query", format!("it has {length} bytes, and at most {QUERY_BYTES} are sent")));
    }
    if let Some(body) = &body {
        if method.only_reads() {
            return Err(invalid("body", "a GET has none; write it as `query`".to_owned()));
        }
        if body.len() > BODY_BYTES {
            let why = format!("{} bytes as JSON, and at most {BODY_BYTES} are sent", body.len());
            return Err(invalid("body", why));
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(body)
            .map_err(|error| invalid("body", format!("not JSON: {error}")))?;
    }
    if let RestQuota::PerSecond(rate) = quota
        && !(1..=MOST_PER_SECOND).contains(&rate)
    {
        return Err(invalid("quota", format!("per_second is {rate}, and must be 1 to {MOST_PER_SECOND}")));
    }
    let grant = services.grants.find(method, &path)?.to_string();
    let options = RestOptions { quota, grant, timeout, origin: services.origin.clone(), job_run: None };
    let call = RestCall { method, path, query, body, idempotent };
    Ok(GrantedRest { app, call, options })
}
