//! A write that is done in a group commit.

use std::sync::Arc;

use super::broadcast::{Lease, RecipientOutcome};
use super::sends::entry::{NewSend, SendOutcome};

/// A write that is done in a group commit.
#[derive(Debug)]
pub(super) enum CommitRequest {
    Intend { lease: Lease, seqs: Vec<i64> },
    Settle { lease: Lease, outcomes: Vec<RecipientOutcome> },
    NewSend { owner: i64, send: Arc<NewSend> },
    IntendSend { owner: i64, id: i64 },
    SettleSend { owner: i64, id: i64, outcome: SendOutcome },
}

impl CommitRequest {
    /// The lease under which the request moves recipients; `None` if it moves none.
    pub(super) const fn moves_of(&self) -> Option<Lease> {
        match self {
            Self::Intend { lease, .. } | Self::Settle { lease, .. } => Some(*lease),
            Self::NewSend { .. } | Self::IntendSend { .. } | Self::SettleSend { .. } => None,
        }
    }
}
