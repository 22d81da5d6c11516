//! The store that tests use: a file, or a schema for each folder on the Postgres server that `MOONCAST_TEST_STORE`
//! names.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::str::FromStr;

use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use sqlx_postgres::PgConnectOptions;

use crate::ledger::LedgerLocation;

pub(crate) async fn location(folder: &Path) -> LedgerLocation {
    let Some(server) = address() else { return LedgerLocation::Folder(folder.to_owned()) };
    let schema = schema(folder);
    // Several tasks may open the ledger of one folder at once.
    run(&server, &format!("SELECT pg_advisory_lock(7310); CREATE SCHEMA IF NOT EXISTS {schema}")).await;
    LedgerLocation::Server(format!("{server}?options[search_path]={schema}").into())
}

/// Drops what a test has left on the server.
pub(crate) async fn clean(folder: &Path) {
    if let Some(server) = address() {
        run(&server, &format!("DROP SCHEMA IF EXISTS {} CASCADE", schema(folder))).await;
    }
}

pub(crate) fn address() -> Option<String> {
    std::env::var("MOONCAST_TEST_STORE").ok()
}

/// The name is unique: folders of tests are never used again, and a process id is unique while the process runs.
fn schema(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    (folder, std::process::id()).hash(&mut hasher);
    format!("t{:x}", hasher.finish())
}

async fn run(server: &str, statement: &str) {
    let options = PgConnectOptions::from_str(server).unwrap();
    let mut connection = options.disable_statement_logging().connect().await.unwrap();
    let statement = format!("SET client_min_messages = warning; {statement}");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
}
