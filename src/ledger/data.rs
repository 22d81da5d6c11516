//! The scripts' own data: text by key, in namespaces.

use std::time::Duration;

use super::store::{Statement, from_millis, millis};
use super::{Ledger, LedgerError};

impl Ledger {
    /// The value of a key, if it has one that has not expired.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn data_get(&self, namespace: &str, key: &str) -> Result<Option<String>, LedgerError> {
        let question = sqlx::query_as(
            "SELECT value FROM data WHERE namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)",
        );
        let mut read = self.store().read().await?;
        let found: Option<(String,)> =
            read.row(question.bind(namespace).bind(key).bind(self.store().now())).await?;
        read.done();
        Ok(found.map(|(value,)| value))
    }

    /// Gives a key a value, until `expires_at` where that is said.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn data_set(
        &self,
        namespace: &str,
        key: &str,
        value: &str,
        expires_at: Option<Duration>,
    ) -> Result<(), LedgerError> {
        let statement = sqlx::query(
            "INSERT INTO data (namespace, key, value, expires_at) VALUES (?, ?, ?, ?)
                ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
        );
        let statement = statement.bind(namespace).bind(key).bind(value).bind(expires_at.map(millis));
        self.change(statement).await.map(drop)
    }

    /// Gives a key the value `new` if it has the value `expected` now (none: no value), at once for all processes.
    /// `new` none deletes it. Gives whether it did.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn data_swap(
        &self,
        namespace: &str,
        key: &str,
        expected: Option<&str>,
        new: Option<&str>,
        expires_at: Option<Duration>,
    ) -> Result<bool, LedgerError> {
        let now = self.store().now();
        let mut write = self.store().write().await?;
        let result = async {
            let gone = sqlx::query("DELETE FROM data WHERE namespace = ? AND key = ? AND expires_at <= ?");
            write.run(gone.bind(namespace).bind(key).bind(now)).await?;
            let question = sqlx::query_as("SELECT value FROM data WHERE namespace = ? AND key = ?");
            let held: Option<(String,)> = write.row(question.bind(namespace).bind(key)).await?;
            if held.as_ref().map(|(value,)| value.as_str()) != expected {
                return Ok(false);
            }
            let statement = match new {
                Some(new) => sqlx::query(
                    "INSERT INTO data (namespace, key, value, expires_at) VALUES (?, ?, ?, ?)
                        ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
                )
                .bind(namespace)
                .bind(key)
                .bind(new)
                .bind(expires_at.map(millis)),
                None => sqlx::query("DELETE FROM data WHERE namespace = ? AND key = ?").bind(namespace).bind(key),
            };
            write.run(statement).await?;
            Ok(true)
        }
        .await;
        write.end(result).await
    }

    /// Deletes a key; gives whether there was one.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn data_delete(&self, namespace: &str, key: &str) -> Result<bool, LedgerError> {
        let statement = sqlx::query("DELETE FROM data WHERE namespace = ? AND key = ?");
        Ok(self.change(statement.bind(namespace).bind(key)).await? > 0)
    }

    /// A page of (key, value, when it expires) by key: those that begin with `prefix`, after the key `after`.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn data_list(
        &self,
        namespace: &str,
        prefix: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, String, Option<Duration>)>, LedgerError> {
        let question = sqlx::query_as(
            "SELECT key, value, expires_at FROM data
                WHERE namespace = ?1 AND key >= ?2 AND key > ?3 AND substr(key, 1, length(?2)) = ?2
                AND (expires_at IS NULL OR expires_at > ?4) ORDER BY key LIMIT ?5",
        );
        let question = question.bind(namespace).bind(prefix).bind(after).bind(self.store().now()).bind(limit);
        let mut read = self.store().read().await?;
        let rows: Vec<(String, String, Option<i64>)> = read.rows(question).await?;
        read.done();
        Ok(rows.into_iter().map(|(key, value, at)| (key, value, at.map(from_millis))).collect())
    }

    /// One statement, in a write of its own; gives how many rows it changed.
    pub(super) async fn change(&self, statement: Statement<'_>) -> Result<u64, LedgerError> {
        let mut write = self.store().write().await?;
        let result = write.run(statement).await;
        write.end(result).await
    }
}
