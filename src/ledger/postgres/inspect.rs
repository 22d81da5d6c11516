//! Inspects a store on a server: its versions, its encryption, its clock and its size.

use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::connection::Connection;
use crate::ledger::sql::sql;
use crate::ledger::store::{Store, count};
use crate::ledger::{LedgerError, ServerInspection, StoreInspection};

use super::migrate::known;
use super::server::{PostgresServer, connect_once};

/// The size in bytes of the schema's tables, with their indices.
const SIZE: &str = "(SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(current_schema()))";

/// Returns the size in bytes of a ledger on its server.
pub(super) async fn size(store: &Store) -> Result<u64, LedgerError> {
    let mut read = store.read_now().await?;
    let size: Option<(i64,)> = read.row(sql(format!("SELECT {SIZE}"))).await?;
    read.done();
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
    let (path, known) = (shown, known());
    Ok(StoreInspection { path, version: schema, least, known, size: count(size), server })
}
