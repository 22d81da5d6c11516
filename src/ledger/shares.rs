//! The slots of an app's quota, divided among all processes on one ledger.
//!
//! A quota of N messages a second has N slots, and a message occupies one for a second (`quota/window_slots.rs`). The
//! ledger stores how many slots each process may use, so that together they never use more than N. A process that dies
//! keeps its slots until its claim has expired and its last message is a second old.

use std::time::Duration;

use super::sql::sql;
use super::store::{Transaction, millis};
use super::{AppId, Instance, Ledger, LedgerError};

/// A process's claim on a quota.
#[derive(Debug, Clone, Copy)]
pub struct QuotaClaim<'a> {
    pub app: AppId,
    pub quota: &'a str,
    /// The number of slots that the quota has.
    pub total: u32,
    /// How many slots the process could use now; 0 gives all of them back.
    pub need: u32,
    /// The smallest useful number of slots: a smaller share becomes 0.
    pub least: u32,
    /// How many of its slots the process still uses, at most, before it knows the answer.
    pub keep: u32,
    /// How many slots messages occupy now.
    pub used: u32,
    /// The part of the quota, in thousandths, that the service's recent answers to this process allow. A rate limit
    /// here slows down all processes.
    pub pace: u32,
    /// The priority of the messages that wait here: processes get slots in proportion to it.
    pub weight: u32,
    /// How long the claim is valid.
    pub lease: Duration,
    /// How long a slot stays occupied after its last use.
    pub cool: Duration,
}

/// The slots that a process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaShare {
    /// The slots that belong to the process while the claim is valid.
    pub slots: u32,
    /// How many slots the process should use at most, because other processes have too few. It should claim again with
    /// this as `keep`.
    pub fair: u32,
}

#[derive(sqlx::FromRow)]
struct ShareRow {
    #[sqlx(rename = "owner")]
    instance: i64,
    slots: i64,
    short: bool,
    claimed_until: i64,
    cooling: i64,
    cool_until: i64,
    pace: i64,
    weight: i64,
}

impl Ledger {
    /// Claims slots of a quota for this instance, or renews its claim. All claims together never exceed the quota.
    pub async fn claim_slots(
        &self,
        instance: &Instance,
        claim: QuotaClaim<'_>,
    ) -> Result<QuotaShare, LedgerError> {
        self.store().transaction(async |write| claim_in(write, instance.id(), claim).await).await
    }
}

/// The shares of a quota at one instant, as one process sees them.
#[derive(Debug)]
struct CurrentShares {
    /// The slots that other processes may use or that their messages still occupy.
    bound: i64,
    /// The smallest pace of all processes, this one included, in thousandths.
    pace: i64,
    /// The sum of the weights of all processes, this one included.
    weights: i64,
    /// The slots and the weight of each other process that wants more than it has.
    short: Vec<(i64, i64)>,
    /// The slots that this process had been given, and those that its messages occupied beyond them.
    own: (i64, i64),
}

impl CurrentShares {
    fn of(rows: Vec<ShareRow>, instance: i64, claim: &QuotaClaim<'_>, now: i64) -> Self {
        let mut shares = Self {
            bound: 0,
            pace: i64::from(claim.pace.min(1000)),
            weights: i64::from(claim.weight.max(1)),
            short: Vec::new(),
            own: (0, 0),
        };
        for row in rows {
            let lent = if now < row.claimed_until + millis(claim.cool) { row.slots } else { 0 };
            let cooling = if now < row.cool_until { row.cooling } else { 0 };
            if row.instance == instance {
                shares.own = (lent, cooling);
                continue;
            }
            shares.bound += lent.max(cooling);
            if now < row.claimed_until {
                shares.pace = shares.pace.min(row.pace);
                shares.weights += row.weight;
                if row.short {
                    shares.short.push((row.slots, row.weight));
                }
            }
        }
        shares
    }

