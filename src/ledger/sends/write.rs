//! New sends and outcomes of others, in one statement.
//!
//! Each statement travels to the connection's thread and back, so a group commit of single sends is one statement,
//! which is its own transaction.

use const_format::formatcp;

use super::super::instance::ENDED_BEFORE;
use super::super::sql::sql;
use super::super::state::recipient::{IN_DOUBT, SENDING};
use super::super::store::Transaction;
use super::super::{LedgerError, RecipientState};
use super::{NewSend, SendOutcome};

/// The most rows of one statement.
pub(in crate::ledger) const MOST: usize = 512;

/// Writes new sends (instance, send) in `state`, and outcomes (instance, number, outcome) of earlier sends. Each
/// earlier send must belong to its instance, and be in flight, or already have this outcome, or be in doubt because the
/// instance was reaped. At most [`MOST`] rows together.
///
/// Returns the numbers of the new sends, in their order.
pub(in crate::ledger) async fn write(
    write: &mut Transaction<'_>,
    fresh: &[(i64, &NewSend)],
    state: RecipientState,
    settled: &[(i64, i64, &SendOutcome)],
) -> Result<Vec<i64>, LedgerError> {
    let refused = || {
        let what = match settled {
            [(_, id, _)] => format!("send {id}"),
            _ => "some sends".to_owned(),
        };
        LedgerError::NotIn { what, wanted: RecipientState::Sending, count: settled.len() as u64 }
    };
    let mut ids: Vec<i64> = settled.iter().map(|(_, id, _)| *id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refused());
    }
    write.store.driver.write_sends(write, fresh, state, settled).await?.ok_or_else(refused)
}

/// Deletes the new sends of an instance whose numbers are higher than the highest that was acknowledged. A send with a `once`
/// key is not among them: it is acknowledged before its intent is queued.
pub(in crate::ledger) async fn remove_unacknowledged(
    write: &mut Transaction<'_>,
    instance: i64,
    acknowledged: i64,
) -> Result<(), LedgerError> {
    let statement = sql(formatcp!(
        "DELETE FROM sends WHERE id > ? AND owner = ? AND once IS NULL
            AND (state = {SENDING} OR (state = {IN_DOUBT} AND error = '{ENDED_BEFORE}'))"
    ));
    write.run(statement.bind(acknowledged).bind(instance)).await.map(drop)
}
