//! The store that many machines share: a Postgres server.
//!
//! Nearly all statements are the ones that SQLite runs. Writes that are exclusive in a file are exclusive here too, by
//! an advisory lock for the schema (`take_turn`). Writes that must be fast do not take that lock; row locks separate
//! them. Moves of recipients lock the row of their driver (`moves`, `drivers`), and a single send belongs to one
//! instance (`sends`).
//!
//! The clock of a program that uses such a store follows the server's clock, so that instants mean the same to all
//! programs.
//!
//! A broken connection is replaced, with growing waits between attempts. Meanwhile nothing can be written, so nothing
//! is sent. A caller waits for the first [`PATIENCE`] of an outage, and gets an error from then on. The driver of a
//! broadcast and a task with an outcome to write retry. A statement that had not begun is started again. The result of
//! a statement in progress is unknown, and its caller gets that error. After an outage, a process waits for [`CALM`]
//! before it considers any other process dead, so that the others can reconnect too.

pub(super) mod drivers;
pub(super) mod moves;
pub(super) mod registered_jobs;
mod schema;
pub(super) mod sends;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection, Row as _};

use crate::clock::Instant;

use super::LedgerError;
use super::connection::Connection;
use super::store::Store;

pub(super) use schema::{KNOWN, migrate, still_readable};

/// The timeout of a connection attempt.
const CONNECT: Duration = Duration::from_secs(3);
/// The timeout of a statement. A cut network gives no error by itself.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a caller waits for the end of an outage.
const PATIENCE: Duration = Duration::from_secs(10);
/// After that wait: how often a connection is attempted to see whether the outage is over.
const LOOK: Duration = Duration::from_secs(1);
/// How long after an outage no instance counts as dead. Several heartbeats fit into it.
const CALM: Duration = Duration::from_secs(6);
/// The first wait between two attempts; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The server rolls back a transaction that is idle for this long. Its program was stopped or cut off, and all other
/// programs wait for it.
const ABANDONED: &str = "5s";

/// The server's address and the credentials for it.
pub(super) struct PostgresServer {
    options: PgConnectOptions,
    outage: Mutex<Option<Outage>>,
    /// Until when no instance counts as dead.
    calm_until: Mutex<Option<Instant>>,
}

/// A period in which the server does not answer.
#[derive(Clone)]
struct Outage {
    since: Instant,
    /// When a connection was last attempted.
    tried: Instant,
    error: LedgerError,
}

impl PostgresServer {
    /// Parses a libpq address (`postgres://user:password@host:port/database`). Returns the server, and the address
    /// without credentials.
    pub(super) fn new(address: &str) -> Result<(Self, PathBuf), LedgerError> {
        let shown = PathBuf::from(without_credentials(address));
        let unreadable = |detail: String| LedgerError::Unreadable { path: shown.clone(), detail };
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
        Ok((Self { options, outage: Mutex::default(), calm_until: Mutex::default() }, shown))
    }

    /// Opens a new connection, in one attempt.
    pub(super) async fn connect(&self, store: &Store) -> Result<PgConnection, LedgerError> {
        match store.clock.timeout(CONNECT, self.options.connect()).await {
            Ok(connected) => connected.map_err(|error| store.error(&error)),
            Err(_) => Err(away(store, &format!("no connection in {} s", CONNECT.as_secs()))),
        }
    }

