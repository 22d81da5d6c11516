//! The quota of an app, shared by all processes on one ledger.

use std::time::Duration;

use super::store::stored;
use super::{AppId, Ledger, LedgerError};

/// A wall clock that is behind what another process saw by more than this was set back.
const SET_BACK: Duration = Duration::from_mins(1);

impl Ledger {
    /// Takes the next `count` places of a quota, `interval` apart, for this caller alone. Gives the first; the caller
    /// sends its message k (from 0) at that instant + k × `interval`, or later. Never before `not_before`, nor before now.
    ///
    /// Instants are exact to the microsecond. When the clock is set back by more than a minute, what others have taken
    /// moves back with it.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn take_slice(
        &self,
        app: AppId,
        quota: &str,
        count: u32,
        interval: Duration,
        not_before: Duration,
    ) -> Result<Duration, LedgerError> {
        let length = micros(interval).saturating_mul(i64::from(count));
        let mut write = self.store().write().await?;
        // Read once it is our turn: while this waited for others, time went on.
        let now = micros(self.store().clock.unix_time());
        let statement = sqlx::query_as(
            "INSERT INTO slices (app, quota, free_at, taken_at) VALUES (?1, ?2, max(?3, ?4) + ?5, ?3)
                ON CONFLICT (app, quota) DO UPDATE SET taken_at = excluded.taken_at, free_at = ?5 + max(?3, ?4,
                    CASE WHEN taken_at > ?3 + ?6 THEN free_at - (taken_at - ?3) ELSE free_at END)
                RETURNING free_at",
        )
        .bind(app.0)
        .bind(quota)
        .bind(now)
        .bind(micros(not_before))
        .bind(length)
        .bind(micros(SET_BACK));
        let result = write.row(statement).await;
        let (end,): (i64,) = write.end(result).await?.ok_or_else(|| self.store().record("no slice"))?;
        Ok(Duration::from_micros(u64::try_from(end - length).unwrap_or_default()))
    }
}

fn micros(duration: Duration) -> i64 {
    stored(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
