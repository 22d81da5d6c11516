//! The connections of a store: one for writing, one for reading and, on a server, one for group commits. Also the
//! recovery after a failed write.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Mutex, MutexGuard};

use crate::clock::{Clock, ClockHold, Instant};

use super::LedgerError;
use super::connection::{Connection, DecodableRow, is_refusal};
use super::deferred::DeferredWrites;
use super::figures::CommitMetrics;
use super::postgres::PostgresServer;
use super::sql::{Statement, sql};

/// The kind of store.
pub(super) enum StoreBackend {
    /// A file on this machine.
    File(Box<SqliteConnectOptions>),
    /// A server, shared by many machines.
    Server(Box<PostgresServer>),
}

/// An open store. It stays open for as long as the program runs.
pub(super) struct Store {
    /// The path of its file, or the server's address without credentials.
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
    place: StoreBackend,
    writer: Mutex<Option<Connection>>,
    /// For group commits. On a server they wait for no other write.
    mover: Mutex<Option<Connection>>,
    reader: Mutex<Option<Connection>>,
    /// Whether the last write failed.
    failed: AtomicBool,
    /// Why this program may no longer write to the store.
    outdated: OnceLock<LedgerError>,
    figures: CommitMetrics,
    /// Device and inode number of the open file.
    identity: OnceLock<(u64, u64)>,
    /// Writes that a scratch ledger has deferred; `None` for any other ledger.
    later: Option<DeferredWrites>,
    /// The most pages that the file may have. Tests use it to simulate a full disk.
    #[cfg(test)]
    pub(super) max_pages: std::sync::atomic::AtomicU32,
}

/// How a write begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WriteScope {
    /// Several statements, with no other write at the same time in any process.
    Alone,
    /// A group commit of several statements. In a file it excludes other writes too; a server separates concurrent
    /// writes by row locks.
    Beside,
    /// A group commit of one statement, which is atomic by itself.
    Single,
}

impl Store {
    pub(super) fn new(path: &Path, place: StoreBackend, clock: Clock, scratch: bool) -> Self {
        Self {
            path: path.to_owned(),
            clock,
            place,
            writer: Mutex::default(),
            mover: Mutex::default(),
            reader: Mutex::default(),
            failed: AtomicBool::new(false),
            outdated: OnceLock::new(),
            figures: CommitMetrics::new(),
            identity: OnceLock::new(),
            later: scratch.then(DeferredWrites::default),
            #[cfg(test)]
            max_pages: std::sync::atomic::AtomicU32::new(u32::MAX - 1),
        }
    }

    /// The current time in milliseconds since 1970-01-01T00:00:00Z. On a server store, the clock follows the server's
    /// clock.
    pub(super) fn now(&self) -> i64 {
        millis(self.clock.unix_time())
    }

    pub(super) fn is_healthy(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// On a server, an instance whose heartbeat expired before this instant (in milliseconds since 1970) counts as
    /// dead.
    pub(super) fn dead_before(&self) -> i64 {
        self.server().map_or_else(|| self.now(), |server| server.dead_before(self))
    }

    /// The server; `None` for a file.
    pub(super) const fn server(&self) -> Option<&PostgresServer> {
        match &self.place {
            StoreBackend::Server(server) => Some(&**server),
            StoreBackend::File(_) => None,
        }
    }

    /// Converts an error of the store to a [`LedgerError`].
    pub(super) fn error(&self, error: &sqlx::Error) -> LedgerError {
        match self.place {
            StoreBackend::File(_) => LedgerError::of(&self.path, error),
            StoreBackend::Server(_) => LedgerError::of_server(&self.path, error),
        }
    }

    /// The error for a row that cannot be read.
    pub(super) fn record(&self, detail: impl std::fmt::Display) -> LedgerError {
        LedgerError::Record { path: self.path.clone(), detail: format!("{detail}") }
    }

    /// The deferred writes of a scratch ledger; `None` for any other ledger.
    pub(super) const fn later(&self) -> Option<&DeferredWrites> {
        self.later.as_ref()
    }

    /// Opens a separate connection, for long work.
    pub(super) async fn connect(&self) -> Result<Connection, LedgerError> {
        let options = match &self.place {
            StoreBackend::File(options) => &**options,
            // Boxed, because it is rare and large and would enlarge every future.
            StoreBackend::Server(server) => {
                return Box::pin(server.connect(self)).await.map(Connection::Postgres);
            }
        };
        #[cfg(test)]
        let options =
            options.clone().pragma("max_page_count", self.max_pages.load(Ordering::Relaxed).to_string());
        options.connect().await.map(Connection::Sqlite).map_err(|error| self.error(&error))
    }

    /// Begins a write that excludes all other writes, in all processes, until it ends. A write that is dropped
    /// half-way is rolled back.
    pub(super) async fn write(&self) -> Result<Transaction<'_>, LedgerError> {
        self.flush_deferred().await?;
        self.begin(WriteScope::Alone).await
    }

