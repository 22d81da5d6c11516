//! Inspects a store on a server: its versions, its encryption, its clock and its size.

use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::connection::Connection;
use crate::ledger::sql::sql;
use crate::ledger::store::{Store, count};
use crate::ledger::{LedgerError, ServerInspection, StoreInspection};

use super::migrate::{SchemaVersion, VERSIONS, known};
use super::server::{PostgresServer, connect_once};

/// The size in bytes of the schema's tables, with their indices.
const SIZE: &str = "(SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(current_schema()))";

/// A server's data about itself and about the schema.
#[derive(Default, sqlx::FromRow)]
struct ServerRow {
    version: String,
    /// The version of TLS, if the connection is encrypted.
    tls: Option<String>,
    has_schema: bool,
    size: i64,
}

/// Returns the size in bytes of a ledger on its server.
pub(super) async fn size(store: &Store) -> Result<u64, LedgerError> {
    let size: Option<(i64,)> = store.row_now(sql(format!("SELECT {SIZE}"))).await?;
    Ok(count(size.unwrap_or_default().0))
}

/// Inspects the store at an address without changing anything in it.
pub(in crate::ledger) async fn inspect(address: &str, clock: &Clock) -> Result<StoreInspection, LedgerError> {
    let (server, shown) = PostgresServer::new(address)?;
    let options = server.options.clone();
    let store = Store::new(&shown, server, clock.clone());
    // Connects once, without retries: an inspection reports the state of the server now.
    let mut connection = Connection::Postgres(connect_once(&options, &store).await?);
    let before = (store.clock.unix_time(), store.clock.now());
    let question = sql("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)");
    let micros: Option<(i64,)> = store.answer(connection.row(question)).await?;
    let theirs = Duration::from_micros(count(micros.unwrap_or_default().0));
    let latest = before.0 + (store.clock.now() - before.1);
    // The round trip gives a lower bound: the server read its clock at an unknown point of it.
    let apart = before.0.saturating_sub(theirs).max(theirs.saturating_sub(latest));
    let question = sql(format!(
        "SELECT version() AS version, to_regclass('schema_version') IS NOT NULL AS has_schema, {SIZE} AS size,
            (SELECT CASE WHEN ssl THEN version END FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls"
    ));
    let row: Option<ServerRow> = store.answer(connection.row(question)).await?;
    let ServerRow { version, tls, has_schema, size } = row.unwrap_or_default();
    let schema: Option<SchemaVersion> =
        if has_schema { store.answer(connection.row(sql(VERSIONS))).await? } else { None };
    let schema = schema.unwrap_or_default();
    // "PostgreSQL 17.2 (Debian 17.2-1) on x86_64 …"
    let version = version.split(" on ").next().unwrap_or_default().to_owned();
    let server = Some(ServerInspection { version, tls, apart });
    let (path, known, size) = (shown, known(), count(size));
    Ok(StoreInspection { path, version: schema.version, least: schema.least, known, size, server })
}
