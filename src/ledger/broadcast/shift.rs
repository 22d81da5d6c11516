//! Changes the state of recipients, and updates the counts in the same transaction.

use crate::ledger::sql::Statement;
use crate::ledger::sql::sql;
use crate::ledger::store::{Transaction, count, stored};
use crate::ledger::{DeliveryState, Ledger, LedgerError};

use super::BroadcastId;

/// How many sequence numbers one short write covers. It takes about 20 ms, so other writers do not wait for long.
pub(super) const RANGE_LENGTH: i64 = 20_000;

/// The change of the count of each state.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::ledger) struct CountsDelta([i64; DeliveryState::ALL.len()]);

impl CountsDelta {
    /// The change of each count, in the order of [`DeliveryState::ALL`].
    pub(in crate::ledger) const fn changes(&self) -> [i64; DeliveryState::ALL.len()] {
        self.0
    }

    /// Adds the move of `many` recipients from one state to another.
    pub(in crate::ledger) fn moved(&mut self, from: DeliveryState, to: DeliveryState, many: u64) {
        self.add(from, -stored(many));
        self.add(to, stored(many));
    }

    /// Adds `many` recipients to a state; a negative number removes them.
    pub(in crate::ledger) fn add(&mut self, state: DeliveryState, many: i64) {
        if let Some(slot) = self.0.get_mut(state as usize) {
            *slot += many;
        }
    }
}

/// The statement of [`apply`] for the broadcast ?1, with its other arguments from `?next` on; see [`bind_apply`]. If
/// `condition` is false, the table rejects the statement and it has no effect. The last argument is the lease's number;
/// `held` is the condition that it is held.
pub(in crate::ledger) fn apply_text(next: usize, condition: &str, held: fn(&str) -> String) -> String {
    let [pending, sending, sent, rejected, in_doubt, skipped, cancelled, lease] =
        std::array::from_fn(|index| format!("?{}", next + index));
    let held = held(&lease);
    format!(
        "UPDATE broadcasts SET n_pending = n_pending + {pending},
            n_sending = CASE WHEN {condition} THEN n_sending + {sending} END,
            n_sent = n_sent + {sent}, n_rejected = n_rejected + {rejected}, n_in_doubt = n_in_doubt + {in_doubt},
            n_skipped = n_skipped + {skipped}, n_cancelled = n_cancelled + {cancelled},
            wish = CASE WHEN {pending} > 0 AND state IN (2, 3) THEN 0 ELSE wish END,
            state = CASE WHEN {pending} > 0 AND state IN (2, 3) THEN 1 ELSE state END
            WHERE id = ?1 AND ({lease} IS NULL OR {held})"
    )
}

/// Binds the arguments of [`apply_text`].
pub(in crate::ledger) fn bind_apply(
    statement: Statement,
    delta: &CountsDelta,
    lease: Option<i64>,
) -> Statement {
    delta.0.into_iter().fold(statement, Statement::bind).bind(lease)
}

/// Applies a change to the counts. With a lease's number this also fences: if the lease is no longer held, it returns
/// an error, and the transaction is rolled back. A finished broadcast that gets pending recipients becomes ready
/// again.
pub(in crate::ledger) async fn apply(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    lease: Option<i64>,
    delta: &CountsDelta,
) -> Result<(), LedgerError> {
    let statement = sql(apply_text(2, "true", write.store.driver.texts().lease_is_held)).bind(id.0);
    let statement = bind_apply(statement, delta, lease);
    match write.run(statement).await? {
        0 if lease.is_some() => Err(LedgerError::LeaseLost(id)),
        0 => Err(LedgerError::Unknown(id)),
        _ => Ok(()),
    }
}

impl Ledger {
    /// Moves all recipients from one state to another, in short writes; returns how many. An interrupted move can be
    /// repeated. A move out of `sending` counts as an attempt whose outcome was not recorded.
    pub(in crate::ledger) async fn shift(
        &self,
        id: BroadcastId,
        lease: Option<i64>,
        from: DeliveryState,
        to: DeliveryState,
        error: Option<&str>,
    ) -> Result<u64, LedgerError> {
        let (mut moved, mut after) = (0, 0);
        loop {
            let mut write = self.store().write().await?;
            let result = shift_range(&mut write, id, lease, (from, to), after, error).await;
            let (more, last) = write.end(result).await?;
            moved += more;
            after += RANGE_LENGTH;
            if after >= last {
                return Ok(moved);
            }
        }
    }
}

/// Moves the recipients of one range. Returns how many were moved, and the last sequence number that can still match.
async fn shift_range(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    lease: Option<i64>,
    (from, to): (DeliveryState, DeliveryState),
    after: i64,
    error: Option<&str>,
) -> Result<(u64, i64), LedgerError> {
    let question = sql(
        "SELECT next_seq, CASE ? WHEN 0 THEN n_pending WHEN 1 THEN n_sending WHEN 2 THEN n_sent WHEN 3 THEN n_rejected
            WHEN 4 THEN n_in_doubt ELSE 0 END FROM broadcasts WHERE id = ?",
    );
    let row: Option<(i64, i64)> = write.row(question.bind(from.number()).bind(id.0)).await?;
    let (next, left) = row.ok_or(LedgerError::Unknown(id))?;
    let mut delta = CountsDelta::default();
    let mut moved = 0;
    if left > 0 {
        let driver = &write.store.driver;
        // A driver does not change recipients that other drivers hold.
        let statement = sql(format!(
            "UPDATE recipients SET state = ?, error = ?, updated_at = ?,
                attempts = attempts + CASE WHEN state = 1 THEN 1 ELSE 0 END
                WHERE broadcast = ? AND seq BETWEEN ? AND ? AND state = ? AND ({})",
            driver.texts().not_of_other_drivers
        ))
        .bind(to.number())
        .bind(error)
        .bind(write.store.now())
        .bind(id.0)
        .bind(after + 1)
        .bind(after + RANGE_LENGTH)
        .bind(from.number())
        .bind(lease);
        moved = write.run(statement).await?;
        if to == DeliveryState::Pending && moved > 0 {
            driver.reopen_ranges(write, id, after, after + RANGE_LENGTH).await?;
        }
        delta.moved(from, to, moved);
    }
    apply(write, id, lease, &delta).await?;
    Ok((moved, if count(left) > moved { next - 1 } else { 0 }))
}
