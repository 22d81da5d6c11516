//! Recipients that change their state, and the counts that follow them in the same transaction.

use crate::ledger::store::{Transaction, count, stored};
use crate::ledger::{Ledger, LedgerError, State};

use super::BroadcastId;

/// How many sequence numbers one short write covers: some 20 ms, so that no other writer waits for long.
pub(super) const STRETCH: i64 = 20_000;

/// By how much the count of each state changes.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::ledger) struct Delta([i64; State::ALL.len()]);

impl Delta {
    /// So many leave one state for another.
    pub(in crate::ledger) fn moved(&mut self, from: State, to: State, many: u64) {
        self.add(from, -stored(many));
        self.add(to, stored(many));
    }

    /// So many more (or fewer) are in a state.
    pub(in crate::ledger) fn add(&mut self, state: State, many: i64) {
        if let Some(slot) = self.0.get_mut(state as usize) {
            *slot += many;
        }
    }
}

/// Writes what changed to the counts. With a lease's number this is the fence too: nothing of the transaction stays
/// when the lease is no longer held. A broadcast that was over and has something pending again is not over.
pub(in crate::ledger) async fn apply(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    lease: Option<i64>,
    delta: &Delta,
) -> Result<(), LedgerError> {
    let [pending, sending, sent, rejected, in_doubt, skipped, cancelled] = delta.0;
    let statement = sqlx::query(
        "UPDATE broadcasts SET n_pending = n_pending + ?1, n_sending = n_sending + ?2, n_sent = n_sent + ?3,
            n_rejected = n_rejected + ?4, n_in_doubt = n_in_doubt + ?5, n_skipped = n_skipped + ?6,
            n_cancelled = n_cancelled + ?7,
            wish = CASE WHEN ?1 > 0 AND state IN (2, 3) THEN 0 ELSE wish END,
            state = CASE WHEN ?1 > 0 AND state IN (2, 3) THEN 1 ELSE state END
            WHERE id = ?8 AND (?9 IS NULL OR lease_number = ?9)",
    )
    .bind(pending)
    .bind(sending)
    .bind(sent)
    .bind(rejected)
    .bind(in_doubt)
    .bind(skipped)
    .bind(cancelled)
    .bind(id.0)
    .bind(lease);
    match write.run(statement).await? {
        0 if lease.is_some() => Err(LedgerError::LeaseLost(id)),
        0 => Err(LedgerError::Unknown(id)),
        _ => Ok(()),
    }
}

impl Ledger {
    /// Moves all recipients that are in one state to another, in short writes; gives how many. Stopped half-way, it
    /// can be begun again. Leaving `sending` so is the end of an attempt of which no answer was written down.
    pub(super) async fn shift(
        &self,
        id: BroadcastId,
        lease: Option<i64>,
        from: State,
        to: State,
        error: Option<&str>,
    ) -> Result<u64, LedgerError> {
        let (mut moved, mut after) = (0, 0);
        loop {
            let mut write = self.store().write().await?;
            let result = shift_stretch(&mut write, id, lease, (from, to), after, error).await;
            let (more, last) = write.end(result).await?;
            moved += more;
            after += STRETCH;
            if after >= last {
                return Ok(moved);
            }
        }
    }
}

/// Gives how many were moved, and the last sequence number that is worth a look.
async fn shift_stretch(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    lease: Option<i64>,
    (from, to): (State, State),
    after: i64,
    error: Option<&str>,
) -> Result<(u64, i64), LedgerError> {
    let question = sqlx::query_as(
        "SELECT next_seq, CASE ? WHEN 0 THEN n_pending WHEN 1 THEN n_sending WHEN 2 THEN n_sent WHEN 3 THEN n_rejected
            WHEN 4 THEN n_in_doubt ELSE 0 END FROM broadcasts WHERE id = ?",
    );
    let row: Option<(i64, i64)> = write.row(question.bind(from.number()).bind(id.0)).await?;
    let (next, left) = row.ok_or(LedgerError::Unknown(id))?;
    let mut delta = Delta::default();
    let mut moved = 0;
    if left > 0 {
        let statement = sqlx::query(
            "UPDATE recipients SET state = ?, error = ?, updated_at = ?, attempts = attempts + (state = 1)
                WHERE broadcast = ? AND seq BETWEEN ? AND ? AND state = ?",
        )
        .bind(to.number())
        .bind(error)
        .bind(write.store.now())
        .bind(id.0)
        .bind(after + 1)
        .bind(after + STRETCH)
        .bind(from.number());
        moved = write.run(statement).await?;
        delta.moved(from, to, moved);
    }
    apply(write, id, lease, &delta).await?;
    Ok((moved, if count(left) > moved { next - 1 } else { 0 }))
}
