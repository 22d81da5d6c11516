//! The form of a token for other processes and machines.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// A token and its lifetime. Times are in seconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedToken {
    #[serde(serialize_with = "exposed")]
    pub(super) token: SecretString,
    /// When to renew it; `None` if it is renewed only after a refusal.
    pub(super) renew_unix: Option<u64>,
    /// When it expires; `None` if unknown.
    pub(super) ends_unix: Option<u64>,
    /// When it was fetched to replace a refused one; `None` if it is no replacement.
    pub(super) replaced_unix: Option<u64>,
}

fn exposed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}
