//! The daemon that carries out commands.

use crate::ledger::{Broadcast, Ledger, LedgerError};

use super::ControlError;

/// The command under which the ledger lists a daemon's process.
pub const DAEMON: &str = "serve";

/// The process id of a daemon that is alive on this ledger.
async fn live_daemon(ledger: &Ledger) -> Result<Option<u64>, LedgerError> {
    Ok(ledger.live_instances(DAEMON).await?.first().map(|daemon| daemon.pid))
}

/// Refuses a command that only a daemon can carry out, if none is alive.
pub(super) async fn require_daemon(ledger: &Ledger, what: &str) -> Result<(), ControlError> {
    match live_daemon(ledger).await? {
        Some(_) => Ok(()),
        None => Err(ControlError::Refused(format!(
            "no `mooncast serve` runs on this ledger, so `{what}` cannot run; start the daemon first"
        ))),
    }
}

/// Hands a broadcast to the daemon, if one is alive. Returns the daemon's process id.
pub(super) async fn hand_over(ledger: &Ledger, found: &Broadcast) -> Result<Option<u64>, LedgerError> {
    let daemon = live_daemon(ledger).await?;
    if daemon.is_some() {
        ledger.hand_to_daemon(found.id).await?;
    }
    Ok(daemon)
}
