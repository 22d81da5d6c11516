//! Announcements to all users of an app, or to those online: at most some a day, with a time between two.
//!
//! Each one has a row from before its request begins. The row is deleted when it is certain that nothing was sent. So one
//! that a crash left in flight counts.

use std::time::Duration;

use super::sql::sql;
use super::store::{Transaction, count, from_millis, millis};
use super::{AppId, Ledger, LedgerError};
use crate::core::UserScope;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The announcements of an app to some users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncementQuota {
    pub app: AppId,
    pub scope: UserScope,
    /// How many the service takes a day, in UTC.
    pub per_day: u32,
}

/// What is left of an [`AnnouncementQuota`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncementUse {
    /// How many count today.
    pub used: u32,
    pub per_day: u32,
    /// When the next one is possible. A time in the past if it is possible now.
    pub next_at: Duration,
}

/// The right to make one announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncementTurn {
    app: AppId,
    scope: UserScope,
    began_at: i64,
    /// The use with this one.
    pub counted: AnnouncementUse,
}

#[derive(sqlx::FromRow)]
struct UseRow {
    used: i64,
    last: Option<i64>,
}

impl AnnouncementQuota {
    fn counted(self, row: &UseRow, now: i64) -> AnnouncementUse {
        let used = u32::try_from(count(row.used)).unwrap_or(u32::MAX);
        let after_last = row.last.map_or(0, |last| last + millis(self.scope.interval()));
        let tomorrow = day(now) + DAY;
        let next = if used >= self.per_day { after_last.max(tomorrow) } else { after_last };
        AnnouncementUse { used, per_day: self.per_day, next_at: from_millis(next) }
    }
}

impl AnnouncementUse {
    /// Whether an announcement is possible at `now`.
    pub fn is_free(&self, now: Duration) -> bool {
        self.next_at <= now
    }
}

/// When the day of an instant began, in UTC.
const fn day(now: i64) -> i64 {
    now - now.rem_euclid(DAY)
}

impl Ledger {
    /// Returns how many announcements count today, and when the next one is possible.
    pub async fn announcements(&self, quota: AnnouncementQuota) -> Result<AnnouncementUse, LedgerError> {
        self.store()
            .transaction(async |write| {
                let now = write.store.now();
                read(write, quota, now).await
            })
            .await
    }

    /// Takes a turn, if the limits allow it now. It is on disk when this returns. No other process takes one at the same
    /// time.
    pub async fn take_announcement(
        &self,
        quota: AnnouncementQuota,
    ) -> Result<Result<AnnouncementTurn, AnnouncementUse>, LedgerError> {
        let AnnouncementQuota { app, scope, .. } = quota;
        self.store()
            .transaction(async |write| {
                let now = write.store.now();
                let before = read(write, quota, now).await?;
                if !before.is_free(from_millis(now)) {
                    return Ok(Err(before));
                }
                let old = sql("DELETE FROM announcements WHERE app = ? AND coalesce(ended_at, began_at) < ?");
                write.run(old.bind(app.0).bind(day(now) - DAY)).await?;
                let taken = sql("INSERT INTO announcements (app, scope, began_at) VALUES (?, ?, ?)");
                write.run(taken.bind(app.0).bind(scope.name()).bind(now)).await?;
                let counted = read(write, quota, now).await?;
                Ok(Ok(AnnouncementTurn { app, scope, began_at: now, counted }))
            })
            .await
    }

    /// Records the end of an announcement. One that was not sent counts no longer. It is safe to repeat this.
    pub async fn end_announcement(&self, turn: AnnouncementTurn, sent: bool) -> Result<(), LedgerError> {
        let AnnouncementTurn { app, scope, began_at, .. } = turn;
        let statement = if sent {
            sql("UPDATE announcements SET ended_at = ? WHERE app = ? AND scope = ? AND began_at = ?")
                .bind(self.store().now())
        } else {
            sql("DELETE FROM announcements WHERE app = ? AND scope = ? AND began_at = ?")
        };
        self.change(statement.bind(app.0).bind(scope.name()).bind(began_at)).await.map(drop)
    }
}

async fn read(
    write: &mut Transaction<'_>,
    quota: AnnouncementQuota,
    now: i64,
) -> Result<AnnouncementUse, LedgerError> {
    let question = sql("SELECT count(CASE WHEN coalesce(ended_at, began_at) >= ?1 THEN 1 END) AS used,
            max(coalesce(ended_at, began_at)) AS last FROM announcements WHERE app = ?2 AND scope = ?3");
    let question = question.bind(day(now)).bind(quota.app.0).bind(quota.scope.name());
    let row = write.row::<UseRow>(question).await?;
    Ok(quota.counted(&row.unwrap_or(UseRow { used: 0, last: None }), now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quota(scope: UserScope, per_day: u32) -> AnnouncementQuota {
        AnnouncementQuota { app: AppId(1), scope, per_day }
    }

    proptest! {
        /// Announces as soon as it is possible, each time: no day has more than its number, and two are never nearer than
        /// the interval.
        #[test]
        fn announcements_as_early_as_possible_keep_both_limits(
            start in 0..3 * DAY, per_day in 1_u32..6, takes in prop::collection::vec(0..120_000_i64, 1..30),
        ) {
            let quota = quota(UserScope::All, per_day);
            let (mut now, mut times, mut starts) = (start, Vec::<i64>::new(), Vec::<i64>::new());
            for take in takes {
                let used = times.iter().filter(|at| **at >= day(now)).count();
                let row = UseRow { used: i64::try_from(used).unwrap(), last: times.last().copied() };
                let counted = quota.counted(&row, now);
                now = now.max(millis(counted.next_at));
                let used = times.iter().filter(|at| **at >= day(now)).count();
                let row = UseRow { used: i64::try_from(used).unwrap(), last: times.last().copied() };
                prop_assert!(quota.counted(&row, now).is_free(from_millis(now)));
                starts.push(now);
                now += take;
                times.push(now);
            }
            for pair in times.windows(2) {
                prop_assert!(pair[1] - pair[0] >= millis(UserScope::All.interval()));
            }
            for all in [&times, &starts] {
                for at in all {
                    let same = all.iter().filter(|other| day(**other) == day(*at)).count();
                    prop_assert!(same <= per_day as usize);
                }
            }
        }
    }
}
