//! A token as other processes and machines are handed it.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// A token with what is known of its life. Times are in seconds since 1970.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedToken {
    #[serde(serialize_with = "exposed")]
    pub(super) token: SecretString,
    /// When to renew it; none for when it is refused.
    pub(super) renew_unix: Option<u64>,
    /// When it ends; none when that is not known.
    pub(super) ends_unix: Option<u64>,
    /// When it was fetched in the place of a refused one.
    pub(super) replaced_unix: Option<u64>,
}

fn exposed<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}