    /// The same without flushing deferred writes first.
    pub(super) async fn write_now(&self) -> Result<Transaction<'_>, LedgerError> {
        self.begin(WriteScope::Alone).await
    }

    /// Begins a group commit of one statement or of several.
    pub(super) async fn write_group(&self, single: bool) -> Result<Transaction<'_>, LedgerError> {
        self.flush_deferred().await?;
        self.begin(if single { WriteScope::Single } else { WriteScope::Beside }).await
    }

    async fn begin(&self, kind: WriteScope) -> Result<Transaction<'_>, LedgerError> {
        if let Some(error) = self.outdated.get() {
            return Err(error.clone());
        }
        let hold = self.clock.hold();
        self.is_in_place()?;
        let line =
            if self.server().is_some() && kind != WriteScope::Alone { &self.mover } else { &self.writer };
        let mut home = line.lock().await;
        let began = self.clock.now();
        let mut alarm = WriteFailureGuard { store: self, armed: true };
        let connection = match &self.place {
            StoreBackend::File(_) => match home.take() {
                Some(connection) => connection,
                None => self.revive().await?,
            },
            StoreBackend::Server(server) => {
                Box::pin(server.begin(self, home.take(), kind == WriteScope::Alone)).await?
            }
        };
        let mut transaction = Transaction {
            store: self,
            connection,
            home,
            alarm: WriteFailureGuard { store: self, armed: false },
            several: kind != WriteScope::Single,
            began,
            _hold: hold,
        };
        match &self.place {
            StoreBackend::File(_) if kind != WriteScope::Single => {
                transaction.run(sql("BEGIN IMMEDIATE")).await?;
            }
            StoreBackend::Server(_) if kind == WriteScope::Beside => {
                transaction.run(sql("BEGIN")).await?;
            }
            _ => {}
        }
        if self.server().is_some() && !self.is_healthy() {
            transaction.prove().await?;
        }
        alarm.armed = false;
        transaction.alarm.armed = true;
        Ok(transaction)
    }

    /// Refuses to write to a file that is no longer at its path. The next process would not find it there, and would
    /// repeat what the file records.
    fn is_in_place(&self) -> Result<(), LedgerError> {
        if self.later.is_some() || !matches!(self.place, StoreBackend::File(_)) {
            return Ok(());
        }
        let found = std::fs::metadata(&self.path).map(|found| (found.dev(), found.ino()));
        let gone = match found {
            Ok(found) => found != *self.identity.get_or_init(|| found),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound && self.identity.get().is_some(),
        };
        if gone {
            return Err(LedgerError::Gone { path: self.path.clone() });
        }
        Ok(())
    }

    /// Opens a new connection. After a failure it returns one only when a write to the file has succeeded.
    async fn revive(&self) -> Result<Connection, LedgerError> {
        let attempt = async {
            let mut connection = self.connect().await?;
            if !self.is_healthy() {
                let beat = connection.run(sql(PROOF)).await;
                beat.map_err(|error| self.error(&error))?;
            }
            Ok(connection)
        };
        let healthy = self.is_healthy();
        let connection = attempt
            .await
            .map_err(|error| if healthy { error } else { LedgerError::Unhealthy(Box::new(error)) })?;
        self.works();
        Ok(connection)
    }

    /// Stops all writes: a newer program has changed the schema to one that this program cannot read.
    pub(super) fn outdated(&self, error: &LedgerError) {
        if self.outdated.set(error.clone()).is_ok() {
            tracing::error!("nothing is sent any more: {error}");
        }
    }

    /// Records that writes succeed again.
    pub(super) fn works(&self) {
        self.failed.store(false, Ordering::Relaxed);
    }

    /// Records that a write failed.
    pub(super) fn fails(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.figures.failed();
    }

    /// Takes the connection for reading. Each statement sees everything that was committed before it.
    pub(super) async fn read(&self) -> Result<ReadConnection<'_>, LedgerError> {
        self.flush_deferred().await?;
        self.read_now().await
    }

    /// The same without flushing deferred writes first, for data that no move of a recipient changes.
    pub(super) async fn read_now(&self) -> Result<ReadConnection<'_>, LedgerError> {
        let hold = self.clock.hold();
        let mut home = self.reader.lock().await;
        let connection = match (home.take(), &self.place) {
            (Some(connection), _) => connection,
            (None, StoreBackend::File(_)) => {
                // Another project's ledger may be at its path now.
                self.is_in_place()?;
                self.connect().await?
            }
            (None, StoreBackend::Server(server)) => Box::pin(server.connect_with_retry(self)).await?,
        };
        Ok(ReadConnection { store: self, connection, home, _hold: hold })
    }

    /// Waits for the result of a statement. If a server does not answer, returns an error after a timeout.
    pub(super) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, LedgerError> {
        let answer = match self.server() {
            Some(server) => server.in_time(self, asked).await?,
            None => asked.await,
        };
        answer.map_err(|error| self.error(&error))
    }
}

