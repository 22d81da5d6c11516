//! A connection to the store: SQLite or Postgres.

use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::error::ErrorKind;
use sqlx::{Executor, FromRow};
use sqlx_postgres::PgConnection;
use sqlx_postgres::PgRow;
use sqlx_sqlite::SqliteConnection;
use sqlx_sqlite::SqliteRow;

use super::sql::Statement;

/// A row type that both stores can decode.
pub(super) trait DecodableRow:
    Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>
{
}

impl<T> DecodableRow for T where T: Send + Unpin + for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> {}

/// One connection. Its state is unknown after a statement was dropped half-way.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// Runs a statement; returns how many rows it changed.
    pub(super) async fn run(&mut self, statement: Statement) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let (text, given) = statement.for_sqlite()?;
                Ok(sqlx::query_with(text, given).execute(connection).await?.rows_affected())
            }
            Self::Postgres(connection) => {
                let (text, given) = statement.for_postgres()?;
                Ok(sqlx::query_with(text, given).execute(connection).await?.rows_affected())
            }
        }
    }

    /// Returns the first row of a query.
    pub(super) async fn row<T: DecodableRow>(
        &mut self,
        question: Statement,
    ) -> Result<Option<T>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let (text, given) = question.for_sqlite()?;
                sqlx::query_as_with(text, given).fetch_optional(connection).await
            }
            Self::Postgres(connection) => {
                let (text, given) = question.for_postgres()?;
                sqlx::query_as_with(text, given).fetch_optional(connection).await
            }
        }
    }

    /// Returns all rows of a query.
    pub(super) async fn rows<T: DecodableRow>(&mut self, question: Statement) -> Result<Vec<T>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => {
                let (text, given) = question.for_sqlite()?;
                sqlx::query_as_with(text, given).fetch_all(connection).await
            }
            Self::Postgres(connection) => {
                let (text, given) = question.for_postgres()?;
                sqlx::query_as_with(text, given).fetch_all(connection).await
            }
        }
    }

    /// Streams the rows of a query one by one, because there may be millions.
    pub(super) fn stream<T: DecodableRow + 'static>(
        &mut self,
        question: Statement,
    ) -> Result<BoxStream<'_, Result<T, sqlx::Error>>, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connection) => {
                let (text, given) = question.for_sqlite()?;
                sqlx::query_as_with(text, given).fetch(connection)
            }
            Self::Postgres(connection) => {
                let (text, given) = question.for_postgres()?;
                sqlx::query_as_with(text, given).fetch(connection)
            }
        })
    }

    /// Runs a text of several statements in SQLite; returns how many rows the last write among them changed. `None` if
    /// a NOT NULL constraint failed; no later statement runs then.
    pub(super) async fn run_all(&mut self, statements: Statement) -> Result<Option<u64>, sqlx::Error> {
        let Self::Sqlite(connection) = self else { return self.run(statements).await.map(Some) };
        let (text, given) = statements.for_sqlite()?;
        let mut done = connection.execute_many(sqlx::query_with(text, given));
        let mut changed = 0;
        loop {
            match done.try_next().await {
                // The end of a transaction repeats the row count of the statement before it.
                Ok(Some(one)) => changed = one.rows_affected(),
                Ok(None) => return Ok(Some(changed)),
                Err(error) if is_refusal(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs a statement that inserts rows in SQLite; returns the id of the last one. `None` if a NOT NULL constraint
    /// failed.
    pub(super) async fn insert(&mut self, statement: Statement) -> Result<Option<i64>, sqlx::Error> {
        let Self::Sqlite(connection) = self else { return self.run(statement).await.map(|_| None) };
        let (text, given) = statement.for_sqlite()?;
        match sqlx::query_with(text, given).execute(connection).await {
            Ok(done) => Ok(Some(done.last_insert_rowid())),
            Err(error) if is_refusal(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Returns whether a NOT NULL constraint failed.
pub(super) fn is_refusal(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.kind() == ErrorKind::NotNullViolation)
}
