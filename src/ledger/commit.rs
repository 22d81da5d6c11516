//! The statements of one group commit. Their number does not grow with the number of requests.

use std::collections::BTreeMap;

use super::broadcast::Lease;
use super::commit_request::{CommitRequest, RecipientMoves};
use super::moves::{move_all, move_carefully};
use super::reservation::Reservation;
use super::reservations::{lock_apps, reserve};
use super::run_output;
use super::sends;
use super::store::Transaction;
use super::{LedgerError, RecipientState};

/// Returns whether one statement can write these requests. New sends and their outcomes are written so.
pub(super) fn is_one_statement(requests: &[CommitRequest]) -> bool {
    let alone =
        |request| matches!(request, &CommitRequest::NewSend { .. } | &CommitRequest::SettleSend { .. });
    requests.len() <= sends::MOST && requests.iter().all(alone)
}

/// Returns whether these requests all move recipients of one broadcast. Their text contains its own transaction.
pub(super) fn is_one_broadcast(requests: &[CommitRequest]) -> bool {
    let first = requests.first().and_then(CommitRequest::moves_of);
    first.is_some() && requests.iter().all(|request| request.moves_of() == first)
}

/// How requests are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CommitMode {
    /// As moves of one broadcast, in their own transaction.
    Whole,
    /// In a transaction that has already begun.
    Together,
    /// In a transaction that has already begun, with statements that find out what is wrong with a move.
    Carefully,
    /// As `Carefully`, for requests that may already have been written without an acknowledgement.
    Again,
}

/// Writes all requests; returns an answer for each: the number of a new send, or a meaningless value.
pub(super) async fn commit(
    write: &mut Transaction<'_>,
    requests: &[CommitRequest],
    mode: CommitMode,
) -> Result<Vec<i64>, LedgerError> {
    let mut answers = vec![0; requests.len()];
    let mut moves: BTreeMap<Lease, RecipientMoves<'_>> = BTreeMap::new();
    let mut reservations: BTreeMap<Lease, Vec<&Reservation>> = BTreeMap::new();
    let mut fresh = Vec::new();
    let mut settled = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        match request {
            CommitRequest::Reserve { lease, reservation } => {
                moves.entry(*lease).or_default();
                reservations.entry(*lease).or_default().push(reservation);
            }
            CommitRequest::Intend { lease, seqs } => moves.entry(*lease).or_default().intents.extend(seqs),
            CommitRequest::Settle { lease, outcomes } => {
                let moves = moves.entry(*lease).or_default();
                for outcome in outcomes {
                    moves.outcomes.entry(outcome.state).or_default().push(outcome);
                }
            }
            CommitRequest::NewSend { instance, send } => fresh.push((index, *instance, &**send)),
            CommitRequest::IntendSend { instance, id } => sends::intend(write, *instance, *id).await?,
            CommitRequest::Output(output) => run_output::write(write, output).await?,
            CommitRequest::SettleSend { instance, id, outcome } => settled.push((*instance, *id, outcome)),
        }
    }
    lock_apps(write, &reservations).await?;
    for (lease, moves) in &mut moves {
        if let Some(reservations) = reservations.get(lease) {
            // After the moves of the broadcasts before, whose messages count.
            moves.intents.extend(reserve(write, *lease, reservations).await?);
            if moves.count() == 0 {
                continue;
            }
        }
        match mode {
            CommitMode::Carefully => move_carefully(write, *lease, moves, false).await?,
            CommitMode::Again => move_carefully(write, *lease, moves, true).await?,
            _ => move_all(write, *lease, moves, mode == CommitMode::Whole).await?,
        }
    }
    // New sends go first; outcomes fill the room that is left in a statement.
    let mut settled = settled.as_slice();
    for part in fresh.chunks(sends::MOST) {
        let rows: Vec<_> = part.iter().map(|(_, instance, send)| (*instance, *send)).collect();
        let (now, later) = settled.split_at(settled.len().min(sends::MOST - part.len()));
        settled = later;
        let numbers = sends::write(write, &rows, RecipientState::Sending, now).await?;
        for (number, (index, ..)) in numbers.into_iter().zip(part) {
            if let Some(answer) = answers.get_mut(*index) {
                *answer = number;
            }
        }
    }
    for part in settled.chunks(sends::MOST) {
        sends::write(write, &[], RecipientState::Sending, part).await?;
    }
    Ok(answers)
}
