//! The address of a Postgres server. It holds credentials, which no error and no log may show.

use std::path::PathBuf;
use std::str::FromStr;

use sqlx::ConnectOptions as _;
use sqlx_postgres::PgConnectOptions;

use crate::ledger::{LedgerError, StoreFault};

/// The server rolls back a transaction that is idle for this long. Its program was stopped or cut off, and all other
/// programs wait for it.
const ABANDONED: &str = "5s";

/// Parses a libpq address (`postgres://user:password@host:port/database`). Returns it, and the address without
/// credentials.
pub(super) fn parse(address: &str) -> Result<(PgConnectOptions, PathBuf), LedgerError> {
    let shown = PathBuf::from(without_credentials(address));
    let unreadable = |detail: String| StoreFault::Unreadable { path: shown.clone(), detail }.into();
    // The library would ignore an unknown parameter and write it to the log.
    if let Some(name) = unknown_parameter(address) {
        return Err(unreadable(format!("it has no setting `{name}`")));
    }
    let options = PgConnectOptions::from_str(address).map_err(|error| unreadable(reason(&error)))?;
    if let Some((name, file, error)) = missing_file(address) {
        return Err(unreadable(format!("{name}: {file}: {error}")));
    }
    let options = options
        .application_name("mooncast")
        .options([
            ("idle_in_transaction_session_timeout", ABANDONED),
            ("synchronous_commit", "on"),
            ("jit", "off"),
        ])
        .disable_statement_logging();
    Ok((options, shown))
}

/// The parameters that an address may have after its `?`.
const PARAMETERS: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Returns the first unknown parameter name after an address's `?`.
fn unknown_parameter(address: &str) -> Option<&str> {
    let (_, parameters) = address.split_once('?')?;
    let names = parameters.split('&').map(|one| one.split('=').next().unwrap_or_default());
    let known = |name: &str| {
        PARAMETERS.contains(&name) || (name.starts_with("options[") && name.ends_with(']')) || name.is_empty()
    };
    names.into_iter().find(|name| !known(name)).map(|name| {
        // The text may be part of a password that was not escaped, so only a plain name is shown.
        let word = name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
        if word && !parameters.contains('@') { name } else { "…" }
    })
}

/// Returns a file that the address names and that cannot be opened. A file name with escapes is left to the library.
fn missing_file(address: &str) -> Option<(&str, &str, std::io::Error)> {
    let (_, parameters) = address.split_once('?')?;
    let mut files = parameters.split('&').filter_map(|one| one.split_once('='));
    files.find_map(|(name, file)| {
        let is_file = ["sslrootcert", "sslcert", "sslkey"].contains(&name) && !file.contains(['%', '+']);
        std::fs::File::open(file).err().filter(|_| is_file).map(|error| (name, file, error))
    })
}

/// Returns why an address cannot be parsed, without any of the address's text.
fn reason(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Configuration(error) => error.to_string(),
        _ => return "it is none".to_owned(),
    };
    text.split('`').next().unwrap_or_default().split('"').next().unwrap_or_default().trim().to_owned()
}

/// Returns an address without user, password and parameters.
fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return "the store".to_owned() };
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if rest[authority..].contains('@') {
        // The password contains a character that should have been escaped as %2F, %3F or %23, so its end cannot be
        // determined.
        return format!("{scheme}://…");
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // The last `@` counts: a password may contain one, although it should be escaped.
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::{parse, without_credentials};

    #[test]
    fn credentials_are_shown_nowhere() {
        for (address, shown) in [
            ("postgres://user:secret@host:5432/db?sslmode=require", "postgres://host:5432/db"),
            ("postgresql://host/db", "postgresql://host/db"),
            ("postgres://user:se@cret@host/db", "postgres://host/db"),
            ("postgres://user@/db?host=/run&password=secret", "postgres:///db"),
            ("postgres://user:se/cret@host/db", "postgres://…"),
            ("postgres://user:se?cret@host/db", "postgres://…"),
            ("postgres://user:se#cret@host/db", "postgres://…"),
            ("postgres://host/db?password=se@cret", "postgres://…"),
            ("secret", "the store"),
        ] {
            assert_eq!(without_credentials(address), shown);
        }
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_quoted() {
        for address in [
            "postgres://user:CANARY@host:port/db",
            "postgres://user:CANARY@host:99999/db",
            "postgres://user:CANARY@[host/db",
            "postgres://user:CANARY@ho st/db",
            "postgres://user:CA/NARY@host/db",
            "postgres://user@host/db?passwrod=CANARY",
            "postgres://user@host/db?CANARY@x",
            "postgres://user:x?CANARY=y@host/db",
            "postgres://user:CANARY@host/db?sslmode=CANARY",
            "postgres://user:CANARY@host/db?port=CANARY",
            "postgres://user:CANARY@host/db?hostaddr=CANARY",
            "CANARY",
        ] {
            let Err(error) = parse(address) else { panic!("{address} is taken") };
            let said = format!("{error} {error:?}");
            assert!(!said.contains("CANARY") && !said.contains("NARY"), "{address}: {said}");
        }
    }
}
