//! The connections: one that writes, one that reads, and what happens after a write that failed.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::error::ErrorKind;
use sqlx::query::{Query, QueryAs};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Executor, FromRow, Sqlite, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use crate::clock::{Clock, Hold, Instant};

use super::LedgerError;
use super::figures::Figures;
use super::later::Later;

/// A statement with what it is given.
pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;
/// A statement that gives rows of `T`.
pub(super) type Question<'q, T> = QueryAs<'q, Sqlite, T, SqliteArguments>;

/// One file, open for as long as the program runs.
pub(super) struct Store {
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
    options: SqliteConnectOptions,
    writer: Mutex<Option<SqliteConnection>>,
    reader: Mutex<Option<SqliteConnection>>,
    /// Whether the last write failed.
    failed: AtomicBool,
    figures: Figures,
    /// What a scratch ledger has yet to write.
    later: Option<Later>,
    /// The most pages that the file may have: a disk that is full when a test says so.
    #[cfg(test)]
    pub(super) max_pages: std::sync::atomic::AtomicU32,
}

impl Store {
    pub(super) fn new(path: &Path, options: SqliteConnectOptions, clock: Clock, scratch: bool) -> Self {
        Self {
            path: path.to_owned(),
            clock,
            options,
            writer: Mutex::default(),
            reader: Mutex::default(),
            failed: AtomicBool::new(false),
            figures: Figures::new(),
            later: scratch.then(Later::default),
            #[cfg(test)]
            max_pages: std::sync::atomic::AtomicU32::new(u32::MAX - 1),
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn now(&self) -> i64 {
        millis(self.clock.unix_time())
    }

    pub(super) fn is_healthy(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// The error of the store in the words of the house.
    pub(super) fn error(&self, error: &sqlx::Error) -> LedgerError {
        LedgerError::of(&self.path, error)
    }

    /// A row that cannot be read.
    pub(super) fn record(&self, detail: impl std::fmt::Display) -> LedgerError {
        LedgerError::Record { path: self.path.clone(), detail: format!("{detail}") }
    }

    /// What a scratch ledger has yet to write; nothing of the kind in any other.
    pub(super) const fn later(&self) -> Option<&Later> {
        self.later.as_ref()
    }

    /// A connection of its own, for long work.
    pub(super) async fn connect(&self) -> Result<SqliteConnection, LedgerError> {
        #[cfg(test)]
        let options =
            self.options.clone().pragma("max_page_count", self.max_pages.load(Ordering::Relaxed).to_string());
        #[cfg(not(test))]
        let options = &self.options;
        options.connect().await.map_err(|error| self.error(&error))
    }

    /// Begins a write, alone among all processes until it ends. One that is dropped half-way is undone.
    pub(super) async fn write(&self) -> Result<Transaction<'_>, LedgerError> {
        self.catch_up().await?;
        self.begin(true).await
    }

    /// The same without what is to be written later.
    pub(super) async fn write_now(&self) -> Result<Transaction<'_>, LedgerError> {
        self.begin(true).await
    }

    /// Begins a write of one statement, which is done or undone by itself.
    pub(super) async fn write_one(&self) -> Result<Transaction<'_>, LedgerError> {
        self.catch_up().await?;
        self.begin(false).await
    }

    async fn begin(&self, several: bool) -> Result<Transaction<'_>, LedgerError> {
        let hold = self.clock.hold();
        let mut home = self.writer.lock().await;
        let began = self.clock.now();
        let mut alarm = Alarm { store: self, armed: true };
        let connection = match home.take() {
            Some(connection) => connection,
            None => self.revive().await?,
        };
        let mut transaction = Transaction {
            store: self,
            connection,
            home,
            alarm: Alarm { store: self, armed: false },
            several,
            began,
            _hold: hold,
        };
        if several {
            transaction.run(sqlx::query("BEGIN IMMEDIATE")).await?;
        }
        alarm.armed = false;
        transaction.alarm.armed = true;
        Ok(transaction)
    }

    /// A new connection, after a failure only once a write to the file has succeeded.
    async fn revive(&self) -> Result<SqliteConnection, LedgerError> {
        let attempt = async {
            let mut connection = self.connect().await?;
            if !self.is_healthy() {
                sqlx::query("UPDATE pulse SET beats = beats + 1")
                    .execute(&mut connection)
                    .await
                    .map_err(|error| self.error(&error))?;
            }
            Ok(connection)
        };
        let healthy = self.is_healthy();
        let connection = attempt
            .await
            .map_err(|error| if healthy { error } else { LedgerError::Unhealthy(Box::new(error)) })?;
        self.failed.store(false, Ordering::Relaxed);
        Ok(connection)
    }

    /// The connection that reads. Each statement sees all that was committed before it.
    pub(super) async fn read(&self) -> Result<Reader<'_>, LedgerError> {
        self.catch_up().await?;
        self.read_now().await
    }

    /// The same for what no move of a recipient changes.
    pub(super) async fn read_now(&self) -> Result<Reader<'_>, LedgerError> {
        let hold = self.clock.hold();
        let mut home = self.reader.lock().await;
        let connection = match home.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Reader { store: self, connection, home, _hold: hold })
    }
}

