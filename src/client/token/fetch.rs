//! Fetches a token with `POST /token`.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ClientCredentials;
use crate::client::call::{CallSpec, CallSuccess, lost, refusal};
use crate::client::class::{FailureClass, Idempotency};
use crate::client::failure::CallError;
use crate::client::transport::{Deadline, HttpTransport};

pub(super) const CALL: CallSpec = CallSpec::post("/token", Idempotency::Repeatable);

/// A token as the service returned it.
pub(super) struct FetchedToken {
    pub(super) token: SecretString,
    /// How long the token is valid; `None` if the service did not say.
    pub(super) life: Option<Duration>,
}

#[derive(Serialize)]
struct TokenRequest<'a> {
    grant_type: &'static str,
    client_id: &'a str,
    client_secret: &'a str,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretString,
    expires_in: Option<f64>,
}

/// Requests a token, once.
///
/// # Errors
///
/// In the form for calls that wait for the token: see [`super::TokenProvider::lease`].
pub(super) async fn fetch(
    credentials: &ClientCredentials,
    transport: &HttpTransport,
    deadline: Option<Deadline>,
) -> Result<FetchedToken, CallError> {
    let secret = credentials.secret.expose_secret();
    let ask =
        TokenRequest { grant_type: "client_credentials", client_id: &credentials.id, client_secret: secret };
    // The capacity suffices from the start, so that growing leaves no copy of the secret in freed memory.
    let mut body = Zeroizing::new(Vec::with_capacity(2 * (secret.len() + credentials.id.len()) + 256));
    serde_json::to_writer(&mut *body, &ask)
        .map_err(|_| CALL.refuse("the credentials cannot be written as JSON"))?;
    let mut request = Request::new(Method::POST, credentials.url.clone());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(Bytes::from_owner(body).into());
    let answer = match transport.exchange(request, None, deadline).await {
        Ok(answer) => answer,
        Err(broken) => return Err(for_waiters(lost(CALL, &broken, broken.connected, &[secret]))),
    };
    if !(200..300).contains(&answer.status) {
        return Err(for_waiters(refusal(CALL, &answer, &[secret])));
    }
    let success = CallSuccess::new(CALL, answer);
    let given: TokenResponse = success.read().map_err(for_waiters)?;
    // Zero can mean that the token does not expire. If the token has expired, the service answers 401.
    let life = given.expires_in.filter(|seconds| *seconds > 0.0);
    let life = life.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    Ok(FetchedToken { token: given.access_token, life })
}

/// The error for a token that a header cannot hold.
pub(super) fn unusable() -> CallError {
    CALL.refuse("the service gave a token with characters that cannot be sent")
}

/// Reclassifies the failure of a token's call for the calls that wait for it: they have sent nothing yet.
fn for_waiters(mut failure: CallError) -> CallError {
    failure.class = match (failure.class, failure.status) {
        (FailureClass::Permanent, Some(400)) | (FailureClass::Auth, _) => FailureClass::Auth,
        (FailureClass::Permanent, _) => FailureClass::Permanent,
        _ => FailureClass::NothingSent,
    };
    failure
}