/// A write that changes no meaningful data. It tests whether the store can be written.
pub(super) const PROOF: &str = "UPDATE pulse SET beats = beats + 1";

/// Records a failed write when it is dropped, unless it was disarmed.
struct WriteFailureGuard<'a> {
    store: &'a Store,
    armed: bool,
}

impl Drop for WriteFailureGuard<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.store.fails();
        }
    }
}

/// A write in progress. If it is dropped without [`Transaction::end`], its connection is closed, which rolls it back,
/// and the next write first proves that the store can be written.
pub(super) struct Transaction<'a> {
    pub(super) store: &'a Store,
    connection: Connection,
    home: MutexGuard<'a, Option<Connection>>,
    alarm: WriteFailureGuard<'a>,
    /// Whether separate statements begin and end it.
    several: bool,
    began: Instant,
    /// Holds a simulated clock while the store works.
    _hold: ClockHold,
}

impl Transaction<'_> {
    /// Runs a statement; returns how many rows it changed.
    pub(super) async fn run(&mut self, statement: Statement) -> Result<u64, LedgerError> {
        self.store.answer(self.connection.run(statement)).await
    }

    /// As [`Connection::run_all`].
    pub(super) async fn run_all(&mut self, statements: Statement) -> Result<Option<u64>, LedgerError> {
        self.store.answer(self.connection.run_all(statements)).await
    }

    /// As [`Connection::insert`].
    pub(super) async fn insert(&mut self, statement: Statement) -> Result<Option<i64>, LedgerError> {
        self.store.answer(self.connection.insert(statement)).await
    }

    /// Returns the first row of a query.
    pub(super) async fn row<T: DecodableRow>(
        &mut self,
        question: Statement,
    ) -> Result<Option<T>, LedgerError> {
        self.store.answer(self.connection.row(question)).await
    }

    /// The same; `None` if a NOT NULL constraint failed.
    pub(super) async fn row_unless_refused<T: DecodableRow>(
        &mut self,
        question: Statement,
    ) -> Result<Option<T>, LedgerError> {
        let asked = async {
            match self.connection.row(question).await {
                Err(error) if is_refusal(&error) => Ok(None),
                other => other,
            }
        };
        self.store.answer(asked).await
    }

    /// Returns all rows of a query.
    pub(super) async fn rows<T: DecodableRow>(&mut self, question: Statement) -> Result<Vec<T>, LedgerError> {
        self.store.answer(self.connection.rows(question)).await
    }

    /// The same; `None` if a NOT NULL constraint failed.
    pub(super) async fn rows_unless_refused<T: DecodableRow>(
        &mut self,
        question: Statement,
    ) -> Result<Option<Vec<T>>, LedgerError> {
        let asked = async {
            match self.connection.rows(question).await {
                Err(error) if is_refusal(&error) => Ok(None),
                other => other.map(Some),
            }
        };
        self.store.answer(asked).await
    }

    /// Proves after a failure that the store can be written again.
    async fn prove(&mut self) -> Result<(), LedgerError> {
        let still =
            |error: LedgerError| if error.broke() { error } else { LedgerError::Unhealthy(Box::new(error)) };
        self.run(sql(PROOF)).await.map_err(still)?;
        self.store.works();
        Ok(())
    }

    /// Commits on success, and rolls back on an error.
    pub(super) async fn end<T>(mut self, result: Result<T, LedgerError>) -> Result<T, LedgerError> {
        let last = match &result {
            Ok(_) => "COMMIT",
            Err(error) if error.is_fault() => return result,
            Err(_) => "ROLLBACK",
        };
        if self.several {
            self.run(sql(last)).await?;
        }
        *self.home = Some(self.connection);
        self.alarm.armed = false;
        if result.is_ok() {
            self.store.figures.committed(self.store.clock.now() - self.began);
        }
        result
    }
}

