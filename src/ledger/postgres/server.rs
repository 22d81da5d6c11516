//! The connections to a Postgres server, and what happens while it does not answer.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng as _;
use sqlx::{ConnectOptions, Executor, Row as _};
use sqlx_postgres::PgConnectOptions;
use sqlx_postgres::PgConnection;

use crate::clock::Instant;
use crate::ledger::connection::Connection;
use crate::ledger::driver::WriteScope;
use crate::ledger::sql::sql;
use crate::ledger::store::Store;
use crate::ledger::{LedgerError, StoreFault};

use super::address::parse;

/// The timeout of a connection attempt.
const CONNECT: Duration = Duration::from_secs(3);
/// The timeout of a statement. A cut network gives no error by itself.
pub(super) const ANSWER: Duration = Duration::from_secs(20);
/// How long a caller waits for the end of an outage.
const PATIENCE: Duration = Duration::from_secs(10);
/// After that wait: how often a connection is attempted to see whether the outage is over.
const LOOK: Duration = Duration::from_secs(1);
/// How long after an outage no instance counts as dead. Several heartbeats fit into it.
const CALM: Duration = Duration::from_secs(6);
/// The first wait between two attempts; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// The server's address and the credentials for it.
pub(super) struct PostgresServer {
    pub(super) options: PgConnectOptions,
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
    /// Returns the server at an address, and the address without credentials.
    pub(super) fn new(address: &str) -> Result<(Self, PathBuf), LedgerError> {
        let (options, shown) = parse(address)?;
        Ok((Self { options, outage: Mutex::default(), calm_until: Mutex::default() }, shown))
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
                return Err(StoreFault::Unhealthy(Box::new(error)).into());
            }
            let error = match connect_once(&self.options, store).await {
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
                return Err(StoreFault::Unhealthy(Box::new(error)).into());
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
            tracing::error!("the store does not answer; nothing is sent until it does: {error}");
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
    pub(super) fn dead_since(&self, store: &Store) -> i64 {
        let calm = lock(&self.calm_until).is_some_and(|until| store.clock.now() < until);
        if calm { 0 } else { store.now() }
    }

    /// Returns a working connection on which the write has begun.
    pub(super) async fn begin_on(
        &self,
        store: &Store,
        mut kept: Option<Connection>,
        scope: WriteScope,
    ) -> Result<Connection, LedgerError> {
        let mut tries = 0;
        loop {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.connect_with_retry(store).await?,
            };
            let begun = match scope {
                WriteScope::Single => Ok(()),
                WriteScope::Beside => store.answer(connection.run(sql("BEGIN"))).await.map(drop),
                WriteScope::Alone => take_turn(store, &mut connection).await,
            };
            match begun {
                Ok(()) => return Ok(connection),
                // The connection broke since its last use, and nothing was done yet.
                Err(error) if error.broke() && tries < 10 => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Opens a new connection, in one attempt.
pub(super) async fn connect_once(
    options: &PgConnectOptions,
    store: &Store,
) -> Result<PgConnection, LedgerError> {
    match store.clock.timeout(CONNECT, options.connect()).await {
        Ok(connected) => connected.map_err(|error| store.error(&error)),
        Err(_) => Err(LedgerError::Store(StoreFault::Away {
            path: store.path.clone(),
            detail: format!("no connection in {} s", CONNECT.as_secs()),
        })),
    }
}

/// Begins an exclusive transaction: only one at a time exists in the schema. Also adjusts the clock to the server's
/// clock.
async fn take_turn(store: &Store, connection: &mut Connection) -> Result<(), LedgerError> {
    const TURN: &str = "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 7311));
        SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
    let Connection::Postgres(connection) = connection else { return Ok(()) };
    let asked = store.clock.now();
    let rows = store.answer(connection.fetch_all(sqlx::raw_sql(TURN))).await?;
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
