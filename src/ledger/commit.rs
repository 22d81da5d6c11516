//! The statements of one group commit: few, however many requests there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::broadcast::{Lease, RecipientOutcome};
use super::moves::{RecipientMoves, move_all, move_carefully};
use super::sends::{self, NewSend, SendOutcome};
use super::store::Transaction;
use super::{DeliveryState, LedgerError};

/// What is written in group commits.
#[derive(Debug)]
pub(super) enum CommitRequest {
    Intend { lease: Lease, seqs: Vec<i64> },
    Settle { lease: Lease, outcomes: Vec<RecipientOutcome> },
    NewSend { owner: i64, send: Arc<NewSend> },
    IntendSend { owner: i64, id: i64 },
    SettleSend { owner: i64, id: i64, outcome: SendOutcome },
}

impl CommitRequest {
    /// The lease under which it moves recipients, if it does.
    pub(super) const fn moves_of(&self) -> Option<Lease> {
        match self {
            Self::Intend { lease, .. } | Self::Settle { lease, .. } => Some(*lease),
            Self::NewSend { .. } | Self::IntendSend { .. } | Self::SettleSend { .. } => None,
        }
    }
}

/// Whether requests are written by one statement, as new sends and their outcomes are.
pub(super) fn is_one_statement(requests: &[CommitRequest]) -> bool {
    let alone =
        |request| matches!(request, &CommitRequest::NewSend { .. } | &CommitRequest::SettleSend { .. });
    requests.len() <= sends::MOST && requests.iter().all(alone)
}

/// Whether requests are moves of recipients of one broadcast, which bring a transaction of their own.
pub(super) fn is_one_broadcast(requests: &[CommitRequest]) -> bool {
    let first = requests.first().and_then(CommitRequest::moves_of);
    first.is_some() && requests.iter().all(|request| request.moves_of() == first)
}

/// How requests are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitMode {
    /// As moves of one broadcast, in a transaction of their own.
    Whole,
    /// In a transaction that was begun.
    Together,
    /// In a transaction that was begun, and in a way that finds out what is wrong with a move of a recipient.
    Carefully,
    /// The same for what may have been written before without anybody being told.
    Again,
}

/// Writes all requests; gives for each its answer, the number of a new send or nothing of meaning.
pub(super) async fn commit(
    write: &mut Transaction<'_>,
    requests: &[CommitRequest],
    manner: CommitMode,
) -> Result<Vec<i64>, LedgerError> {
    let mut answers = vec![0; requests.len()];
    let mut moves: BTreeMap<Lease, RecipientMoves<'_>> = BTreeMap::new();
    let mut fresh = Vec::new();
    let mut settled = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        match request {
            CommitRequest::Intend { lease, seqs } => moves.entry(*lease).or_default().intents.extend(seqs),
            CommitRequest::Settle { lease, outcomes } => {
                let moves = moves.entry(*lease).or_default();
                for outcome in outcomes {
                    moves.outcomes.entry(outcome.state).or_default().push(outcome);
                }
            }
            CommitRequest::NewSend { owner, send } => fresh.push((index, *owner, &**send)),
            CommitRequest::IntendSend { owner, id } => sends::intend(write, *owner, *id).await?,
            CommitRequest::SettleSend { owner, id, outcome } => settled.push((*owner, *id, outcome)),
        }
    }
    for (lease, moves) in &moves {
        match manner {
            CommitMode::Carefully => move_carefully(write, *lease, moves, false).await?,
            CommitMode::Again => move_carefully(write, *lease, moves, true).await?,
            _ => move_all(write, *lease, moves, manner == CommitMode::Whole).await?,
        }
    }
    // New sends first: a statement takes what is left room for.
    let mut settled = settled.as_slice();
    for part in fresh.chunks(sends::MOST) {
        let rows: Vec<_> = part.iter().map(|(_, owner, send)| (*owner, *send)).collect();
        let (now, later) = settled.split_at(settled.len().min(sends::MOST - part.len()));
        settled = later;
        let numbers = sends::write(write, &rows, DeliveryState::Sending, now).await?;
        for (number, (index, ..)) in numbers.into_iter().zip(part) {
            if let Some(answer) = answers.get_mut(*index) {
                *answer = number;
            }
        }
    }
    for part in settled.chunks(sends::MOST) {
        sends::write(write, &[], DeliveryState::Sending, part).await?;
    }
    Ok(answers)
}
