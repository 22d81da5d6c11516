//! Fetches a token with `POST /token`, or makes one.

use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::agora::{self, agora_token};
use super::{BearerToken, ClientCredentials, LoginMethod};
use crate::client::call::{CallSpec, CallSuccess, lost, refusal};
use crate::client::class::{FailureClass, Idempotency};
use crate::client::failure::CallError;
use crate::client::transport::{Deadline, HttpTransport};
use crate::config::AgoraLogin;

pub(super) const CALL: CallSpec = CallSpec::post("/token", Idempotency::Repeatable);

/// The longest `expires_in` in seconds, 60 days. A larger number is in milliseconds, as some clusters have it.
const LONGEST_LIFE: f64 = 60.0 * 24.0 * 3600.0;
/// The least `expire_timestamp` in milliseconds, in 1973. A smaller number is in seconds.
const LEAST_MILLISECOND_TIME: f64 = 1e11;

/// A token as the service returned it.
pub(super) struct FetchedToken {
    pub(super) token: SecretString,
    /// How long the token is valid; `None` if the service did not say.
    pub(super) life: Option<Duration>,
}

#[derive(Serialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
enum TokenRequest<'a> {
    ClientCredentials { client_id: &'a str, client_secret: &'a str },
    Agora,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: SecretString,
    expires_in: Option<f64>,
    expire_timestamp: Option<f64>,
}

/// Gets a token, once: asks the service for it, or makes it where the service takes a made one.
///
/// # Errors
///
/// In the form for calls that wait for the token: see [`super::TokenProvider::acquire_token`].
pub(super) async fn fetch(
    credentials: &ClientCredentials,
    transport: &HttpTransport,
    deadline: Option<Deadline>,
) -> Result<FetchedToken, CallError> {
    match credentials.method {
        LoginMethod::ClientSecret => {
            let ask = TokenRequest::ClientCredentials {
                client_id: &credentials.id,
                client_secret: credentials.secret.expose_secret(),
            };
            request(credentials, &ask, None, transport, deadline).await
        }
        LoginMethod::Agora(login) => {
            let now = transport.clock().unix_time().as_secs();
            let issued_at = u32::try_from(now).map_err(|_| {
                CALL.refuse("this machine's clock shows a time after 2106, for which no token can be made; set the clock")
            })?;
            let salt = rand::rng().random_range(agora::SALTS);
            let token =
                agora_token(&credentials.id, &credentials.secret, issued_at, agora::LIFETIME_SECONDS, salt)
                    .ok_or_else(|| CALL.refuse("the token cannot be made"))?;
            match login {
                AgoraLogin::Direct => {
                    let life = Some(Duration::from_secs(agora::LIFETIME_SECONDS.into()));
                    Ok(FetchedToken { token, life })
                }
                AgoraLogin::Exchange => {
                    let bearer = BearerToken::new(&token, 0).ok_or_else(unusable)?;
                    request(credentials, &TokenRequest::Agora, Some(&bearer), transport, deadline).await
                }
            }
        }
    }
}

/// Calls `POST /token`.
async fn request(
    credentials: &ClientCredentials,
    ask: &TokenRequest<'_>,
    bearer: Option<&BearerToken>,
    transport: &HttpTransport,
    deadline: Option<Deadline>,
) -> Result<FetchedToken, CallError> {
    let secret = credentials.secret.expose_secret();
    // The capacity suffices from the start, so that growing leaves no copy of the secret in freed memory.
    let mut body = Zeroizing::new(Vec::with_capacity(2 * (secret.len() + credentials.id.len()) + 256));
    serde_json::to_writer(&mut *body, ask)
        .map_err(|_| CALL.refuse("the credentials cannot be written as JSON"))?;
    let mut request = Request::new(Method::POST, credentials.url.clone());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(bearer) = bearer {
        request.headers_mut().insert(AUTHORIZATION, bearer.header());
    }
    *request.body_mut() = Some(Bytes::from_owner(body).into());
    let secrets = [secret, bearer.map_or("", BearerToken::as_str)];
    let answer = match transport.exchange(request, None, deadline).await {
        Ok(answer) => answer,
        Err(broken) => return Err(for_waiters(lost(CALL, &broken, broken.connected, &secrets))),
    };
    if !(200..300).contains(&answer.status) {
        return Err(for_waiters(refusal(CALL, &answer, &secrets)));
    }
    let success = CallSuccess::new(CALL, answer);
    let given: TokenResponse = success.read().map_err(for_waiters)?;
    let life = life(given.expires_in, given.expire_timestamp, transport.clock().unix_time());
    Ok(FetchedToken { token: given.access_token, life })
}

/// How long a token is valid by the service's answer: until `expire_timestamp`, or for `expires_in`. Either may be in
/// milliseconds. A time that has passed is not believed, since this machine's clock may be wrong.
///
/// Zero can mean that the token does not expire. If the token has expired, the service answers 401.
fn life(expires_in: Option<f64>, expire_timestamp: Option<f64>, now: Duration) -> Option<Duration> {
    let until_end = expire_timestamp.map(|end| {
        let end = if end >= LEAST_MILLISECOND_TIME { end / 1000.0 } else { end };
        end - now.as_secs_f64()
    });
    let for_seconds = expires_in.map(|life| if life > LONGEST_LIFE { life / 1000.0 } else { life });
    let seconds = until_end.filter(|left| *left > 0.0).or(for_seconds).filter(|seconds| *seconds > 0.0)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_end_wins_and_milliseconds_are_recognised() {
        let now = Duration::from_secs(1_700_000_000);
        let of = |expires_in, end| life(expires_in, end, now).map(|life| life.as_secs());
        assert_eq!(of(Some(3600.0), None), Some(3600));
        assert_eq!(of(Some(5_184_000.0), None), Some(5_184_000));
        assert_eq!(of(Some(5_184_001.0), None), Some(5184));
        assert_eq!(of(Some(86_400_000.0), None), Some(86_400));
        assert_eq!(of(Some(60.0), Some(1_700_000_600_000.0)), Some(600));
        assert_eq!(of(Some(86_400_000.0), Some(1_700_000_600.0)), Some(600));
        assert_eq!(of(None, Some(1_700_000_600_000.0)), Some(600));
        // The end has passed already: this clock or the service's is wrong.
        assert_eq!(of(Some(60.0), Some(1_699_000_000_000.0)), Some(60));
        assert_eq!(of(None, Some(1_699_000_000_000.0)), None);
        for never in [(None, None), (Some(0.0), None), (Some(-1.0), Some(0.0)), (Some(0.0), Some(0.0))] {
            assert_eq!(of(never.0, never.1), None, "{never:?}");
        }
        assert_eq!(life(Some(f64::MAX), None, now), Some(Duration::MAX));
    }
}
