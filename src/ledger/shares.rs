//! The places of an app's quota, dealt out among all processes on one ledger.
//!
//! A quota of N messages a second has N places, and a message holds one for a second (`quota/places.rs`). Here stands
//! which process may use how many, so that together they never use more than N. A process that dies keeps what it
//! has until its claim has run out and its last message is a second old.

use std::time::Duration;

use super::sql::sql;
use super::store::{Transaction, millis};
use super::{AppId, Instance, Ledger, LedgerError};

/// What a process asks of a quota.
#[derive(Debug, Clone, Copy)]
pub struct QuotaClaim<'a> {
    /// The app.
    pub app: AppId,
    /// Which of its quotas.
    pub quota: &'a str,
    /// The places that it has.
    pub total: u32,
    /// How many the process could use now; with 0 it gives back what it has.
    pub need: u32,
    /// Fewer than these are of no use to it.
    pub least: u32,
    /// How many of its places it goes on using at the most, before it knows the answer.
    pub keep: u32,
    /// How many are taken by messages at this moment.
    pub used: u32,
    /// Which part of the quota there is by what the service answered here lately, in thousandths: a refusal here slows
    /// all down.
    pub pace: u32,
    /// How urgent is what waits here: others get places in proportion.
    pub weight: u32,
    /// For how long the claim is good.
    pub lease: Duration,
    /// For how long after its last use a place stays bound.
    pub cool: Duration,
}

/// What a process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaShare {
    /// The places that are its own while the claim is good.
    pub places: u32,
    /// How many it ought to use at the most, as others have too few: it should claim again with this as `keep`.
    pub fair: u32,
}

/// A row of the table.
type ShareRow = (i64, i64, bool, i64, i64, i64, i64, i64);

impl Ledger {
    /// Claims places of a quota for this owner, or renews its claim. Never more than the quota has are claimed by all
    /// together.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn claim_places(
        &self,
        owner: &Instance,
        claim: QuotaClaim<'_>,
    ) -> Result<QuotaShare, LedgerError> {
        let mut write = self.store().write().await?;
        let result = claim_in(&mut write, owner.id(), claim).await;
        write.end(result).await
    }
}

async fn claim_in(
    write: &mut Transaction<'_>,
    owner: i64,
    claim: QuotaClaim<'_>,
) -> Result<QuotaShare, LedgerError> {
    // Read once it is our turn: while this waited for others, time went on.
    let now = write.store.now();
    let (length, cool) = (millis(claim.lease), millis(claim.cool));
    let rows: Vec<ShareRow> = write
        .rows(
            sql(
                "SELECT owner, places, short, CASE WHEN lent_until > ?3 THEN ?3 ELSE lent_until END, cooling,
                    CASE WHEN cool_until > ?4 THEN ?4 ELSE cool_until END, pace, weight
                    FROM shares WHERE app = ?1 AND quota = ?2",
            )
            .bind(claim.app.0)
            .bind(claim.quota)
            // Later than these none can be: a clock that was set back must not bind places for hours.
            .bind(now + length)
            .bind(now + cool),
        )
        .await?;
    let mut bound = 0;
    let (mut pace, own_weight) = (i64::from(claim.pace.min(1000)), i64::from(claim.weight.max(1)));
    let mut weights = own_weight;
    let mut short = Vec::new();
    let mut own = (0, 0);
    for (of, places, is_short, lent_until, cooling, cool_until, of_pace, weight) in rows {
        let lent = if now < lent_until + cool { places } else { 0 };
        let cooling = if now < cool_until { cooling } else { 0 };
        if of == owner {
            own = (lent, cooling);
            continue;
        }
        bound += lent.max(cooling);
        if now < lent_until {
            pace = pace.min(of_pace);
            weights += weight;
            if is_short {
                short.push((places, weight));
            }
        }
    }
    let total = paced(i64::from(claim.total), pace);
    let (wish, least) = (i64::from(claim.need).min(total), i64::from(claim.least).min(total));
    let fair_of = |weight: i64| (total * weight / weights).max(least);
    let fair = fair_of(own_weight);
    let kept = own.0.min(i64::from(claim.keep));
    let free = (total - bound).max(0);
    let wanted = if short.is_empty() { wish } else { wish.min(fair) };
    let places = if wish == 0 { 0 } else { wanted.max(kept).min(free) };
    let places = if places < least { 0 } else { places };
    let ought = if short.iter().any(|(places, weight)| *places < fair_of(*weight)) {
        places.min(fair)
    } else {
        places
    };
    // What its messages hold beyond that stays bound until they are old; what its guard has freed is free for all.
    let used = i64::from(claim.used).min(own.0.max(own.1));
    let (cooling, cool_until) = if used > places { (used, now + cool) } else { (0, 0) };
    let statement = sql(
        "INSERT INTO shares (app, quota, owner, places, short, lent_until, cooling, cool_until, pace, weight)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            ON CONFLICT (app, quota, owner) DO UPDATE SET places = excluded.places, short = excluded.short,
                lent_until = excluded.lent_until, cooling = excluded.cooling, cool_until = excluded.cool_until,
                pace = excluded.pace, weight = excluded.weight",
    );
    let statement = statement.bind(claim.app.0).bind(claim.quota).bind(owner).bind(places);
    let statement = statement.bind(places < wish).bind(if wish == 0 { now - cool } else { now + length });
    let statement = statement.bind(cooling).bind(cool_until);
    write.run(statement.bind(i64::from(claim.pace)).bind(own_weight)).await?;
    let gone =
        sql("DELETE FROM shares WHERE app = ?1 AND quota = ?2 AND lent_until + ?3 < ?4 AND cool_until < ?4");
    write.run(gone.bind(claim.app.0).bind(claim.quota).bind(cool).bind(now)).await?;
    let count = |count: i64| u32::try_from(count).unwrap_or_default();
    Ok(QuotaShare { places: count(places), fair: count(ought) })
}

/// The places of a quota of which there is only a part for now: a few more than that, so that whoever tries whether there
/// is more again can.
fn paced(total: i64, pace: i64) -> i64 {
    if pace >= 1000 { total } else { (total * pace / 1000 + total / 20 + 2).min(total) }
}
