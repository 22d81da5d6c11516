//! The connections of a store: one for writing, one for reading and, on a store that hosts share, one for group commits.
//! Also the recovery after a failed write.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use crate::clock::{Clock, ClockHold, Instant};

use super::audit_chain::PendingAct;
pub(super) use super::columns::{count, from_millis, millis, small, stored};
use super::connection::{Connection, DecodableRow, is_refusal};
use super::driver::{StoreDriver, WriteScope};
use super::figures::CommitMetrics;
use super::sql::{Statement, sql};
use super::{LedgerError, StoreFault};

/// An open store. It stays open for as long as the program runs.
pub(super) struct Store {
    /// The path of its file, or the server's address without credentials.
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
    pub(super) driver: Box<dyn StoreDriver>,
    writer: Mutex<Option<Connection>>,
    /// For group commits on a shared store, where they wait for no other write.
    mover: Mutex<Option<Connection>>,
    reader: Mutex<Option<Connection>>,
    /// Whether the last write failed.
    failed: AtomicBool,
    /// Why this program may no longer write to the store.
    outdated: OnceLock<LedgerError>,
    figures: CommitMetrics,
    /// The most pages that the file may have. Tests use it to simulate a full disk.
    #[cfg(test)]
    pub(super) max_pages: std::sync::atomic::AtomicU32,
}

impl Store {
    pub(super) fn new(path: &Path, driver: impl StoreDriver + 'static, clock: Clock) -> Self {
        Self {
            path: path.to_owned(),
            clock,
            driver: Box::new(driver),
            writer: Mutex::default(),
            mover: Mutex::default(),
            reader: Mutex::default(),
            failed: AtomicBool::new(false),
            outdated: OnceLock::new(),
            figures: CommitMetrics::new(),
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

    /// An instance whose heartbeat expired before this instant (in milliseconds since 1970) counts as dead.
    pub(super) fn dead_before(&self) -> i64 {
        self.driver.dead_before(self)
    }

    /// Converts an error of the store to a [`LedgerError`].
    pub(super) fn error(&self, error: &sqlx::Error) -> LedgerError {
        self.driver.error(&self.path, error)
    }

    /// The error for a row that cannot be read.
    pub(super) fn record(&self, detail: impl std::fmt::Display) -> LedgerError {
        LedgerError::Record { path: self.path.clone(), detail: format!("{detail}") }
    }

    /// Begins a write that excludes all other writes, in all processes, until it ends. A write that is dropped
    /// half-way is rolled back.
    pub(super) async fn write(&self) -> Result<Transaction<'_>, LedgerError> {
        self.flush_deferred().await?;
        let mut write = self.begin(WriteScope::Alone).await?;
        write.audits = true;
        Ok(write)
    }

    /// The same without flushing deferred writes first.
    pub(super) async fn write_now(&self) -> Result<Transaction<'_>, LedgerError> {
        self.begin(WriteScope::Alone).await
    }

    /// Runs a transaction that excludes all other writes. Commits on success, and rolls back on an error.
    pub(super) async fn transaction<T>(
        &self,
        body: impl AsyncFnOnce(&mut Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut write = self.write().await?;
        let result = body(&mut write).await;
        write.end(result).await
    }

    /// Runs one statement in its own transaction; returns how many rows it changed.
    pub(super) async fn change(&self, statement: Statement) -> Result<u64, LedgerError> {
        self.transaction(async |write| write.run(statement).await).await
    }

    /// Begins a group commit of one statement or of several.
    pub(super) async fn write_group(&self, single: bool) -> Result<Transaction<'_>, LedgerError> {
        self.flush_deferred().await?;
        self.begin(if single { WriteScope::Single } else { WriteScope::Beside }).await
    }

