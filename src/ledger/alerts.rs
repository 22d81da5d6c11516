//! Alerts for a webhook. An alert is kept until it is delivered, and its key is remembered for a while afterwards.

use std::time::Duration;

use super::columns::Millis;
use super::sql::sql;
use super::store::{from_millis, millis};
use super::{Ledger, LedgerError};

/// The longest time for which the key of a finished alert is remembered.
const REMEMBERED: Duration = Duration::from_hours(30 * 24);

/// The longest wait before a retry. A due time further ahead was set before the clock was set back, so the alert is
/// due.
const LONGEST_WAIT: Duration = Duration::from_hours(2);

/// An alert that is due for delivery.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DueAlert {
    /// The alert's number, for [`Ledger::alert_done`] and [`Ledger::alert_failed`].
    pub id: i64,
    /// The dedup key: alerts with the same key are the same alert.
    pub key: String,
    /// The body of the request to the webhook.
    pub body: String,
    #[sqlx(try_from = "Millis")]
    pub raised_at: Duration,
    /// How many times delivery was tried, including this time.
    #[sqlx(try_from = "i64")]
    pub tries: u32,
}

/// The alerts of a receiver that it has not accepted.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct UndeliveredAlerts {
    /// The receiver's name in the settings.
    pub receiver: String,
    /// How many are tried again.
    #[sqlx(try_from = "i64")]
    pub pending: u64,
    /// How many were dropped.
    #[sqlx(try_from = "i64")]
    pub dropped: u64,
    /// When the oldest of them was raised.
    #[sqlx(try_from = "Millis")]
    pub since: Duration,
    /// Why one of them was not accepted.
    pub error: String,
}

impl Ledger {
    /// Returns the alerts whose delivery failed, by receiver: those that are tried again, and those that were dropped at
    /// this time or later.
    pub async fn undelivered_alerts(
        &self,
        dropped_since: Duration,
    ) -> Result<Vec<UndeliveredAlerts>, LedgerError> {
        let question = sql("SELECT receiver, count(CASE WHEN done_at IS NULL THEN 1 END) AS pending,
                count(CASE WHEN done_at IS NOT NULL THEN 1 END) AS dropped, min(raised_at) AS since, max(error) AS error
                FROM alerts WHERE error IS NOT NULL AND (done_at IS NULL OR done_at >= ?)
                GROUP BY receiver ORDER BY receiver");
        self.store().rows(question.bind(millis(dropped_since))).await
    }

    /// Stores an alert for delivery to a receiver; returns whether it did. It does not if an alert with that key is
    /// pending, or was finished within `again_after` (at most 30 days).
    pub async fn alert_push(
        &self,
        receiver: &str,
        key: &str,
        body: &str,
        again_after: Duration,
    ) -> Result<bool, LedgerError> {
        let now = self.store().now();
        // One that is pending for so long has a receiver that the settings no longer have.
        let old = sql("DELETE FROM alerts WHERE done_at < ?1 OR (done_at IS NULL AND raised_at < ?1)
                OR (receiver = ?2 AND key = ?3 AND done_at < ?4)");
        let old = old.bind(now - millis(REMEMBERED)).bind(receiver).bind(key).bind(now - millis(again_after));
        self.change(old).await?;
        let new =
            sql("INSERT INTO alerts (receiver, key, body, raised_at, due_at) VALUES (?1, ?2, ?3, ?4, ?4)
                ON CONFLICT DO NOTHING");
        Ok(self.change(new.bind(receiver).bind(key).bind(body).bind(now)).await? > 0)
    }

    /// Takes at most `limit` alerts of a receiver that are due, the oldest first. No other caller gets them for `hold`.
    /// After that they are due again, so an alert whose taker died is not lost.
    pub async fn alerts_due(
        &self,
        receiver: &str,
        limit: u32,
        hold: Duration,
    ) -> Result<Vec<DueAlert>, LedgerError> {
        // Usually no alert is due, and then nothing is written.
        if self.alert_next_due(receiver).await?.is_none_or(|due| due > from_millis(self.store().now())) {
            return Ok(Vec::new());
        }
        let now = self.store().now();
        let question =
            sql("UPDATE alerts SET due_at = ?1, tries = tries + 1 WHERE id IN (SELECT id FROM alerts
                WHERE receiver = ?5 AND done_at IS NULL AND (due_at <= ?2 OR due_at > ?3) ORDER BY id LIMIT ?4)
                AND done_at IS NULL AND (due_at <= ?2 OR due_at > ?3)
                RETURNING id, key, body, raised_at, tries");
        let question = question
            .bind(now + millis(hold))
            .bind(now)
            .bind(now + millis(LONGEST_WAIT))
            .bind(limit)
            .bind(receiver);
        let mut due: Vec<DueAlert> =
            self.store().transaction(async |write| write.rows(question).await).await?;
        due.sort_unstable_by_key(|alert| alert.id);
        Ok(due)
    }

    /// Returns when the next alert of a receiver is due, which may be in the past. `None` if no alert is pending.
    pub async fn alert_next_due(&self, receiver: &str) -> Result<Option<Duration>, LedgerError> {
        let question = sql("SELECT CASE WHEN min(due_at) > ?1 THEN 0 ELSE min(due_at) END FROM alerts
                WHERE receiver = ?2 AND done_at IS NULL");
        let row: Option<(Option<i64>,)> =
            self.store().row(question.bind(self.store().now() + millis(LONGEST_WAIT)).bind(receiver)).await?;
        Ok(row.and_then(|(due,)| due).map(from_millis))
    }

    /// Records that an alert was delivered.
    pub async fn alert_done(&self, id: i64) -> Result<(), LedgerError> {
        let statement = sql("UPDATE alerts SET done_at = ?, error = NULL WHERE id = ?");
        self.change(statement.bind(self.store().now()).bind(id)).await.map(drop)
    }

    /// Records why an alert was not delivered, and when to try again. Without `again_at` the alert is dropped.
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
