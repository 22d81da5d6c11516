//! Decides which callbacks are accepted: those that are signed with a secret of the app, and that name the app.

use std::time::Duration;

use axum::http::StatusCode;
use secrecy::SecretString;

use crate::records::{CallbackEvent, RecordError, SignatureCheck, SignedFields};
use crate::web::answer::ApiError;

use super::CallbackResult;

/// Why a callback is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallbackRefusal {
    /// The app has no secret.
    NoSecret,
    /// The body has no signature that could be checked.
    Unsigned,
    /// The signature is not that of any secret.
    Forged,
    /// The event is one of another app.
    OtherApp,
    /// The signature is right, but the event cannot be read. It is accepted and dropped, because the service
    /// would only send it again.
    Unreadable(RecordError),
}

/// Returns the event of a callback, and whether its time is more than a day away. Such an event is accepted, since its
/// record settles a send in doubt whenever it comes, but it starts no job. Without an `app_key`, the event may name any app:
/// an address by an App ID does not say the key, and the secret identifies the app.
pub(super) fn verify(
    body: &[u8],
    secrets: &[SecretString],
    app_key: Option<&str>,
    now: Duration,
) -> Result<(CallbackEvent, bool), CallbackRefusal> {
    if secrets.is_empty() {
        return Err(CallbackRefusal::NoSecret);
    }
    let signed = SignedFields::parse(body).map_err(|_| CallbackRefusal::Unsigned)?;
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let is_stale = match signed.check(secrets, now_ms) {
        SignatureCheck::Forged => return Err(CallbackRefusal::Forged),
        SignatureCheck::Valid => false,
        SignatureCheck::Stale => true,
    };
    let event = CallbackEvent::parse(body).map_err(CallbackRefusal::Unreadable)?;
    // The console shows an app's key in lower case, however the address writes it.
    if app_key.is_some_and(|key| !key.eq_ignore_ascii_case(&event.app_key)) {
        return Err(CallbackRefusal::OtherApp);
    }
    Ok((event, is_stale))
}

impl CallbackRefusal {
    /// The result that is counted, and the answer.
    pub(super) fn answer(&self) -> (CallbackResult, ApiError) {
        let (result, status, message) = match self {
            Self::NoSecret => (
                CallbackResult::NoSecret,
                StatusCode::FORBIDDEN,
                "this daemon has no callback secret for the app, so it accepts no callbacks",
            ),
            Self::Unsigned | Self::Unreadable(_) => (
                CallbackResult::Unsigned,
                StatusCode::BAD_REQUEST,
                "the body is not a callback: it must be a JSON object with `callId`, `timestamp` and `security`",
            ),
            Self::Forged => (
                CallbackResult::Forged,
                StatusCode::UNAUTHORIZED,
                "the signature in `security` was not made with the app's callback secret; check that both sides have the same secret",
            ),
            Self::OtherApp => (
                CallbackResult::OtherApp,
                StatusCode::FORBIDDEN,
                "the `appkey` of the event is that of another app",
            ),
        };
        (result, ApiError::new(status, message))
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use md5::{Digest, Md5};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Duration = Duration::from_hours(490_896);

    fn signed(id: &str, time: i64, secret: &str) -> Value {
        let security = HEXLOWER.encode(&Md5::digest(format!("{id}{secret}{time}")));
        json!({ "callId": id, "timestamp": time, "security": security, "appkey": "Org#App", "chat_type": "x" })
    }

    fn verified(event: &Value, secret: &str) -> Result<(CallbackEvent, bool), CallbackRefusal> {
        let secrets = ["another".to_owned().into(), secret.to_owned().into()];
        verify(event.to_string().as_bytes(), &secrets, Some("org#app"), NOW)
    }

    proptest! {
        #[test]
        fn a_callback_that_is_changed_anywhere_in_its_signed_part_is_refused(
            id in "[a-zA-Z0-9_-]{1,40}", time in 0..4_000_000_000_000_i64, secret in "[!-~]{1,40}",
            field in 0..4_usize, other in "[a-zA-Z0-9_-]{1,40}", more in 1..1_000_000_i64, index in 0..32_usize,
        ) {
            let event = signed(&id, time, &secret);
            prop_assert!(verified(&event, &secret).is_ok());
            let mut changed = event.clone();
            match field {
                0 => changed["callId"] = format!("{id}{other}").into(),
                1 => changed["timestamp"] = (time + more).into(),
                2 => {
                    let mut security = event["security"].as_str().unwrap().to_owned().into_bytes();
                    security[index] = if security[index] == b'0' { b'1' } else { b'0' };
                    changed["security"] = String::from_utf8(security).unwrap().into();
                }
                _ => changed = signed(&id, time, &format!("{secret}{other}")),
            }
            prop_assert_eq!(verified(&changed, &secret).unwrap_err(), CallbackRefusal::Forged);
            changed = event;
            changed["appkey"] = format!("org#{other}").into();
            let is_own = other.eq_ignore_ascii_case("app");
            prop_assert_eq!(verified(&changed, &secret).is_ok(), is_own);
        }
    }
}
