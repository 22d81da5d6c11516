//! A token as a request carries it.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// The `Authorization` header of a token, and the token's generation.
#[derive(Clone)]
pub(in crate::client) struct BearerToken {
    header: HeaderValue,
    /// Distinguishes a token from the one before it.
    pub(super) generation: u64,
}

impl BearerToken {
    pub(super) fn new(token: &SecretString, generation: u64) -> Option<Self> {
        let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let mut header = HeaderValue::try_from(text.as_str()).ok()?;
        header.set_sensitive(true);
        Some(Self { header, generation })
    }

    /// The value of the `Authorization` header.
    pub(in crate::client) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    pub(in crate::client) fn as_str(&self) -> &str {
        self.header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default()
    }
}
