//! Leases of broadcasts. The holder of a lease drives the broadcast until the lease expires.

use std::time::Duration;

use crate::ledger::instance::lives;
use crate::ledger::postgres::drivers;
use crate::ledger::sql::sql;
use crate::ledger::store::{Transaction, millis};
use crate::ledger::{Instance, Ledger, LedgerError};

use super::BroadcastId;

/// The right to drive a broadcast. Every write of a driver carries it, and is refused after another driver has taken
/// over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    pub broadcast: BroadcastId,
    /// Increases by one with each driver.
    pub number: i64,
}

impl Ledger {
    /// Takes the lease of a broadcast for `length` if it is free: it was never taken, was released, has expired, or
    /// its holder is dead. Call [`Ledger::take_over`] next.
    ///
    /// On a store that many machines share, a broadcast with a fixed plan can have one lease for each instance. Each
    /// of them sends to recipients that no other one holds.
    ///
    /// A lease that ends later than its own length from now shows that the clock was set back; it counts as expired.
    pub async fn claim(
        &self,
        id: BroadcastId,
        owner: &Instance,
        length: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        self.claim_as(id, owner, length, true).await
    }

    /// The same, but exclusive on every store.
    #[cfg(test)]
    pub(in crate::ledger) async fn claim_alone(
        &self,
        id: BroadcastId,
        owner: &Instance,
        length: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        self.claim_as(id, owner, length, false).await
    }

    async fn claim_as(
        &self,
        id: BroadcastId,
        owner: &Instance,
        length: Duration,
        shared: bool,
    ) -> Result<Option<Lease>, LedgerError> {
        let mut write = self.store().write().await?;
        let length = millis(length);
        let result = if self.is_shared() {
            drivers::claim(&mut write, id, owner.id(), length, shared).await
        } else {
            claim(&mut write, id, owner.id(), length).await
        };
        write.end(result).await
    }

    /// Renews a lease for `length` from now.
    pub async fn renew(&self, lease: Lease, length: Duration) -> Result<(), LedgerError> {
        let length = millis(length);
        let statement = sql(if self.is_shared() {
            "UPDATE drivers SET lease_until = ?, lease_for = ? WHERE broadcast = ? AND number = ?"
        } else {
            "UPDATE broadcasts SET lease_until = ?, lease_for = ? WHERE id = ? AND lease_number = ?"
        })
        .bind(self.store().now().saturating_add(length))
        .bind(length)
        .bind(lease.broadcast.0)
        .bind(lease.number);
        let mut write = self.store().write().await?;
        let result = match write.run(statement).await {
            Ok(0) => Err(LedgerError::LeaseLost(lease.broadcast)),
            other => other.map(drop),
        };
        write.end(result).await
    }

    /// Releases a lease. It is no error if the lease is already lost.
    pub async fn release(&self, lease: Lease) -> Result<(), LedgerError> {
        let statement =
            sql("UPDATE broadcasts SET owner = NULL, lease_until = 0 WHERE id = ? AND lease_number = ?")
                .bind(lease.broadcast.0)
                .bind(lease.number);
        let mut write = self.store().write().await?;
        let result = if self.is_shared() {
            drivers::release(&mut write, lease).await
        } else {
            write.run(statement).await.map(drop)
        };
        write.end(result).await
    }

    /// Whether many machines share the store, so that a broadcast can have several drivers.
    pub fn is_shared(&self) -> bool {
        self.store().server().is_some()
    }

    /// Whether the ledger is temporary, so that only this process uses it.
    pub fn is_scratch(&self) -> bool {
        self.store().later().is_some()
    }
}

/// Returns whether a lease is still held.
pub(in crate::ledger) async fn holds(write: &mut Transaction<'_>, lease: Lease) -> Result<bool, LedgerError> {
    if write.store.server().is_some() {
        return drivers::holds(write, lease).await;
    }
    let question = sql("SELECT lease_number FROM broadcasts WHERE id = ?").bind(lease.broadcast.0);
    let holder: Option<(i64,)> = write.row(question).await?;
    Ok(holder == Some((lease.number,)))
}

async fn claim(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    owner: i64,
    length: i64,
) -> Result<Option<Lease>, LedgerError> {
    let question = sql("SELECT owner, lease_until, lease_for FROM broadcasts WHERE id = ?").bind(id.0);
    let Some((holder, until, length_then)) = write.row::<(Option<i64>, i64, i64)>(question).await? else {
        return Err(LedgerError::Unknown(id));
    };
    let now = write.store.now();
    if let Some(holder) = holder {
        let runs = (now..=now.saturating_add(length_then)).contains(&until);
        if runs && lives(write, holder).await? {
            return Ok(None);
        }
    }
    let taken = sql(
        "UPDATE broadcasts SET owner = ?, lease_number = lease_number + 1, lease_until = ?, lease_for = ?
            WHERE id = ? RETURNING lease_number",
    )
    .bind(owner)
    .bind(now.saturating_add(length))
    .bind(length)
    .bind(id.0);
    let taken: Option<(i64,)> = write.row(taken).await?;
    Ok(taken.map(|(number,)| Lease { broadcast: id, number }))
}