    async fn begin(&self, scope: WriteScope) -> Result<Transaction<'_>, LedgerError> {
        if let Some(error) = self.outdated.get() {
            return Err(error.clone());
        }
        let hold = self.clock.access().await;
        self.driver.check_place(&self.path)?;
        let beside = self.driver.is_shared() && scope != WriteScope::Alone;
        let mut home = if beside { &self.mover } else { &self.writer }.lock().await;
        let began = self.clock.now();
        let mut alarm = WriteFailureGuard { store: self, armed: true };
        let connection = self.driver.begin(self, home.take(), scope).await?;
        alarm.armed = false;
        Ok(Transaction {
            store: self,
            connection,
            home,
            alarm: WriteFailureGuard { store: self, armed: true },
            several: scope != WriteScope::Single,
            audits: false,
            began,
            _hold: hold,
        })
    }

    /// Stops all writes: a newer program has changed the schema to one that this program cannot read.
    pub(super) fn outdated(&self, error: &LedgerError) {
        if self.outdated.set(error.clone()).is_ok() {
            tracing::error!("this process sends nothing more: {error}");
        }
    }

    /// Writes once, so that a store that cannot be written fails now and not at the first send.
    pub(super) async fn prove(&self) -> Result<(), LedgerError> {
        let mut write = self.write().await?;
        let proved = write.run(sql(PROOF)).await.map(drop);
        write.end(proved).await
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
        let hold = self.clock.access().await;
        let mut home = self.reader.lock().await;
        let connection = match home.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(ReadConnection { store: self, connection, home, _hold: hold })
    }

    /// Returns all rows of a query.
    pub(super) async fn rows<T: DecodableRow>(&self, question: Statement) -> Result<Vec<T>, LedgerError> {
        self.flush_deferred().await?;
        self.rows_now(question).await
    }

    /// The same without flushing deferred writes first, for data that no move of a recipient changes.
    pub(super) async fn rows_now<T: DecodableRow>(&self, question: Statement) -> Result<Vec<T>, LedgerError> {
        let mut read = self.read_now().await?;
        let rows = read.rows(question).await?;
        read.done();
        Ok(rows)
    }

    /// Returns the first row of a query.
    pub(super) async fn row<T: DecodableRow>(&self, question: Statement) -> Result<Option<T>, LedgerError> {
        self.flush_deferred().await?;
        self.row_now(question).await
    }

    /// The same without flushing deferred writes first.
    pub(super) async fn row_now<T: DecodableRow>(
        &self,
        question: Statement,
    ) -> Result<Option<T>, LedgerError> {
        let mut read = self.read_now().await?;
        let row = read.row(question).await?;
        read.done();
        Ok(row)
    }

    /// Opens a new connection.
    pub(super) async fn connect(&self) -> Result<Connection, LedgerError> {
        self.driver.check_place(&self.path)?;
        self.driver.connect(self).await
    }

    /// Waits for the result of a statement. Returns an error if the store does not answer in time.
    pub(super) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, LedgerError> {
        let answer = match self.driver.answer_limit() {
            Some(limit) => self.clock.timeout(limit, asked).await.map_err(|_| {
                LedgerError::Store(StoreFault::Away {
                    path: self.path.clone(),
                    detail: format!("no answer in {} s", limit.as_secs()),
                })
            })?,
            None => asked.await,
        };
        answer.map_err(|error| self.error(&error))
    }
}

/// A write that changes no meaningful data. It tests whether the store can be written.
pub(super) const PROOF: &str = "UPDATE write_proof SET writes = writes + 1";

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
    /// Whether the entry of the task's act belongs to it.
    audits: bool,
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

    /// Commits on success, and rolls back on an error.
    pub(super) async fn end<T>(mut self, mut result: Result<T, LedgerError>) -> Result<T, LedgerError> {
        let act = PendingAct::current().filter(|_| self.audits && result.is_ok());
        let mut entry = None;
        if let Some(act) = &act {
            match self.append_audit(&act.act).await {
                Ok(number) => entry = Some(number),
                Err(error) => result = Err(error),
            }
        }
        let last = match &result {
            Ok(_) => "COMMIT",
            Err(error) if error.is_fault() => return result,
            Err(_) => "ROLLBACK",
        };
        if self.several {
            self.run(sql(last)).await?;
        }
        if let Some((act, number)) = act.zip(entry) {
            act.written(number);
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
                self.connection = self.store.driver.connect(self.store).await?;
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
                self.connection = self.store.driver.connect(self.store).await?;
                self.store.answer(self.connection.row(question)).await
            }
            other => other,
        }
    }

    /// Returns the connection for reuse. A connection that is dropped instead is closed.
    pub(super) fn done(mut self) {
        *self.home = Some(self.connection);
    }
}
