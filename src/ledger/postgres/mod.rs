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
//! is sent. A caller waits for the first `PATIENCE` of an outage, and gets an error from then on. The driver of a
//! broadcast and a task with an outcome to write retry. A statement that had not begun is started again. The result of
//! a statement in progress is unknown, and its caller gets that error. After an outage, a process waits for `CALM`
//! before it considers any other process dead, so that the others can reconnect too.

mod address;
mod drivers;
mod heartbeat;
mod inspect;
mod migrate;
mod moves;
mod registered_jobs;
mod sends;
mod server;
mod texts;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::connection::Connection;
use super::driver::{RetentionDriver, SqlTexts, StoreDriver, WriteScope};
use super::sql::sql;
use super::store::{PROOF, Store, Transaction};
use super::{LedgerError, StoreFault};

#[cfg(test)]
pub(super) use heartbeat::LIFE;
pub(super) use inspect::inspect;
pub(super) use migrate::{known, open};
use server::PostgresServer;

impl RetentionDriver for PostgresServer {}

#[async_trait]
impl StoreDriver for PostgresServer {
    fn texts(&self) -> &'static SqlTexts {
        &texts::TEXTS
    }

    fn error(&self, path: &Path, error: &sqlx::Error) -> LedgerError {
        LedgerError::of_server(path, error)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn answer_limit(&self) -> Option<Duration> {
        Some(server::ANSWER)
    }

    async fn connect(&self, store: &Store) -> Result<Connection, LedgerError> {
        self.connect_with_retry(store).await
    }

    async fn begin(
        &self,
        store: &Store,
        kept: Option<Connection>,
        scope: WriteScope,
    ) -> Result<Connection, LedgerError> {
        let mut connection = self.begin_on(store, kept, scope).await?;
        if !store.is_healthy() {
            let proved = store.answer(connection.run(sql(PROOF))).await;
            proved.map_err(|error| {
                if error.broke() { error } else { StoreFault::Unhealthy(Box::new(error)).into() }
            })?;
            store.works();
        }
        Ok(connection)
    }

    async fn size(&self, store: &Store) -> Result<u64, LedgerError> {
        inspect::size(store).await
    }

    async fn advance_ids(
        &self,
        write: &mut Transaction<'_>,
        table: &str,
        highest: i64,
    ) -> Result<(), LedgerError> {
        let set = sql("SELECT setval(CAST(pg_get_serial_sequence(?, 'id') AS regclass), ?)");
        write.run(set.bind(table).bind(highest)).await.map(drop)
    }
}