/// A connection for reading, held exclusively until it is returned.
pub(super) struct ReadConnection<'a> {
    store: &'a Store,
    connection: Connection,
    home: MutexGuard<'a, Option<Connection>>,
    _hold: ClockHold,
}

impl ReadConnection<'_> {
    /// Returns all rows of a query.
    pub(super) async fn rows<T: DecodableRow>(&mut self, question: Statement) -> Result<Vec<T>, LedgerError> {
        match self.store.answer(self.connection.rows(question.clone())).await {
            // The connection broke since its last use; the query runs once more on a new one.
            Err(error) if error.broke() => {
                self.connection = self.again(error).await?;
                self.store.answer(self.connection.rows(question)).await
            }
            other => other,
        }
    }

    /// Returns the first row of a query.
    pub(super) async fn row<T: DecodableRow>(
        &mut self,
        question: Statement,
    ) -> Result<Option<T>, LedgerError> {
        match self.store.answer(self.connection.row(question.clone())).await {
            Err(error) if error.broke() => {
                self.connection = self.again(error).await?;
                self.store.answer(self.connection.row(question)).await
            }
            other => other,
        }
    }

    /// Opens a new connection in place of a broken one.
    async fn again(&self, error: LedgerError) -> Result<Connection, LedgerError> {
        match self.store.server() {
            Some(server) => Box::pin(server.connect_with_retry(self.store)).await,
            None => Err(error),
        }
    }

    /// Returns the connection for reuse. A connection that is dropped instead is closed.
    pub(super) fn done(mut self) {
        *self.home = Some(self.connection);
    }
}

/// Converts a duration or an instant to the milliseconds that the ledger stores.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Converts stored milliseconds to a duration or an instant.
pub(super) fn from_millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// Converts a count or a number to its stored form.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Converts a small stored count.
pub(super) fn small(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or(if stored < 0 { 0 } else { u32::MAX })
}

/// Converts a stored count.
pub(super) fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