    /// Divides the quota.
    ///
    /// - While another process is short, this one gets at most its fair share: the quota in proportion to the weights.
    ///   Otherwise it gets what it needs.
    /// - It keeps what it had and still uses, and never gets more than the others leave free.
    /// - A share that is smaller than the least useful one becomes 0.
    fn divide(&self, claim: &QuotaClaim<'_>) -> Division {
        let total = paced(i64::from(claim.total), self.pace);
        let (need, least) = (i64::from(claim.need).min(total), i64::from(claim.least).min(total));
        let fair_share = |weight: i64| (total * weight / self.weights).max(least);
        let own_fair_share = fair_share(i64::from(claim.weight.max(1)));
        let kept = self.own.0.min(i64::from(claim.keep));
        let free = (total - self.bound).max(0);
        let wanted = if self.short.is_empty() { need } else { need.min(own_fair_share) };
        let slots = if need == 0 { 0 } else { wanted.max(kept).min(free) };
        let slots = if slots < least { 0 } else { slots };
        let another_lacks_some = self.short.iter().any(|(slots, weight)| *slots < fair_share(*weight));
        let fair = if another_lacks_some { slots.min(own_fair_share) } else { slots };
        // Slots that messages occupy beyond the share stay occupied until the messages are old enough. Slots that the
        // guard has freed are available to all processes.
        let used = i64::from(claim.used).min(self.own.0.max(self.own.1));
        let cooling = if used > slots { used } else { 0 };
        Division { slots, fair, cooling, needs: need > 0, short: slots < need }
    }
}

/// A process's part of a quota.
#[derive(Debug, PartialEq, Eq)]
struct Division {
    slots: i64,
    /// As [`QuotaShare::fair`].
    fair: i64,
    /// The slots that messages of the process occupy beyond its part; 0 if they occupy no more than that.
    cooling: i64,
    /// Whether the process needs any.
    needs: bool,
    /// Whether it needs more than it got.
    short: bool,
}

async fn claim_in(
    write: &mut Transaction<'_>,
    instance: i64,
    claim: QuotaClaim<'_>,
) -> Result<QuotaShare, LedgerError> {
    // The time is read after the write has begun, because waiting for other writers takes time.
    let now = write.store.now();
    let (length, cool) = (millis(claim.lease), millis(claim.cool));
    let rows: Vec<ShareRow> = write
        .rows(
            sql(
                "SELECT owner, slots, short, CASE WHEN claimed_until > ?3 THEN ?3 ELSE claimed_until END AS claimed_until, cooling,
                    CASE WHEN cool_until > ?4 THEN ?4 ELSE cool_until END AS cool_until, pace, weight
                    FROM quota_shares WHERE app = ?1 AND quota = ?2",
            )
            .bind(claim.app.0)
            .bind(claim.quota)
            // No valid time is later than these. Without this limit, a clock that was set back would keep slots
            // occupied for hours.
            .bind(now + length)
            .bind(now + cool),
        )
        .await?;
    let division = CurrentShares::of(rows, instance, &claim, now).divide(&claim);
    let cool_until = if division.cooling > 0 { now + cool } else { 0 };
    let statement = sql(
        "INSERT INTO quota_shares (app, quota, owner, slots, short, claimed_until, cooling, cool_until, pace, weight)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            ON CONFLICT (app, quota, owner) DO UPDATE SET slots = excluded.slots, short = excluded.short,
                claimed_until = excluded.claimed_until, cooling = excluded.cooling, cool_until = excluded.cool_until,
                pace = excluded.pace, weight = excluded.weight",
    );
    let statement = statement.bind(claim.app.0).bind(claim.quota).bind(instance).bind(division.slots);
    let statement =
        statement.bind(division.short).bind(if division.needs { now + length } else { now - cool });
    let statement = statement.bind(division.cooling).bind(cool_until);
    write.run(statement.bind(i64::from(claim.pace)).bind(i64::from(claim.weight.max(1)))).await?;
    let gone = sql(
        "DELETE FROM quota_shares WHERE app = ?1 AND quota = ?2 AND claimed_until + ?3 < ?4 AND cool_until < ?4",
    );
    write.run(gone.bind(claim.app.0).bind(claim.quota).bind(cool).bind(now)).await?;
    let count = |count: i64| u32::try_from(count).unwrap_or_default();
    Ok(QuotaShare { slots: count(division.slots), fair: count(division.fair) })
}

/// The number of usable slots while the service allows only a part of the quota. It is slightly higher than that part,
/// so that a process can test whether the service allows more again.
fn paced(total: i64, pace: i64) -> i64 {
    if pace >= 1000 { total } else { (total * pace / 1000 + total / 20 + 2).min(total) }
}
