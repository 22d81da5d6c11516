//! Recent sending activity of all processes on the ledger, in spans of ten seconds, for display.

use std::time::Duration;

use super::columns::Millis;
use super::sql::sql;
use super::store::stored;
use super::{AppId, Ledger, LedgerError};

/// The length of a span, in seconds.
const SPAN: u64 = 10;

/// How long spans are kept.
const KEPT: Duration = Duration::from_hours(24);

/// How much of a quota was used in one span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Activity {
    /// When the span begins.
    #[sqlx(try_from = "Millis")]
    pub at: Duration,
    /// How much was sent to the service, in the unit of the quota: messages to groups, or targeted calls (their users, if
    /// `targeted_cost` is `user`).
    #[sqlx(try_from = "i64")]
    pub sent: u64,
    /// How much of it the service rejected because of a rate limit.
    #[sqlx(try_from = "i64")]
    pub throttled: u64,
}

/// What one process has sent of a quota and not reported yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewActivity {
    pub app: AppId,
    pub quota: &'static str,
    /// Any instant within the span.
    pub at: Duration,
    /// How much was written to the service.
    pub sent: u64,
    /// How much of it was rejected because of a rate limit.
    pub throttled: u64,
}

impl Ledger {
    /// Adds activity, and deletes spans older than a day.
    pub async fn add_activity(&self, news: &[NewActivity]) -> Result<(), LedgerError> {
        self.store()
            .transaction(async |write| {
                for new in news {
                    let statement =
                        sql("INSERT INTO activity (app, quota, at, sent, throttled) VALUES (?, ?, ?, ?, ?)
                        ON CONFLICT (app, quota, at) DO UPDATE SET sent = activity.sent + excluded.sent,
                            throttled = activity.throttled + excluded.throttled");
                    let at = new.at.as_secs() / SPAN * SPAN;
                    let statement = statement.bind(new.app.0).bind(new.quota).bind(stored(at));
                    write.run(statement.bind(stored(new.sent)).bind(stored(new.throttled))).await?;
                    let old = sql("DELETE FROM activity WHERE app = ? AND quota = ? AND at < ?");
                    let until = new.at.saturating_sub(KEPT).as_secs();
                    write.run(old.bind(new.app.0).bind(new.quota).bind(stored(until))).await?;
                }
                Ok(())
            })
            .await
    }

    /// Returns the activity of a quota since an instant, for one app or summed over all apps, the oldest span first.
    /// Spans without activity are left out.
    pub async fn activity(
        &self,
        app: Option<AppId>,
        quota: &str,
        since: Duration,
    ) -> Result<Vec<Activity>, LedgerError> {
        let question =
            sql("SELECT at * 1000 AS at, CAST(sum(sent) AS BIGINT) AS sent, CAST(sum(throttled) AS BIGINT) AS throttled FROM activity
                WHERE (?1 IS NULL OR app = ?1) AND quota = ?2 AND at >= ?3 GROUP BY activity.at ORDER BY activity.at");
        let question = question.bind(app.map(|app| app.0)).bind(quota).bind(stored(since.as_secs()));
        self.store().rows_now(question).await
    }
}
