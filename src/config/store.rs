//! The location of the ledger: a file of the project, or with `store = "postgres://…"` a server that the hosts of a
//! fleet share.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{ConfigError, Environment};

/// The environment variable for the store's address.
pub const STORE_VARIABLE: &str = "MOONCAST_STORE";

/// `store = "postgres://…"`, or the same URL as `url` in `[store]`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "`store` must be the address of a Postgres server, or a table with that as its `url`"
)]
pub(super) enum StoreSection {
    Address(SecretString),
    Table(StoreTable),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreTable {
    url: SecretString,
}

impl StoreSection {
    /// The server's address.
    fn address(self) -> SecretString {
        match self {
            Self::Address(address) | Self::Table(StoreTable { url: address }) => address,
        }
    }
}

/// Returns the store's address. The environment overrides the file.
pub(super) fn store(
    section: Option<StoreSection>,
    environment: &Environment,
) -> Result<Option<SecretString>, ConfigError> {
    match (environment.value(STORE_VARIABLE)?, section) {
        (Some(address), _) => checked(STORE_VARIABLE, address.into()).map(Some),
        (None, Some(section)) => checked("store", section.address()).map(Some),
        (None, None) => Ok(None),
    }
}

/// Returns the file of the client's private key that a server's address names (`sslkey=FILE`).
pub(super) fn key_file(address: &SecretString) -> Option<PathBuf> {
    let (_, query) = address.expose_secret().split_once('?')?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("sslkey="))?;
    let decoded = percent_decode_str(value).decode_utf8().ok()?;
    Some(PathBuf::from(decoded.into_owned()))
}

pub fn is_server(address: &str) -> bool {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    matches!(scheme, Some("postgres" | "postgresql"))
}

fn checked(setting: &str, address: SecretString) -> Result<SecretString, ConfigError> {
    if !is_server(address.expose_secret()) {
        // The text is not shown, since it may be a password.
        let message = "must be a Postgres server's address, postgres://USER:PASSWORD@HOST/DATABASE; without it the ledger is a file in .mooncast";
        return Err(ConfigError::invalid(setting, message));
    }
    Ok(address)
}
