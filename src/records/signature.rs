//! The signature of a callback: `security` is the hex MD5 of `callId`, the rule's secret and `timestamp`, in this order.
//!
//! The signature does not cover the rest of the body. A caller that has seen one callback can send it again with other
//! contents, so each `callId` must be accepted once only.

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::digest::{CtOutput, Output};
use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::RecordError;
use super::fields::MAX_TIME_MS;

/// The age from which a callback starts no job: one day in milliseconds.
const STALE_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// The fields of a callback that the signature covers, and the signature.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SignedFields {
    /// The callback's id, unique in the app. The service sends it again with the same id.
    #[serde(rename = "callId")]
    pub call_id: String,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[serde(rename = "timestamp")]
    time: SignedTime,
    security: String,
}

/// What a signature proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureCheck {
    /// The sender knows a secret.
    Valid,
    /// The sender knows a secret, and the time is more than a day away. The callback may settle a send but starts no
    /// job.
    Stale,
    /// The signature is not that of any secret. The callback proves nothing.
    Forged,
}

impl SignedFields {
    /// Reads the signed fields of a callback and ignores all others.
    ///
    /// # Errors
    ///
    /// The body is not a JSON object; one of the fields is missing, is there twice, or is of another type.
    pub fn parse(body: &[u8]) -> Result<Self, RecordError> {
        let signed: Self = serde_json::from_slice(body)?;
        if signed.call_id.is_empty() {
            return Err(RecordError::Field("callId"));
        }
        Ok(signed)
    }

    /// Returns the time of the callback in milliseconds since 1970-01-01T00:00:00Z.
    pub fn at_ms(&self) -> i64 {
        self.time.ms
    }

    /// Compares the signature with that of each secret: while a secret is changed, both are valid. An empty secret
    /// signs nothing. The time that this takes depends on the number of secrets only, not on where texts differ.
    pub fn check(&self, secrets: &[SecretString], now_ms: i64) -> SignatureCheck {
        let shown = HEXLOWER_PERMISSIVE.decode(self.security.as_bytes()).unwrap_or_default();
        let shown = <[u8; 16]>::try_from(shown).map(|shown| CtOutput::<Md5>::new(Output::<Md5>::from(shown)));
        let mut fits = false;
        for secret in secrets.iter().map(|secret| secret.expose_secret().as_bytes()) {
            let hash =
                Md5::new().chain_update(&self.call_id).chain_update(secret).chain_update(&self.time.text);
            let expected = CtOutput::<Md5>::new(hash.finalize());
            fits |= !secret.is_empty() & shown.as_ref().is_ok_and(|shown| *shown == expected);
        }
        match (fits, self.time.ms.abs_diff(now_ms) > STALE_AFTER_MS) {
            (false, _) => SignatureCheck::Forged,
            (true, false) => SignatureCheck::Valid,
            (true, true) => SignatureCheck::Stale,
        }
    }
}

/// A time with the digits that were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SignedTime {
    ms: i64,
    text: String,
}

impl<'de> Deserialize<'de> for SignedTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(i64),
            Text(String),
        }
        let text = match Given::deserialize(deserializer)? {
            Given::Number(number) => number.to_string(),
            Given::Text(text) => text,
        };
        let ms = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match ms.filter(|ms| *ms <= MAX_TIME_MS) {
            Some(ms) => Ok(Self { ms, text }),
            None => Err(serde::de::Error::custom("not a time in milliseconds")),
        }
    }
}
