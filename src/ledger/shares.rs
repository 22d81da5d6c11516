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
    let mut bound = 0;
    let (mut pace, own_weight) = (i64::from(claim.pace.min(1000)), i64::from(claim.weight.max(1)));
    let mut weights = own_weight;
    let mut short = Vec::new();
    let mut own = (0, 0);
    for row in rows {
        let lent = if now < row.claimed_until + cool { row.slots } else { 0 };
        let cooling = if now < row.cool_until { row.cooling } else { 0 };
        if row.instance == instance {
            own = (lent, cooling);
            continue;
        }
        bound += lent.max(cooling);
        if now < row.claimed_until {
            pace = pace.min(row.pace);
            weights += row.weight;
            if row.short {
                short.push((row.slots, row.weight));
            }
        }
    }
    let total = paced(i64::from(claim.total), pace);
    let (need, least) = (i64::from(claim.need).min(total), i64::from(claim.least).min(total));
    let fair_of = |weight: i64| (total * weight / weights).max(least);
    let fair = fair_of(own_weight);
    let kept = own.0.min(i64::from(claim.keep));
    let free = (total - bound).max(0);
    let wanted = if short.is_empty() { need } else { need.min(fair) };
    let slots = if need == 0 { 0 } else { wanted.max(kept).min(free) };
    let slots = if slots < least { 0 } else { slots };
    let ought =
        if short.iter().any(|(slots, weight)| *slots < fair_of(*weight)) { slots.min(fair) } else { slots };
    // Slots that messages occupy beyond the share stay occupied until the messages are old enough. Slots that the
    // guard has freed are available to all processes.
    let used = i64::from(claim.used).min(own.0.max(own.1));
    let (cooling, cool_until) = if used > slots { (used, now + cool) } else { (0, 0) };
    let statement = sql(
        "INSERT INTO quota_shares (app, quota, owner, slots, short, claimed_until, cooling, cool_until, pace, weight)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            ON CONFLICT (app, quota, owner) DO UPDATE SET slots = excluded.slots, short = excluded.short,
                claimed_until = excluded.claimed_until, cooling = excluded.cooling, cool_until = excluded.cool_until,
                pace = excluded.pace, weight = excluded.weight",
    );
    let statement = statement.bind(claim.app.0).bind(claim.quota).bind(instance).bind(slots);
    let statement = statement.bind(slots < need).bind(if need == 0 { now - cool } else { now + length });
    let statement = statement.bind(cooling).bind(cool_until);
    write.run(statement.bind(i64::from(claim.pace)).bind(own_weight)).await?;
    let gone = sql(
        "DELETE FROM quota_shares WHERE app = ?1 AND quota = ?2 AND claimed_until + ?3 < ?4 AND cool_until < ?4",
    );
    write.run(gone.bind(claim.app.0).bind(claim.quota).bind(cool).bind(now)).await?;
    let count = |count: i64| u32::try_from(count).unwrap_or_default();
    Ok(QuotaShare { slots: count(slots), fair: count(ought) })
}

/// The number of usable slots while the service allows only a part of the quota. It is slightly higher than that part,
/// so that a process can test whether the service allows more again.
fn paced(total: i64, pace: i64) -> i64 {
    if pace >= 1000 { total } else { (total * pace / 1000 + total / 20 + 2).min(total) }
}
