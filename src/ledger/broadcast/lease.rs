//! Leases of broadcasts. The holder of a lease drives the broadcast until the lease expires.

use std::time::Duration;

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
        instance: &Instance,
        length: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        self.claim_as(id, instance, length, true).await
    }

    /// The same. If a process holds the lease that may be dead, waits until that is known.
    pub async fn claim_when_dead(
        &self,
        id: BroadcastId,
        instance: &Instance,
        length: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        let lease = self.claim(id, instance, length).await?;
        if lease.is_some() || !self.has_fleet() {
            return Ok(lease);
        }
        tracing::info!(
            "another process has the lease of broadcast {id} and may be dead; waiting for its next heartbeat"
        );
        if self.wait_for_driver_heartbeat(id).await? {
            return Ok(None);
        }
        self.claim(id, instance, length).await
    }

    /// The same, but exclusive on every store.
    #[cfg(test)]
    pub(in crate::ledger) async fn claim_alone(
        &self,
        id: BroadcastId,
        instance: &Instance,
        length: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        self.claim_as(id, instance, length, false).await
    }

    async fn claim_as(
        &self,
        id: BroadcastId,
        instance: &Instance,
        length: Duration,
        shared: bool,
    ) -> Result<Option<Lease>, LedgerError> {
        let length = millis(length);
        self.store()
            .transaction(async |write| {
                self.store().driver.claim(write, id, instance.id(), length, shared).await
            })
            .await
    }

    /// Renews a lease for `length` from now.
    pub async fn renew(&self, lease: Lease, length: Duration) -> Result<(), LedgerError> {
        let length = millis(length);
        let statement = sql(self.store().driver.texts().renew_lease)
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
        self.store().transaction(async |write| self.store().driver.release(write, lease).await).await
    }
}

/// Gives a broadcast its next lease; `None` if there is no such broadcast. `length` is in milliseconds.
pub(in crate::ledger) async fn next_lease(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    instance: i64,
    length: i64,
) -> Result<Option<Lease>, LedgerError> {
    let statement = sql(
        "UPDATE broadcasts SET owner = ?, lease_number = lease_number + 1, lease_until = ?, lease_for = ?
            WHERE id = ? RETURNING lease_number",
    );
    let until = write.store.now().saturating_add(length);
    let row = write.row::<(i64,)>(statement.bind(instance).bind(until).bind(length).bind(id.0)).await?;
    Ok(row.map(|(number,)| Lease { broadcast: id, number }))
}

/// Returns whether a lease is still held.
pub(in crate::ledger) async fn holds(write: &mut Transaction<'_>, lease: Lease) -> Result<bool, LedgerError> {
    let held = (write.store.driver.texts().lease_is_held)("?2");
    let question = sql(format!("SELECT id FROM broadcasts WHERE id = ?1 AND {held}"));
    let row: Option<(i64,)> = write.row(question.bind(lease.broadcast.0).bind(lease.number)).await?;
    Ok(row.is_some())
}
