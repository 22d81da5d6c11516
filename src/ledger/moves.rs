//! Moves of a broadcast's recipients, as a group commit writes them.
//!
//! The store first writes all moves of a broadcast at once ([`MoveDriver::move_all`]), and expects every recipient to be
//! in the right state. If one is not, nothing is written. The requests of the commit are then checked one by one, by
//! slower statements that report what is wrong.
//!
//! [`MoveDriver::move_all`]: super::driver::MoveDriver::move_all

use const_format::formatcp;

use super::broadcast::{
    CountsDelta, Lease, RecipientOutcome, STAGE_TO_SEND, apply, holds, json, not_suppressed,
};
use super::commit_request::RecipientMoves;
use super::sql::sql;
use super::state::recipient::{IN_DOUBT, PENDING, SENDING};
use super::state::stage::READY;
use super::store::{Transaction, count, stored};
use super::{LedgerError, RecipientState};

/// The recipients of an intent, in the form that the store handles fastest.
pub(super) enum SeqSet {
    Range(i64, i64),
    List(String),
}

/// Writes moves that are all expected to be valid. With `whole`, they get their own transaction, which needs no more
/// round trips than the text that begins and ends it.
///
/// # Errors
///
/// [`LedgerError::NotIn`] when a move is not valid. The caller must then roll back its transaction; a whole one is
/// already rolled back.
pub(super) async fn move_all(
    write: &mut Transaction<'_>,
    lease: Lease,
    moves: &RecipientMoves<'_>,
    whole: bool,
) -> Result<(), LedgerError> {
    let mut settled: Vec<i64> = moves.outcomes.values().flatten().map(|outcome| outcome.seq).collect();
    let twice = repeated(&mut settled);
    if twice > 0 {
        return Err(missing(lease, RecipientState::Sending, twice));
    }
    let mut seqs = moves.intents.clone();
    let twice = repeated(&mut seqs);
    if twice > 0 {
        return Err(missing(lease, RecipientState::Pending, twice));
    }
    if write.store.driver.move_all(write, lease, moves, whole).await? {
        return Ok(());
    }
    Err(missing(lease, RecipientState::Sending, moves.count()))
}

/// Writes moves one at a time, and reports what is wrong with an invalid one. With `again`, the moves may already have
/// been written without an acknowledgement.
pub(super) async fn move_carefully(
    write: &mut Transaction<'_>,
    lease: Lease,
    moves: &RecipientMoves<'_>,
    again: bool,
) -> Result<(), LedgerError> {
    let mut delta = CountsDelta::default();
    for (state, outcomes) in &moves.outcomes {
        let settled = settle(write, lease, *state, outcomes).await?;
        delta.moved(RecipientState::Sending, *state, settled);
    }
    if !moves.intents.is_empty() {
        let intended = intend(write, lease, moves.intents.clone(), again).await?;
        delta.moved(RecipientState::Pending, RecipientState::Sending, intended);
    }
    apply(write, lease.broadcast, Some(lease.number), &delta).await
}

/// Sorts sequence numbers and removes duplicates; returns how many were removed.
fn repeated(seqs: &mut Vec<i64>) -> u64 {
    let many = seqs.len();
    seqs.sort_unstable();
    seqs.dedup();
    (many - seqs.len()) as u64
}

/// Returns the recipients in ascending order, without duplicates.
pub(super) fn set(write: &Transaction<'_>, seqs: &[i64]) -> Result<SeqSet, LedgerError> {
    let (first, last) = (seqs.first().copied().unwrap_or_default(), seqs.last().copied().unwrap_or_default());
    if last - first + 1 == stored(seqs.len() as u64) {
        return Ok(SeqSet::Range(first, last));
    }
    Ok(SeqSet::List(json(write, seqs)?))
}

/// A plan that is not fixed or waits for an approval has no recipient that may be sent to, nor may one on the suppression list be. The statement
/// checks the broadcast's stage once.
pub(super) fn intend_text(set: &SeqSet, next: usize) -> String {
    let which = match set {
        SeqSet::Range(..) => format!("BETWEEN ?{next} AND ?{}", next + 1),
        SeqSet::List(_) => format!("IN (SELECT CAST(atom AS BIGINT) FROM json_each(?{next}))"),
    };
    format!(
        "UPDATE recipients SET state = {SENDING}, updated_at = ?2 WHERE broadcast = ?1 AND seq {which}
            AND state = {PENDING} AND {STAGE_TO_SEND} = {READY} AND {}",
        not_suppressed!("?2")
    )
}

