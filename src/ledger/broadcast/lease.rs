//! Who drives a broadcast: one at a time, for a while.

use std::time::Duration;

use crate::ledger::owner::lives;
use crate::ledger::store::{Transaction, millis};
use crate::ledger::{Ledger, LedgerError, Owner};

use super::BroadcastId;

/// The right to drive a broadcast. Every write of a driver carries it, and is refused once another has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// Of which broadcast.
    pub broadcast: BroadcastId,
    /// Goes up by one with each driver.
    pub number: i64,
}

impl Ledger {
    /// Takes the lease of a broadcast for `length`, if nobody has it: it was never taken, was released, has run out,
    /// or the one who held it is dead. Call [`Ledger::take_over`] next.
    ///
    /// A lease that ends later than its own length from now shows that the clock was set back; it counts as run out.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Unknown`], and faults of the store.
    pub async fn claim(
        &self,
        id: BroadcastId,
        owner: &Owner,
        length: Duration,
    ) -> Result<Option<Lease>, LedgerError> {
        let mut write = self.store().write().await?;
        let result = claim(&mut write, id, owner.id, millis(length)).await;
        write.end(result).await
    }

    /// Holds a lease for `length` from now.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], and faults of the store.
    pub async fn renew(&self, lease: Lease, length: Duration) -> Result<(), LedgerError> {
        let length = millis(length);
        let statement = sqlx::query(
            "UPDATE broadcasts SET lease_until = ?, lease_for = ? WHERE id = ? AND lease_number = ?",
        )
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

    /// Gives a lease back. One that is lost already is none to give back, which is no error.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn release(&self, lease: Lease) -> Result<(), LedgerError> {
        let statement = sqlx::query(
            "UPDATE broadcasts SET owner = NULL, lease_until = 0 WHERE id = ? AND lease_number = ?",
        )
        .bind(lease.broadcast.0)
        .bind(lease.number);
        let mut write = self.store().write().await?;
        let result = write.run(statement).await.map(drop);
        write.end(result).await
    }
}

async fn claim(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    owner: i64,
    length: i64,
) -> Result<Option<Lease>, LedgerError> {
    let question =
        sqlx::query_as("SELECT owner, lease_until, lease_for FROM broadcasts WHERE id = ?").bind(id.0);
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
    let taken = sqlx::query_as(
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
