//! Commands for single sends.

use super::{ActionResult, ControlError, SendView};
use crate::ledger::Ledger;

/// The single send with this number.
pub async fn find_send(ledger: &Ledger, id: i64) -> Result<SendView, ControlError> {
    let found = ledger.send(id).await?;
    let found = found.ok_or_else(|| ControlError::NotFound(format!("there is no single send {id}")))?;
    Ok(SendView::from(&found))
}

/// Settles a single send that is in doubt.
pub async fn settle_send(ledger: &Ledger, id: i64, as_sent: bool) -> Result<ActionResult, ControlError> {
    let send = find_send(ledger, id).await?;
    if ledger.settle_send_doubt(id, as_sent).await? {
        return Ok(ActionResult::of(send.settled(as_sent)));
    }
    Err(ControlError::Refused(format!("single send {id} is not in doubt: it is {}", send.state)))
}
