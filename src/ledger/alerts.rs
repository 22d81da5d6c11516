//! Alerts on their way to a webhook: kept until they are delivered, and remembered for a while after.

use std::time::Duration;

use super::sql::sql;
use super::store::{from_millis, millis, small};
use super::{Ledger, LedgerError};

/// How long the key of an alert that is done is remembered at the longest.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// An instant further off than any wait is long was set before the clock went back.
const LONGEST_WAIT: Duration = Duration::from_hours(2);

/// An alert that is to be delivered now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueAlert {
    /// By which it is done or put off.
    pub id: i64,
    /// What makes it the same as another.
    pub key: String,
    /// What is posted.
    pub body: String,
    /// When it was raised.
    pub raised_at: Duration,
    /// How often it was tried, this time included.
    pub tries: u32,
}

impl Ledger {
    /// Keeps an alert for delivery, unless there is one with that key, or was one that was done within `again_after`
    /// (30 days at the most); gives whether it did.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn alert_push(
        &self,
        key: &str,
        body: &str,
        again_after: Duration,
    ) -> Result<bool, LedgerError> {
        let now = self.store().now();
        let old = sql("DELETE FROM alerts WHERE done_at < ?1 OR (key = ?2 AND done_at < ?3)");
        let old = old.bind(now - millis(REMEMBERED)).bind(key).bind(now - millis(again_after));
        self.change(old).await?;
        let new = sql(
            "INSERT INTO alerts (key, body, raised_at, due_at) VALUES (?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
        );
        Ok(self.change(new.bind(key).bind(body).bind(now)).await? > 0)
    }

    /// Takes at the most `limit` alerts that are due, the oldest first. Nobody else is given them for `hold`; after
    /// that they are due again, so one whose taker died is not lost.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn alerts_due(&self, limit: u32, hold: Duration) -> Result<Vec<DueAlert>, LedgerError> {
        type Row = (i64, String, String, i64, i64);
        // Mostly there is none, and then nothing is written.
        if self.alert_next_due().await?.is_none_or(|due| due > from_millis(self.store().now())) {
            return Ok(Vec::new());
        }
        let now = self.store().now();
        let mut write = self.store().write().await?;
        let question =
            sql("UPDATE alerts SET due_at = ?1, tries = tries + 1 WHERE id IN (SELECT id FROM alerts
                WHERE done_at IS NULL AND (due_at <= ?2 OR due_at > ?3) ORDER BY id LIMIT ?4)
                RETURNING id, key, body, raised_at, tries");
        let question =
            question.bind(now + millis(hold)).bind(now).bind(now + millis(LONGEST_WAIT)).bind(limit);
        let rows = write.rows::<Row>(question).await;
        let mut rows = write.end(rows).await?;
        rows.sort_unstable_by_key(|(id, ..)| *id);
        let due = |(id, key, body, raised_at, tries)| DueAlert {
            id,
            key,
            body,
            raised_at: from_millis(raised_at),
            tries: small(tries),
        };
        Ok(rows.into_iter().map(due).collect())
    }

    /// When the next alert is due, which may be past; none when all are done.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn alert_next_due(&self) -> Result<Option<Duration>, LedgerError> {
        let question = sql(
            "SELECT CASE WHEN min(due_at) > ?1 THEN 0 ELSE min(due_at) END FROM alerts WHERE done_at IS NULL",
        );
        let mut read = self.store().read().await?;
        let row: Option<(Option<i64>,)> =
            read.row(question.bind(self.store().now() + millis(LONGEST_WAIT))).await?;
        read.done();
        Ok(row.and_then(|(due,)| due).map(from_millis))
    }

    /// Notes that an alert was delivered.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn alert_done(&self, id: i64) -> Result<(), LedgerError> {
        let statement = sql("UPDATE alerts SET done_at = ?, error = NULL WHERE id = ?");
        self.change(statement.bind(self.store().now()).bind(id)).await.map(drop)
    }

    /// Notes why an alert was not delivered, and when it is to be tried again; without an instant it is given up.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn alert_failed(
        &self,
        id: i64,
        error: &str,
        again_at: Option<Duration>,
    ) -> Result<(), LedgerError> {
        let statement = sql("UPDATE alerts SET error = ?1, due_at = coalesce(?2, due_at),
                done_at = CASE WHEN ?2 IS NULL THEN ?3 END WHERE id = ?4");
        let statement = statement.bind(error).bind(again_at.map(millis)).bind(self.store().now()).bind(id);
        self.change(statement).await.map(drop)
    }
}
