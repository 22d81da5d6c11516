//! Changes the state of recipients, and updates the counts in the same transaction.

use crate::ledger::sql::Statement;
use crate::ledger::sql::sql;
use crate::ledger::state::command::RUN;
use crate::ledger::state::recipient::SENDING;
use crate::ledger::state::stage::{CANCELLED, FINISHED, READY};
use crate::ledger::store::{Transaction, count, stored};
use crate::ledger::{Ledger, LedgerError, RecipientState};

use super::BroadcastId;

/// How many sequence numbers one short write covers. It takes about 20 ms, so other writers do not wait for long.
pub(super) const RANGE_LENGTH: i64 = 20_000;

/// The change of the count of each state.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::ledger) struct CountsDelta([i64; RecipientState::ALL.len()]);

impl CountsDelta {
    /// The change of each count, in the order of [`RecipientState::ALL`].
    pub(in crate::ledger) const fn changes(&self) -> [i64; RecipientState::ALL.len()] {
        self.0
    }

    /// Adds the move of `many` recipients from one state to another.
    pub(in crate::ledger) fn moved(&mut self, from: RecipientState, to: RecipientState, many: u64) {
        self.add(from, -stored(many));
        self.add(to, stored(many));
    }

    /// Adds `many` recipients to a state; a negative number removes them.
    pub(in crate::ledger) fn add(&mut self, state: RecipientState, many: i64) {
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
            command = CASE WHEN {pending} > 0 AND state IN ({FINISHED}, {CANCELLED}) THEN {RUN} ELSE command END,
            state = CASE WHEN {pending} > 0 AND state IN ({FINISHED}, {CANCELLED}) THEN {READY} ELSE state END
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

/// The time at which recipients come into a state; None if they keep the time of their intent, because they are in doubt.
pub(in crate::ledger) fn changed_at(write: &Transaction<'_>, to: RecipientState) -> Option<i64> {
    (to != RecipientState::InDoubt).then(|| write.store.now())
}

impl Ledger {
    /// Moves all recipients from one state to another, in short writes; returns how many. An interrupted move can be
    /// repeated. A move out of `sending` counts as an attempt whose outcome was not recorded.
    pub(in crate::ledger) async fn shift(
        &self,
        id: BroadcastId,
        lease: Option<i64>,
        from: RecipientState,
        to: RecipientState,
        error: Option<&str>,
    ) -> Result<u64, LedgerError> {
        let (mut moved, mut after) = (0, 0);
        loop {
            let (more, last) = self
                .store()
                .transaction(async |write| shift_range(write, id, lease, (from, to), after, error).await)
                .await?;
            moved += more;
            after += RANGE_LENGTH;
            if after >= last {
                return Ok(moved);
            }
        }
    }
}

/// The recipients of a broadcast that a shift can move.
#[derive(sqlx::FromRow)]
struct ShiftableRows {
    next_seq: i64,
    /// How many have the state that is changed.
    matching: i64,
}

/// Moves the recipients of one range. Returns how many were moved, and the last sequence number that can still match.
async fn shift_range(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    lease: Option<i64>,
    (from, to): (RecipientState, RecipientState),
    after: i64,
    error: Option<&str>,
) -> Result<(u64, i64), LedgerError> {
    // The name is the one of a state.
    let question =
        sql(format!("SELECT next_seq, n_{} AS matching FROM broadcasts WHERE id = ?", from.name()));
    let row: Option<ShiftableRows> = write.row(question.bind(id.0)).await?;
    let ShiftableRows { next_seq, matching } = row.ok_or(LedgerError::Unknown(id))?;
    let mut delta = CountsDelta::default();
    let mut moved = 0;
    if matching > 0 {
        let driver = &write.store.driver;
        // A driver does not change recipients that other drivers hold.
        let statement = sql(format!(
            "UPDATE recipients SET state = ?, error = ?, updated_at = coalesce(?, updated_at),
                attempts = attempts + CASE WHEN state = {SENDING} THEN 1 ELSE 0 END
                WHERE broadcast = ? AND seq BETWEEN ? AND ? AND state = ? AND ({})",
            driver.texts().not_of_other_drivers
        ))
        .bind(to)
        .bind(error)
        .bind(changed_at(write, to))
        .bind(id.0)
        .bind(after + 1)
        .bind(after + RANGE_LENGTH)
        .bind(from)
        .bind(lease);
        moved = write.run(statement).await?;
        if to == RecipientState::Pending && moved > 0 {
            driver.reopen_ranges(write, id, after, after + RANGE_LENGTH).await?;
        }
        delta.moved(from, to, moved);
    }
    apply(write, id, lease, &delta).await?;
    Ok((moved, if count(matching) > moved { next_seq - 1 } else { 0 }))
}
