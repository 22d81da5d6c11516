//! New sends and outcomes of others, in one statement.
//!
//! Each statement travels to the connection's thread and back, so a group commit of single sends is one statement,
//! which is its own transaction.

use super::super::store::Transaction;
use super::super::{LedgerError, RecipientState};
use super::{NewSend, SendOutcome};

/// The most rows of one statement.
pub(in crate::ledger) const MOST: usize = 512;

/// Writes new sends (instance, send) in `state`, and outcomes (instance, number, outcome) of earlier sends. Each
/// earlier send must belong to its instance, and be in flight or already have this outcome. At most [`MOST`] rows
/// together.
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
