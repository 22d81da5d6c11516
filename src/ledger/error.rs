//! The errors of the ledger: why a request was rejected, or that the store failed ([`StoreFault`]). Their messages say
//! what failed, where, and what to do next.

use std::path::PathBuf;

use super::fault::StoreFault;
use super::{BroadcastId, RecipientState};

/// An error of the ledger. It is `Clone` because one failed commit fails every caller that waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The store failed. Nothing may be sent after such an error.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The other hosts of a fleet considered this process dead, because it sent no heartbeat for too long.
    #[error(
        "the other hosts declared this process dead because it sent no heartbeat for too long; it registers \
         again within seconds"
    )]
    Reaped,
    /// Another driver has taken over the broadcast.
    #[error("another process has taken over broadcast {0} and sends it now")]
    LeaseLost(BroadcastId),
    /// There is no such broadcast.
    #[error("there is no broadcast {0}")]
    Unknown(BroadcastId),
    /// Recipients or sends were not in the state that the change requires; nothing was changed.
    #[error("{count} of {what} are not `{}`", wanted.name())]
    NotIn {
        /// The broadcast or send.
        what: String,
        /// The required state.
        wanted: RecipientState,
        /// How many were in another state.
        count: u64,
    },
    /// The state of the broadcast does not allow this operation.
    #[error("broadcast {broadcast} is {is}: {why}")]
    NotNow {
        broadcast: BroadcastId,
        /// Its state.
        is: &'static str,
        /// What the operation requires.
        why: &'static str,
    },
    /// The plan has more recipients than `max_recipients` allows.
    #[error("the plan has {total} recipients, and max_recipients is {max}")]
    TooMany {
        /// How many recipients would be sent to.
        total: u64,
        /// The most that are allowed.
        max: u64,
    },
    /// The plan is not the expected one.
    #[error("the plan differs: it has {total} recipients and at most {largest} bytes a message")]
    OtherPlan {
        /// How many recipients would be sent to.
        total: u64,
        /// Its largest message, in bytes that count against the limit.
        largest: u64,
    },
    /// The ledger was restored from a backup, and the restore is not accepted yet.
    #[error(
        "{path}: this ledger was restored from a backup of {taken_at}. It does not contain messages that were sent since then, so Mooncast sends nothing from it until you accept it: settle or cancel what is unfinished (`mooncast runs list --unfinished`, `mooncast runs settle NAME --as-sent` or `--again`, `mooncast runs cancel NAME`), then `mooncast store accept` shows what it releases",
        path = path.display()
    )]
    Restored {
        /// The ledger's file, or the server's address without credentials.
        path: PathBuf,
        /// When the backup was taken, in UTC.
        taken_at: String,
    },
    /// A row holds a value that this program cannot read.
    #[error("{path}: a row of the ledger cannot be read ({detail})", path = path.display())]
    Record {
        path: PathBuf,
        /// The unreadable value.
        detail: String,
    },
}

impl LedgerError {
    /// Returns whether the store failed, as opposed to rejecting the request. Nothing may be sent after such an error.
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Store(_))
    }

    /// Returns whether the server does not answer at the moment. The caller may retry later.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Store(StoreFault::Away { .. }) => true,
            Self::Store(StoreFault::Unhealthy(error)) => error.is_away(),
            _ => false,
        }
    }

    /// Returns whether the connection to a server broke. A new connection may work.
    pub(super) const fn broke(&self) -> bool {
        matches!(self, Self::Store(StoreFault::Away { .. }))
    }
}
