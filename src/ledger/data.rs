//! The scripts' own data: text values by key, in namespaces.

use std::time::Duration;

use super::columns::OptionalMillis;
use super::sql::{Statement, sql};
use super::store::millis;
use super::{Ledger, LedgerError};

/// The most expired keys of a namespace that one write deletes.
const PRUNED_AT_ONCE: i64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddResult {
    Now(i64),
    /// Nothing was added: the current value, given here, is not an integer.
    NoNumber(String),
    /// Nothing was added: the sum with the current value, given here, does not fit into 64 bits.
    TooLarge(i64),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DataEntry {
    pub key: String,
    pub value: String,
    /// When it expires; `None` means never.
    #[sqlx(try_from = "OptionalMillis")]
    pub expires_at: Option<Duration>,
}

impl Ledger {
    /// Returns the value of a key. `None` if it has none, or if it has expired.
    pub async fn data_get(&self, namespace: &str, key: &str) -> Result<Option<String>, LedgerError> {
        let question = of_live("SELECT value", namespace, key, self.store().now());
        let found: Option<(String,)> = self.store().row(question).await?;
        Ok(found.map(|(value,)| value))
    }

    /// Sets the value of a key. It expires at `expires_at`; `None` means never.
    pub async fn data_set(
        &self,
        namespace: &str,
        key: &str,
        value: &str,
        expires_at: Option<Duration>,
    ) -> Result<(), LedgerError> {
        let now = self.store().now();
        self.store()
            .transaction(async |write| {
                write.run(clear(namespace, now)).await?;
                write.run(put(namespace, key, value, expires_at.map(millis))).await?;
                Ok(())
            })
            .await
    }

    /// Sets a key to `new` if its current value is `expected`, atomically among all processes. An `expected` of `None`
    /// means no value; a `new` of `None` deletes the key. Returns whether the value was changed.
    pub async fn data_swap(
        &self,
        namespace: &str,
        key: &str,
        expected: Option<&str>,
        new: Option<&str>,
        expires_at: Option<Duration>,
    ) -> Result<bool, LedgerError> {
        let now = self.store().now();
        self.store()
            .transaction(async |write| {
                write.run(clear(namespace, now)).await?;
                let held: Option<(String,)> = write.row(of_live("SELECT value", namespace, key, now)).await?;
                if held.as_ref().map(|(value,)| value.as_str()) != expected {
                    return Ok(false);
                }
                let statement = match new {
                    Some(new) => put(namespace, key, new, expires_at.map(millis)),
                    None => sql("DELETE FROM data WHERE namespace = ? AND key = ?").bind(namespace).bind(key),
                };
                write.run(statement).await?;
                Ok(true)
            })
            .await
    }

    /// Adds `by` to the integer value of a key, atomically among all processes. A key without a value starts at 0 and
    /// expires at `expires_at` (`None`: never). A key with a value keeps its expiry.
    pub async fn data_add(
        &self,
        namespace: &str,
        key: &str,
        by: i64,
        expires_at: Option<Duration>,
    ) -> Result<AddResult, LedgerError> {
        let now = self.store().now();
        self.store()
            .transaction(async |write| {
                write.run(clear(namespace, now)).await?;
                let held: Option<(String, Option<i64>)> =
                    write.row(of_live("SELECT value, expires_at", namespace, key, now)).await?;
                let (value, expires_at) = held.unwrap_or_else(|| ("0".to_owned(), expires_at.map(millis)));
                let Ok(number) = value.parse::<i64>() else { return Ok(AddResult::NoNumber(value)) };
                let Some(sum) = number.checked_add(by) else { return Ok(AddResult::TooLarge(number)) };
                write.run(put(namespace, key, &sum.to_string(), expires_at)).await?;
                Ok(AddResult::Now(sum))
            })
            .await
    }

    /// Deletes a key; returns whether it existed and had not expired.
    pub async fn data_delete(&self, namespace: &str, key: &str) -> Result<bool, LedgerError> {
        Ok(self.change(of_live("DELETE", namespace, key, self.store().now())).await? > 0)
    }

    /// Returns a page of entries in the order of their keys: those that begin with `prefix` and come after
    /// the key `after`. The page ends after `limit` entries, or with the entry whose value brings the page over
    /// `characters`.
    pub async fn data_list(
        &self,
        namespace: &str,
        prefix: &str,
        after: &str,
        limit: u32,
        characters: usize,
    ) -> Result<Vec<DataEntry>, LedgerError> {
        let question = sql("SELECT key, value, expires_at FROM (
                SELECT key, value, expires_at,
                    sum(length(value)) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - length(value) AS before
                FROM (SELECT key, value, expires_at FROM data
                    WHERE namespace = ?1 AND key >= ?2 AND key > ?3 AND substr(key, 1, length(?2)) = ?2
                    AND (expires_at IS NULL OR expires_at > ?4) ORDER BY key LIMIT ?5) AS first) AS page
                WHERE before <= ?6 ORDER BY key");
        let question = question.bind(namespace).bind(prefix).bind(after).bind(self.store().now());
        let question = question.bind(limit).bind(i64::try_from(characters).unwrap_or(i64::MAX));
        self.store().rows(question).await
    }

    /// As [`Store::change`](super::store::Store::change).
    pub(super) async fn change(&self, statement: Statement) -> Result<u64, LedgerError> {
        self.store().change(statement).await
    }
}

/// A statement about a key that has not expired. `what` is its part before FROM.
fn of_live(what: &str, namespace: &str, key: &str, now: i64) -> Statement {
    let text = "FROM data WHERE namespace = ? AND key = ? AND (expires_at IS NULL OR expires_at > ?)";
    sql(format!("{what} {text}")).bind(namespace).bind(key).bind(now)
}

/// The statement that sets the value of a key.
fn put(namespace: &str, key: &str, value: &str, expires_at: Option<i64>) -> Statement {
    let statement = sql(
        "INSERT INTO data (namespace, key, value, expires_at) VALUES (?, ?, ?, ?)
            ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at",
    );
    statement.bind(namespace.to_owned()).bind(key.to_owned()).bind(value.to_owned()).bind(expires_at)
}

/// The statement that deletes expired keys. Without it, a namespace whose keys all expire would grow forever if its
/// old keys were never read again.
fn clear(namespace: &str, now: i64) -> Statement {
    let statement = sql("DELETE FROM data WHERE namespace = ?1 AND key IN
            (SELECT key FROM data WHERE namespace = ?1 AND expires_at <= ?2 LIMIT ?3)");
    statement.bind(namespace.to_owned()).bind(now).bind(PRUNED_AT_ONCE)
}
