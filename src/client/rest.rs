//! Makes a call of the service's REST API that a script names itself.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;

use super::call::{self, CallSpec, CallSuccess, PreparedCall};
use super::class::{FailureClass, Idempotency};
use super::failure::{CallError, CallName};
use super::scrub::hide;
use super::send::{Authorisation, TimeLimit, watched};
use super::{Client, ClientInner};
use crate::core::{RestMethod, RestPath};

/// The most bytes of an answer.
pub const REST_ANSWER_BYTES: usize = 1024 * 1024;

/// The path of such calls in errors: the caller knows it, and names it.
const PATH: &str = "(im.request)";

/// A call that a script names itself, after its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestCall {
    pub method: RestMethod,
    pub path: RestPath,
    /// Names and values, without percent-encoding.
    pub query: Vec<(String, String)>,
    /// The body as JSON.
    pub body: Option<Bytes>,
    /// Whether the call, made twice, has the effect of one.
    pub idempotent: bool,
}

impl RestCall {
    /// Whether the call may be repeated when its outcome is unknown.
    pub const fn is_repeatable(&self) -> bool {
        self.method.only_reads() || self.idempotent
    }

    /// Writes the call's path into the text of a [`CallError`].
    pub fn named(&self, error: &str) -> String {
        error.replacen(PATH, &self.path.to_string(), 1)
    }

    fn spec(&self) -> CallSpec {
        let idempotency = if self.is_repeatable() { Idempotency::Repeatable } else { Idempotency::Send };
        CallSpec { name: CallName { method: self.method.name(), path: PATH }, idempotency }
    }
}

/// The answer to a successful call.
#[derive(Debug, Clone, PartialEq)]
pub struct RestAnswer {
    pub status: u16,
    /// The body. Null for an empty one. It does not hold the app's token, even if the service repeats it.
    pub body: Value,
}

impl Client {
    /// The token for such a call, for which this waits. Nothing of the call is sent.
    pub async fn rest_authorisation(
        &self,
        call: &RestCall,
        limit: Option<TimeLimit>,
    ) -> Result<Authorisation, CallError> {
        let ClientInner { transport, tokens, .. } = &*self.0;
        let deadline = call::deadline(transport, limit);
        call::acquire_token(transport, tokens, call.spec(), deadline).await.map(Authorisation)
    }

    /// Makes a call once with the given token, as [`Client::send_with`] does. The call is in doubt as soon as `on_write`
    /// was called and until an answer has come.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`].
    pub async fn rest_with<F>(
        &self,
        authorisation: &Authorisation,
        limit: Option<TimeLimit>,
        call: &RestCall,
        on_write: F,
    ) -> Result<RestAnswer, CallError>
    where
        F: FnOnce() + Send + 'static,
    {
        let ClientInner { transport, tokens, .. } = &*self.0;
        let deadline = call::deadline(transport, limit);
        let prepared = self.prepare_rest(call, Some(on_write));
        let made = call::made(transport, tokens, call.spec(), &authorisation.0, deadline, prepared).await;
        let secrets = call::secrets(tokens, &authorisation.0);
        let made = made?;
        answer(&made, &secrets).map_err(|failure| match failure.class {
            // The same call would have the same answer.
            FailureClass::Repeat if made.length() > REST_ANSWER_BYTES => {
                let class =
                    if call.method.only_reads() { FailureClass::Permanent } else { FailureClass::InDoubt };
                CallError { class, ..failure }
            }
            _ => failure,
        })
    }

    /// Replaces the token that the service refused with 401, unless the refusal is the path's own. Returns whether the
    /// call may be made once more with another token.
    pub fn renew_for_rest(&self, authorisation: &Authorisation) -> bool {
        let ClientInner { transport, tokens, .. } = &*self.0;
        tokens.renewable() && tokens.refused_for_rest(&authorisation.0, transport.clock())
    }

    fn prepare_rest<F>(&self, call: &RestCall, on_write: Option<F>) -> PreparedCall
    where
        F: FnOnce() + Send + 'static,
    {
        let method = match call.method {
            RestMethod::Get => Method::GET,
            RestMethod::Post => Method::POST,
            RestMethod::Put => Method::PUT,
            RestMethod::Delete => Method::DELETE,
        };
        let segments: Vec<&str> = call.path.segments().collect();
        let mut url: Url = self.url(&segments);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        if let Some(body) = &call.body {
            return watched(method, url, body.clone(), on_write);
        }
        // A request without a body does not tell when it is written, so it counts as written from here on.
        if let Some(on_write) = on_write {
            on_write();
        }
        let mut request = Request::new(method, url);
        if !call.method.only_reads() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.into()
    }
}

/// Reads an answer, and hides the app's secrets in it.
fn answer(success: &CallSuccess, secrets: &[&str]) -> Result<RestAnswer, CallError> {
    let length = success.length();
    if length > REST_ANSWER_BYTES {
        let why = format!("the answer has {length} bytes, and at most {REST_ANSWER_BYTES} are read");
        return Err(success.unreadable(&why));
    }
    let mut body = if length == 0 { Value::Null } else { success.read()? };
    hide_in(&mut body, secrets);
    Ok(RestAnswer { status: success.status(), body })
}

fn hide_in(value: &mut Value, secrets: &[&str]) {
    match value {
        Value::String(text) => hide(text, secrets),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_in(item, secrets)),
        Value::Object(fields) => {
            let entries = std::mem::take(fields);
            fields.extend(entries.into_iter().map(|(mut name, mut value)| {
                hide(&mut name, secrets);
                hide_in(&mut value, secrets);
                (name, value)
            }));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_that_the_service_repeats_is_hidden_everywhere() {
        let mut value = json!({ "a": ["Bearer tok-1", 1], "tok-1": { "b": "xtok-1y" }, "c": null });
        hide_in(&mut value, &["tok-1", ""]);
        assert_eq!(
            value,
            json!({ "a": ["Bearer [hidden]", 1], "[hidden]": { "b": "x[hidden]y" }, "c": null })
        );
    }
}
