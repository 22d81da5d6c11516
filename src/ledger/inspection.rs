//! Inspects a store without changing it: which store it is, its schema version and its clock.

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

/// The result of [`Ledger::inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreInspection {
    /// The file, or the server's address without credentials.
    pub path: PathBuf,
    /// The schema's version; 0 if there is no schema yet.
    pub version: i64,
    /// The lowest schema version that a program must support to work on this store.
    pub least: i64,
    /// The newest schema version that this program supports.
    pub known: i64,
    /// The size in bytes.
    pub size: u64,
    /// More about the server; `None` for a file.
    pub server: Option<ServerInspection>,
}

/// The result of inspecting a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInspection {
    pub version: String,
    /// The TLS version of the connection; `None` if the connection is not encrypted.
    pub tls: Option<String>,
    /// The minimum difference between the server's clock and this machine's clock, in either direction.
    pub apart: Duration,
}

impl Ledger {
    /// Inspects a store without changing anything in it. A folder must contain a ledger.
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

/// The size in bytes of the schema's tables, with their indices.
const SIZE: &str = "(SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(current_schema()))";

/// Returns the size in bytes of a ledger on its server.
pub(super) async fn size_at_server(store: &Store) -> Result<u64, LedgerError> {
    let mut read = store.read_now().await?;
    let size: Option<(i64,)> = read.row(sql(format!("SELECT {SIZE}"))).await?;
    read.done();
    Ok(count(size.unwrap_or_default().0))
}

async fn at_server(store: &Store) -> Result<StoreInspection, LedgerError> {
    // Connects once, without retries: an inspection reports the state of the server now.
    let mut connection = store.connect().await?;
    let before = (store.clock.unix_time(), store.clock.now());
    let question = sql("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)");
    let micros: Option<(i64,)> = store.answer(connection.row(question)).await?;
    let theirs = Duration::from_micros(count(micros.unwrap_or_default().0));
    let latest = before.0 + (store.clock.now() - before.1);
    // The round trip gives a lower bound: the server read its clock at an unknown point of it.
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
