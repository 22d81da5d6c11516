//! A look at a store from outside, before anything of it is changed: which it is, of which version, by which clock.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

use crate::clock::Clock;

use super::connection::Connection;
use super::open::{self, FILE};
use super::postgres::{self, PostgresServer};
use super::sql::sql;
use super::store::{Store, StoreBackend as StorePlace, count};
use super::{Ledger, LedgerError, LedgerLocation};

/// What a look at a store found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInspection {
    /// The file, or the server's address without credentials.
    pub path: PathBuf,
    /// The schema's version; 0 where there is none yet.
    pub version: i64,
    /// The least version that a program must know to work on it.
    pub least: i64,
    /// The newest version that this program knows.
    pub known: i64,
    /// The bytes that it takes.
    pub size: u64,
    /// Of a server.
    pub server: Option<ServerInspection>,
}

/// What a look at a server found besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInspection {
    /// What it says that it is.
    pub version: String,
    /// The version of TLS between here and there; none where everybody on the way can read.
    pub tls: Option<String>,
    /// How far its clock is ahead of this machine's, or behind it, at the least.
    pub apart: Duration,
}

impl Ledger {
    /// Looks at a store without changing anything in it. Of a folder there has to be a ledger in it.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn inspect(place: &LedgerLocation, clock: &Clock) -> Result<StoreInspection, LedgerError> {
        match place {
            LedgerLocation::Folder(folder) => {
                let file = folder.join(FILE);
                let options = SqliteConnectOptions::new().filename(&file).read_only(true);
                let error = |error: sqlx::Error| LedgerError::of(&file, &error);
                let mut connection = options.connect().await.map(Connection::Sqlite).map_err(error)?;
                let question = sql("SELECT user_version FROM pragma_user_version");
                let version: Option<(i64,)> = connection.row(question).await.map_err(error)?;
                let (version,) = version.unwrap_or_default();
                let size = size_of(&file);
                Ok(StoreInspection {
                    path: file,
                    version,
                    least: version,
                    known: open::KNOWN,
                    size,
                    server: None,
                })
            }
            LedgerLocation::Server(address) => {
                let (server, shown) = PostgresServer::new(address.expose_secret())?;
                at_server(&Store::new(&shown, StorePlace::Server(Box::new(server)), clock.clone(), false))
                    .await
            }
        }
    }
}

fn size_of(file: &std::path::Path) -> u64 {
    let log = PathBuf::from(format!("{}-wal", file.display()));
    let parts = [file, &log].map(|part| std::fs::metadata(part).map_or(0, |part| part.len()));
    parts.iter().sum()
}

/// The bytes that the schema's tables take, with their indices.
const SIZE: &str = "(SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(current_schema()))";

/// The bytes that a ledger takes on its server.
pub(super) async fn size_at_server(store: &Store) -> Result<u64, LedgerError> {
    let mut read = store.read_now().await?;
    let size: Option<(i64,)> = read.row(sql(format!("SELECT {SIZE}"))).await?;
    read.done();
    Ok(count(size.unwrap_or_default().0))
}

async fn at_server(store: &Store) -> Result<StoreInspection, LedgerError> {
    // Once: who looks wants to know how it is now.
    let mut connection = store.connect().await?;
    let before = (store.clock.unix_time(), store.clock.now());
    let question = sql("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)");
    let micros: Option<(i64,)> = store.answer(connection.row(question)).await?;
    let theirs = Duration::from_micros(count(micros.unwrap_or_default().0));
    let latest = before.0 + (store.clock.now() - before.1);
    // The answer may have taken all of the time, or none.
    let apart = before.0.saturating_sub(theirs).max(theirs.saturating_sub(latest));
    let question = sql(format!(
        "SELECT version(), (SELECT CASE WHEN ssl THEN version END FROM pg_stat_ssl WHERE pid = pg_backend_pid()),
            to_regclass('schema_version') IS NOT NULL, {SIZE}"
    ));
    let row: Option<(String, Option<String>, bool, i64)> = store.answer(connection.row(question)).await?;
    let (version, tls, made, size) = row.unwrap_or_default();
    let question = sql("SELECT coalesce(max(version), 0), coalesce(max(least), 0) FROM schema_version");
    let schema: Option<(i64, i64)> = if made { store.answer(connection.row(question)).await? } else { None };
    let (schema, least) = schema.unwrap_or_default();
    // "PostgreSQL 17.2 (Debian 17.2-1) on x86_64 …"
    let version = version.split(" on ").next().unwrap_or_default().to_owned();
    let server = Some(ServerInspection { version, tls, apart });
    let (path, known) = (store.path.clone(), postgres::KNOWN);
    Ok(StoreInspection { path, version: schema, least, known, size: count(size), server })
}