/// This is not an UPDATE with a FROM, because that reads every recipient of the broadcast for each entry of the list.
/// A recipient that is not in flight stays as it is. With `refuse` it gets a NULL state instead, which the table
/// rejects. A recipient in doubt keeps the time of its intent.
pub(super) fn settle_text(next: usize, refuse: bool) -> String {
    const DUE: &str = formatcp!(
        "EXISTS (SELECT 1 FROM recipients WHERE broadcast = ?1 AND seq = CAST(value ->> 0 AS BIGINT) AND state = {SENDING})"
    );
    let rows = next + 1;
    let (state, which) = if refuse {
        (format!("CASE WHEN {DUE} THEN ?{next} END"), "true")
    } else {
        (format!("?{next}"), DUE)
    };
    format!(
        "INSERT INTO recipients (broadcast, seq, state, attempts, updated_at, group_id, users, message_id, error)
            SELECT ?1, CAST(value ->> 0 AS BIGINT), {state}, CAST(value ->> 1 AS BIGINT), ?2, '', '', value ->> 2, value ->> 3
                FROM json_each(?{rows}) WHERE {which}
            ON CONFLICT (broadcast, seq) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                updated_at = CASE WHEN excluded.state = {IN_DOUBT} THEN recipients.updated_at ELSE excluded.updated_at END,
                message_id = excluded.message_id, error = excluded.error"
    )
}

pub(super) fn outcome_rows(
    write: &Transaction<'_>,
    outcomes: &[&RecipientOutcome],
) -> Result<String, LedgerError> {
    let rows: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.seq, outcome.attempts, &outcome.message_id, &outcome.error))
        .collect();
    json(write, &rows)
}

/// Marks recipients as in flight; returns how many of them were not yet in flight.
async fn intend(
    write: &mut Transaction<'_>,
    lease: Lease,
    mut seqs: Vec<i64>,
    again: bool,
) -> Result<u64, LedgerError> {
    let many = seqs.len() as u64;
    // Two callers may both want to send to the same recipient.
    let twice = repeated(&mut seqs);
    if twice > 0 {
        return Err(not_in(write, lease, RecipientState::Pending, twice).await?);
    }
    let before = if again { sending(write, lease, &seqs).await? } else { 0 };
    let set = set(write, &seqs)?;
    let statement = sql(intend_text(&set, 3));
    let statement = statement.bind(lease.broadcast.0).bind(write.store.now());
    let statement = match set {
        SeqSet::Range(first, last) => statement.bind(first).bind(last),
        SeqSet::List(list) => statement.bind(list),
    };
    let moved = write.run(statement).await?;
    if moved + before == many {
        Ok(moved)
    } else {
        Err(not_in(write, lease, RecipientState::Pending, many.saturating_sub(moved + before)).await?)
    }
}

/// Counts how many of these recipients are in flight.
async fn sending(write: &mut Transaction<'_>, lease: Lease, seqs: &[i64]) -> Result<u64, LedgerError> {
    let question = sql(formatcp!(
        "SELECT count(*) FROM recipients WHERE broadcast = ? AND state = {SENDING}
            AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))"
    ));
    let found: Option<(i64,)> = write.row(question.bind(lease.broadcast.0).bind(json(write, seqs)?)).await?;
    Ok(count(found.unwrap_or_default().0))
}

/// Settles recipients that are in flight; returns how many. Recipients that already have this outcome stay as they
/// are.
async fn settle(
    write: &mut Transaction<'_>,
    lease: Lease,
    state: RecipientState,
    outcomes: &[&RecipientOutcome],
) -> Result<u64, LedgerError> {
    let many = outcomes.len() as u64;
    let twice = repeated(&mut outcomes.iter().map(|outcome| outcome.seq).collect());
    if twice > 0 {
        return Err(not_in(write, lease, RecipientState::Sending, twice).await?);
    }
    let rows = outcome_rows(write, outcomes)?;
    let statement = sql(settle_text(3, false)).bind(lease.broadcast.0).bind(write.store.now());
    let moved = write.run(statement.bind(state).bind(&rows)).await?;
    if moved < many {
        let question = sql(
            "SELECT count(*) FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM recipients WHERE broadcast = ?2
                AND seq = CAST(value ->> 0 AS BIGINT) AND state = ?3 AND attempts = CAST(value ->> 1 AS BIGINT)
                AND message_id IS NOT DISTINCT FROM value ->> 2)",
        );
        let question = question.bind(&rows).bind(lease.broadcast.0).bind(state);
        let (as_said,): (i64,) = write.row(question).await?.unwrap_or_default();
        let as_said = count(as_said);
        if as_said < many {
            return Err(not_in(write, lease, RecipientState::Sending, many - as_said).await?);
        }
    }
    Ok(moved)
}

/// Returns why recipients could not be moved. The most common reason is that another process drives the broadcast now.
async fn not_in(
    write: &mut Transaction<'_>,
    lease: Lease,
    wanted: RecipientState,
    many: u64,
) -> Result<LedgerError, LedgerError> {
    if !holds(write, lease).await? {
        return Ok(LedgerError::LeaseLost(lease.broadcast));
    }
    Ok(missing(lease, wanted, many))
}

fn missing(lease: Lease, wanted: RecipientState, count: u64) -> LedgerError {
    LedgerError::NotIn { what: format!("the recipients of broadcast {}", lease.broadcast), wanted, count }
}