    /// Opens a new connection, with retries at the beginning of an outage.
    pub(super) async fn connect_with_retry(&self, store: &Store) -> Result<Connection, LedgerError> {
        let mut wait = FIRST_WAIT;
        loop {
            let now = store.clock.now();
            if let Some(Outage { since, tried, error }) = lock(&self.outage).clone()
                && now.saturating_since(since) >= PATIENCE
                && now.saturating_since(tried) < LOOK
            {
                return Err(LedgerError::Unhealthy(Box::new(error)));
            }
            let error = match self.connect(store).await {
                Ok(connection) => {
                    self.answers(store);
                    return Ok(Connection::Postgres(connection));
                }
                Err(error) => error,
            };
            let since = self.is_silent(store, &error);
            if !error.broke() || store.clock.is_simulated() {
                return Err(error);
            }
            if store.clock.now().saturating_since(since) >= PATIENCE {
                return Err(LedgerError::Unhealthy(Box::new(error)));
            }
            // Random waits keep the hosts of a fleet from reconnecting all at once.
            let part = rand::rng().random_range(0.5..1.0);
            store.clock.sleep(wait.mul_f64(part)).await;
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }

    /// Records that the server cannot be reached; returns since when.
    fn is_silent(&self, store: &Store, error: &LedgerError) -> Instant {
        let now = store.clock.now();
        store.fails();
        let mut outage = lock(&self.outage);
        // Logged once, and not at each attempt.
        if outage.is_none() {
            tracing::error!("nothing is sent until this is over: {error}");
        }
        let since = outage.as_ref().map_or(now, |outage| outage.since);
        *outage = Some(Outage { since, tried: now, error: error.clone() });
        since
    }

    /// Records that the server answers. The next write shows whether it can be written.
    fn answers(&self, store: &Store) {
        let now = store.clock.now();
        let Some(outage) = lock(&self.outage).take() else { return };
        let seconds = now.saturating_since(outage.since).as_secs();
        tracing::info!(seconds, "{} answers again", store.path.display());
        *lock(&self.calm_until) = Some(now + CALM);
    }

    /// An instance whose heartbeat expired before this instant (in milliseconds since 1970) counts as dead.
    pub(super) fn dead_before(&self, store: &Store) -> i64 {
        let calm = lock(&self.calm_until).is_some_and(|until| store.clock.now() < until);
        if calm { 0 } else { store.now() }
    }

    /// Returns a working connection. If the write is exclusive, its transaction has begun.
    pub(super) async fn begin(
        &self,
        store: &Store,
        mut given: Option<Connection>,
        alone: bool,
    ) -> Result<Connection, LedgerError> {
        let mut tries = 0;
        loop {
            let mut connection = match given.take() {
                Some(connection) => connection,
                None => self.connect_with_retry(store).await?,
            };
            if !alone {
                return Ok(connection);
            }
            match take_turn(store, &mut connection).await {
                Ok(()) => return Ok(connection),
                // The connection broke since its last use, and nothing was done yet.
                Err(error) if error.broke() && tries < 10 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for an answer until the timeout.
    pub(super) async fn in_time<T>(
        &self,
        store: &Store,
        asked: impl Future<Output = T>,
    ) -> Result<T, LedgerError> {
        let answered = store.clock.timeout(ANSWER, asked).await;
        answered.map_err(|_| away(store, &format!("no answer in {} s", ANSWER.as_secs())))
    }
}

/// Begins an exclusive transaction: only one at a time exists in the schema. Also adjusts the clock to the server's
/// clock.
async fn take_turn(store: &Store, connection: &mut Connection) -> Result<(), LedgerError> {
    const TURN: &str = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 7311));
        SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
    let Connection::Postgres(connection) = connection else { return Ok(()) };
    let asked = store.clock.now();
    let answered = store.clock.timeout(ANSWER, connection.fetch_all(sqlx::raw_sql(TURN))).await;
    let rows = answered
        .map_err(|_| away(store, &format!("no answer in {} s", ANSWER.as_secs())))?
        .map_err(|error| store.error(&error))?;
    let micros: i64 = match rows.last() {
        Some(row) => row.try_get(0).map_err(|error| store.error(&error))?,
        None => return Err(store.record("a server without a time")),
    };
    store.clock.follow(Duration::from_micros(u64::try_from(micros).unwrap_or_default()), asked);
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn away(store: &Store, detail: &str) -> LedgerError {
    LedgerError::Away { path: store.path.clone(), detail: detail.to_owned() }
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
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::{PostgresServer, without_credentials};

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
            let Err(error) = PostgresServer::new(address) else { panic!("{address} is taken") };
            let said = format!("{error} {error:?}");
            assert!(!said.contains("CANARY") && !said.contains("NARY"), "{address}: {said}");
        }
    }
}
