//! A write that is done in a group commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RecipientState;
use super::broadcast::{Lease, RecipientOutcome};
use super::output_write::OutputWrite;
use super::reservation::Reservation;
use super::sends::entry::{NewSend, SendOutcome};

/// A write that is done in a group commit.
#[derive(Debug)]
pub(super) enum CommitRequest {
    Intend {
        lease: Lease,
        seqs: Vec<i64>,
    },
    /// An intent under a cap.
    Reserve {
        lease: Lease,
        reservation: Reservation,
    },
    Settle {
        lease: Lease,
        outcomes: Vec<RecipientOutcome>,
    },
    NewSend {
        instance: i64,
        send: Arc<NewSend>,
    },
    IntendSend {
        instance: i64,
        id: i64,
    },
    SettleSend {
        instance: i64,
        id: i64,
        outcome: SendOutcome,
    },
    /// Output of a job run.
    Output(OutputWrite),
}

impl CommitRequest {
    /// The lease under which the request moves recipients; `None` if it moves none.
    pub(super) const fn moves_of(&self) -> Option<Lease> {
        match self {
            Self::Intend { lease, .. } | Self::Settle { lease, .. } => Some(*lease),
            // It needs a transaction of several statements, which is not the text of one broadcast's moves.
            Self::Reserve { .. }
            | Self::NewSend { .. }
            | Self::IntendSend { .. }
            | Self::SettleSend { .. }
            | Self::Output(_) => None,
        }
    }
}

/// The moves that the requests of a commit ask for in one broadcast.
#[derive(Default)]
pub(super) struct RecipientMoves<'a> {
    pub(super) intents: Vec<i64>,
    pub(super) outcomes: BTreeMap<RecipientState, Vec<&'a RecipientOutcome>>,
}

impl RecipientMoves<'_> {
    /// How many recipients are moved.
    pub(super) fn count(&self) -> u64 {
        (self.intents.len() + self.outcomes.values().map(Vec::len).sum::<usize>()) as u64
    }
}
