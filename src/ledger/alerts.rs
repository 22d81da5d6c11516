//! Alerts for a webhook. An alert is kept until it is delivered, and its key is remembered for a while afterwards.

use std::time::Duration;

use super::columns::Millis;
use super::sql::sql;
use super::store::{Transaction, from_millis, millis};
use super::{Ledger, LedgerError};
use crate::config::AlertSettings;

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

/// A receiver, as its alerts know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertAddress {
    /// Its name in the settings.
    pub name: String,
    /// A hash of its URL.
    pub target: String,
}

impl AlertAddress {
    pub fn of(receiver: &AlertSettings) -> Self {
        Self { name: receiver.name.clone(), target: receiver.target() }
    }
}

/// The alerts for a name and a URL.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct StoredAlerts {
    pub receiver: String,
    /// The hash of the URL. `None` if an older program raised them.
    pub target: Option<String>,
    /// How many are not delivered yet.
    #[sqlx(try_from = "i64")]
    pub pending: u64,
}

impl StoredAlerts {
    /// The receiver that gets them: the one with their name, or else one with their URL.
    pub fn receiver_in<'a>(&self, receivers: &'a [AlertAddress]) -> Option<&'a AlertAddress> {
        let by_target = || receivers.iter().find(|one| Some(&one.target) == self.target.as_ref());
        receivers.iter().find(|one| one.name == self.receiver).or_else(by_target)
    }
}

/// What became of alerts for receivers that the settings do not have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AdoptedAlerts {
    /// The name that the alerts had, the receiver that gets them now, and how many wait to be delivered.
    pub moved: Vec<(String, String, u64)>,
    /// Names that no receiver has, and how many alerts wait for each.
    pub waiting: Vec<(String, u64)>,
    /// The name and the key of each alert that was dropped.
    pub dropped: Vec<(String, String)>,
}

/// Why an alert of an unknown receiver waits.
const NO_RECEIVER: &str =
    "the settings have no receiver of this name and none with its URL; add one, and it gets what waits";

impl Ledger {
    /// Returns how many alerts there are by receiver and URL.
    pub async fn stored_alerts(&self) -> Result<Vec<StoredAlerts>, LedgerError> {
        let question = sql("SELECT receiver, target, count(CASE WHEN done_at IS NULL THEN 1 END) AS pending
                FROM alerts GROUP BY receiver, target ORDER BY receiver, target");
        self.store().rows(question).await
    }

    /// Gives alerts whose receiver was renamed to the receiver with their URL. Alerts that no receiver gets wait, and are
    /// dropped `patience` after they were raised.
    pub async fn adopt_alerts(
        &self,
        receivers: &[AlertAddress],
        patience: Duration,
    ) -> Result<AdoptedAlerts, LedgerError> {
        let stray = |alerts: &StoredAlerts| {
            let known = receivers.iter().any(|one| one.name == alerts.receiver);
            !known && (alerts.pending > 0 || alerts.receiver_in(receivers).is_some())
        };
        let found: Vec<StoredAlerts> = self.stored_alerts().await?.into_iter().filter(stray).collect();
        let mut adopted = AdoptedAlerts::default();
        if found.is_empty() {
            return Ok(adopted);
        }
        self.store()
            .transaction(async |write| {
                for alerts in found {
                    match alerts.receiver_in(receivers) {
                        Some(to) => {
                            rename(write, &alerts.receiver, to).await?;
                            adopted.moved.push((alerts.receiver, to.name.clone(), alerts.pending));
                        }
                        None => leave(write, alerts, patience, &mut adopted).await?,
                    }
                }
                Ok(())
            })
            .await?;
        Ok(adopted)
    }

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
        receiver: &AlertAddress,
        key: &str,
        body: &str,
        again_after: Duration,
    ) -> Result<bool, LedgerError> {
        let AlertAddress { name, target } = receiver;
        let now = self.store().now();
        let old =
            sql("DELETE FROM alerts WHERE done_at < ?1 OR (receiver = ?2 AND key = ?3 AND done_at < ?4)");
        let old = old.bind(now - millis(REMEMBERED)).bind(name).bind(key).bind(now - millis(again_after));
        self.change(old).await?;
        let new = sql(
            "INSERT INTO alerts (receiver, target, key, body, raised_at, due_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
                ON CONFLICT DO NOTHING",
        );
        Ok(self.change(new.bind(name).bind(target).bind(key).bind(body).bind(now)).await? > 0)
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

/// Gives the alerts of a name to the receiver with their URL. Of two alerts with one key, the one that waits stays.
async fn rename(write: &mut Transaction<'_>, from: &str, to: &AlertAddress) -> Result<(), LedgerError> {
    let told = sql("DELETE FROM alerts WHERE receiver = ?1 AND done_at IS NOT NULL AND EXISTS
            (SELECT 1 FROM alerts o WHERE o.receiver = ?2 AND o.target = ?3 AND o.key = alerts.key AND o.done_at IS NULL)");
    write.run(told.bind(&to.name).bind(from).bind(&to.target)).await?;
    let same = sql("DELETE FROM alerts WHERE receiver = ?1 AND target = ?2 AND EXISTS
            (SELECT 1 FROM alerts o WHERE o.receiver = ?3 AND o.key = alerts.key)");
    write.run(same.bind(from).bind(&to.target).bind(&to.name)).await?;
    let moved = sql("UPDATE alerts SET receiver = ? WHERE receiver = ? AND target = ?");
    write.run(moved.bind(&to.name).bind(from).bind(&to.target)).await.map(drop)
}

/// Records that the alerts of a name have no receiver, and drops the old ones.
async fn leave(
    write: &mut Transaction<'_>,
    alerts: StoredAlerts,
    patience: Duration,
    adopted: &mut AdoptedAlerts,
) -> Result<(), LedgerError> {
    let StoredAlerts { receiver, target, pending } = alerts;
    let of = "receiver = ?1 AND (target = ?2 OR (target IS NULL AND ?2 IS NULL)) AND done_at IS NULL";
    let noted = sql(format!("UPDATE alerts SET error = ?3 WHERE {of} AND (error IS NULL OR error <> ?3)"));
    write.run(noted.bind(&receiver).bind(target.as_deref()).bind(NO_RECEIVER)).await?;
    let now = write.store.now();
    let old = sql(format!("UPDATE alerts SET done_at = ?3 WHERE {of} AND raised_at < ?4 RETURNING key"));
    let old = old.bind(&receiver).bind(target.as_deref()).bind(now).bind(now - millis(patience));
    let dropped: Vec<(String,)> = write.rows(old).await?;
    let waiting = pending.saturating_sub(dropped.len() as u64);
    adopted.dropped.extend(dropped.into_iter().map(|(key,)| (receiver.clone(), key)));
    if waiting > 0 {
        adopted.waiting.push((receiver, waiting));
    }
    Ok(())
}