/// Says that a write has failed, unless it was disarmed.
struct Alarm<'a> {
    store: &'a Store,
    armed: bool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.store.failed.store(true, Ordering::Relaxed);
            self.store.figures.failed();
        }
    }
}

/// A write that goes on. Dropped without [`Transaction::end`], its connection is closed, which undoes it, and the
/// next write proves first that the file can be written.
pub(super) struct Transaction<'a> {
    pub(super) store: &'a Store,
    connection: SqliteConnection,
    home: MutexGuard<'a, Option<SqliteConnection>>,
    alarm: Alarm<'a>,
    /// Whether it was begun, and has to be ended, by a statement of its own.
    several: bool,
    began: Instant,
    /// A simulated clock stands still while the disk works.
    _hold: Hold,
}

impl Transaction<'_> {
    /// Runs a statement and gives the number of rows that it changed.
    pub(super) async fn run(&mut self, statement: Statement<'_>) -> Result<u64, LedgerError> {
        let done = statement.execute(&mut self.connection).await;
        done.map(|done| done.rows_affected()).map_err(|error| self.store.error(&error))
    }

    /// Runs a text of several statements and gives the number of rows that the last write among them changed; nothing
    /// when a table refuses to have no value where one is due, and then none is begun after that statement.
    pub(super) async fn run_all(&mut self, statements: Statement<'_>) -> Result<Option<u64>, LedgerError> {
        let mut done = (&mut self.connection).execute_many(statements);
        let mut changed = 0;
        loop {
            match done.try_next().await {
                // The end of a transaction repeats the number of the statement before it.
                Ok(Some(one)) => changed = one.rows_affected(),
                Ok(None) => return Ok(Some(changed)),
                Err(sqlx::Error::Database(error)) if error.kind() == ErrorKind::NotNullViolation => {
                    return Ok(None);
                }
                Err(error) => return Err(self.store.error(&error)),
            }
        }
    }

    /// Runs a statement that inserts rows, and gives the number of the last one; none when the table refuses to have
    /// no value where one is due.
    pub(super) async fn insert(&mut self, statement: Statement<'_>) -> Result<Option<i64>, LedgerError> {
        match statement.execute(&mut self.connection).await {
            Ok(done) => Ok(Some(done.last_insert_rowid())),
            Err(sqlx::Error::Database(error)) if error.kind() == ErrorKind::NotNullViolation => Ok(None),
            Err(error) => Err(self.store.error(&error)),
        }
    }

    /// The first row that a question gives.
    pub(super) async fn row<T>(&mut self, question: Question<'_, T>) -> Result<Option<T>, LedgerError>
    where
        T: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
    {
        question.fetch_optional(&mut self.connection).await.map_err(|error| self.store.error(&error))
    }

    /// All rows that a question gives.
    pub(super) async fn rows<T>(&mut self, question: Question<'_, T>) -> Result<Vec<T>, LedgerError>
    where
        T: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
    {
        question.fetch_all(&mut self.connection).await.map_err(|error| self.store.error(&error))
    }

    /// Commits what went well, and undoes what did not.
    pub(super) async fn end<T>(mut self, result: Result<T, LedgerError>) -> Result<T, LedgerError> {
        let last = match &result {
            Ok(_) => "COMMIT",
            Err(error) if error.is_fault() => return result,
            Err(_) => "ROLLBACK",
        };
        if self.several {
            self.run(sqlx::query(last)).await?;
        }
        *self.home = Some(self.connection);
        self.alarm.armed = false;
        if result.is_ok() {
            self.store.figures.committed(self.store.clock.now() - self.began);
        }
        result
    }
}

/// The right to read.
pub(super) struct Reader<'a> {
    store: &'a Store,
    connection: SqliteConnection,
    home: MutexGuard<'a, Option<SqliteConnection>>,
    _hold: Hold,
}

impl Reader<'_> {
    /// All rows that a question gives.
    pub(super) async fn rows<T>(&mut self, question: Question<'_, T>) -> Result<Vec<T>, LedgerError>
    where
        T: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
    {
        question.fetch_all(&mut self.connection).await.map_err(|error| self.store.error(&error))
    }

    /// The first row that a question gives.
    pub(super) async fn row<T>(&mut self, question: Question<'_, T>) -> Result<Option<T>, LedgerError>
    where
        T: Send + Unpin + for<'r> FromRow<'r, SqliteRow>,
    {
        question.fetch_optional(&mut self.connection).await.map_err(|error| self.store.error(&error))
    }

    /// Gives the connection back; one that is dropped instead is closed.
    pub(super) fn done(mut self) {
        *self.home = Some(self.connection);
    }
}

/// As the ledger stores a length or an instant.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// As the ledger gives a length or an instant.
pub(super) fn from_millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// A count or a number as the store keeps it.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as the store gave it.
pub(super) fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
