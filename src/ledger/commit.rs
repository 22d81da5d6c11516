//! The statements of one group commit: few, however many requests there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::broadcast::{Delta, Lease, Outcome, apply, json};
use super::sends::{self, NewSend, SendOutcome};
use super::store::{Transaction, count, stored};
use super::{LedgerError, State};

/// What is written in group commits.
#[derive(Debug)]
pub(super) enum Request {
    Intend { lease: Lease, seqs: Vec<i64> },
    Settle { lease: Lease, outcomes: Vec<Outcome> },
    NewSend { owner: i64, send: Arc<NewSend> },
    IntendSend { owner: i64, id: i64 },
    SettleSend { owner: i64, id: i64, outcome: SendOutcome },
}

/// Whether requests are written by one statement, as new sends and their outcomes are.
pub(super) fn is_one_statement(requests: &[Request]) -> bool {
    let alone = |request| matches!(request, &Request::NewSend { .. } | &Request::SettleSend { .. });
    requests.len() <= sends::MOST && requests.iter().all(alone)
}

/// What the requests of a commit ask of one broadcast.
#[derive(Default)]
struct Moves<'a> {
    intents: Vec<i64>,
    outcomes: BTreeMap<State, Vec<&'a Outcome>>,
}

/// Writes all requests; gives for each its answer, the number of a new send or nothing of meaning.
pub(super) async fn commit(
    write: &mut Transaction<'_>,
    requests: &[Request],
) -> Result<Vec<i64>, LedgerError> {
    let mut answers = vec![0; requests.len()];
    let mut moves: BTreeMap<Lease, Moves<'_>> = BTreeMap::new();
    let mut fresh = Vec::new();
    let mut settled = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        match request {
            Request::Intend { lease, seqs } => moves.entry(*lease).or_default().intents.extend(seqs),
            Request::Settle { lease, outcomes } => {
                let moves = moves.entry(*lease).or_default();
                for outcome in outcomes {
                    moves.outcomes.entry(outcome.state).or_default().push(outcome);
                }
            }
            Request::NewSend { owner, send } => fresh.push((index, *owner, &**send)),
            Request::IntendSend { owner, id } => sends::intend(write, *owner, *id).await?,
            Request::SettleSend { owner, id, outcome } => settled.push((*owner, *id, outcome)),
        }
    }
    for (lease, moves) in &moves {
        move_recipients(write, *lease, moves).await?;
    }
    // New sends first: a statement takes what is left room for.
    let mut settled = settled.as_slice();
    for part in fresh.chunks(sends::MOST) {
        let rows: Vec<_> = part.iter().map(|(_, owner, send)| (*owner, *send)).collect();
        let (now, later) = settled.split_at(settled.len().min(sends::MOST - part.len()));
        settled = later;
        let first = sends::write(write, &rows, State::Sending, now).await?;
        for (number, (index, ..)) in (first..).zip(part) {
            if let Some(answer) = answers.get_mut(*index) {
                *answer = number;
            }
        }
    }
    for part in settled.chunks(sends::MOST) {
        sends::write(write, &[], State::Sending, part).await?;
    }
    Ok(answers)
}

async fn move_recipients(
    write: &mut Transaction<'_>,
    lease: Lease,
    moves: &Moves<'_>,
) -> Result<(), LedgerError> {
    let mut delta = Delta::default();
    for (state, outcomes) in &moves.outcomes {
        let settled = settle(write, lease, *state, outcomes).await?;
        delta.moved(State::Sending, *state, settled);
    }
    if !moves.intents.is_empty() {
        intend(write, lease, moves.intents.clone()).await?;
        delta.moved(State::Pending, State::Sending, moves.intents.len() as u64);
    }
    apply(write, lease.broadcast, Some(lease.number), &delta).await
}

async fn intend(write: &mut Transaction<'_>, lease: Lease, mut seqs: Vec<i64>) -> Result<(), LedgerError> {
    let many = seqs.len() as u64;
    seqs.sort_unstable();
    seqs.dedup();
    // Two who would both send to the same recipient.
    if many > seqs.len() as u64 {
        return Err(not_in(write, lease, State::Pending, many - seqs.len() as u64).await?);
    }
    let now = write.store.now();
    let (first, last) = (seqs.first().copied().unwrap_or_default(), seqs.last().copied().unwrap_or_default());
    // A plan that is not fixed has no recipient that may be sent to; the stage is looked at once a statement.
    let moved = if last - first + 1 == stored(many) {
        let statement = sqlx::query(
            "UPDATE recipients SET state = 1, updated_at = ?1 WHERE broadcast = ?2 AND seq BETWEEN ?3 AND ?4
                AND state = 0 AND (SELECT state FROM broadcasts WHERE id = ?2) = 1",
        );
        write.run(statement.bind(now).bind(lease.broadcast.0).bind(first).bind(last)).await?
    } else {
        let statement = sqlx::query(
            "UPDATE recipients SET state = 1, updated_at = ?1
                WHERE broadcast = ?2 AND seq IN (SELECT value FROM json_each(?3))
                AND state = 0 AND (SELECT state FROM broadcasts WHERE id = ?2) = 1",
        );
        let set = json(write, &seqs)?;
        write.run(statement.bind(now).bind(lease.broadcast.0).bind(set)).await?
    };
    if moved == many { Ok(()) } else { Err(not_in(write, lease, State::Pending, many - moved).await?) }
}

/// Settles recipients that were being sent to; gives how many. Those that are settled so already are left as they are.
async fn settle(
    write: &mut Transaction<'_>,
    lease: Lease,
    state: State,
    outcomes: &[&Outcome],
) -> Result<u64, LedgerError> {
    let many = outcomes.len() as u64;
    let mut seqs: Vec<i64> = outcomes.iter().map(|outcome| outcome.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    // The same recipient twice: each request is looked at by itself then, and one that says both is wrong.
    if many > seqs.len() as u64 {
        return Err(not_in(write, lease, State::Sending, many - seqs.len() as u64).await?);
    }
    let rows: Vec<_> = outcomes
        .iter()
        .map(|outcome| (outcome.seq, outcome.attempts, &outcome.message_id, &outcome.error))
        .collect();
    let rows = json(write, &rows)?;
    // Not an UPDATE with a FROM: that looks at every recipient of the broadcast, for each of the list.
    let statement = sqlx::query(
        "INSERT INTO recipients (broadcast, seq, state, attempts, updated_at, group_id, users, message_id, error)
            SELECT ?1, value ->> 0, ?2, value ->> 1, ?3, '', '', value ->> 2, value ->> 3 FROM json_each(?4)
                WHERE EXISTS (SELECT 1 FROM recipients WHERE broadcast = ?1 AND seq = value ->> 0 AND state = 1)
            ON CONFLICT (broadcast, seq) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                updated_at = excluded.updated_at, message_id = excluded.message_id, error = excluded.error",
    );
    let statement =
        statement.bind(lease.broadcast.0).bind(state.number()).bind(write.store.now()).bind(&rows);
    let moved = write.run(statement).await?;
    if moved < many {
        let question = sqlx::query_as(
            "SELECT count(*) FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM recipients WHERE broadcast = ?2
                AND seq = value ->> 0 AND state = ?3 AND attempts = value ->> 1 AND message_id IS value ->> 2)",
        );
        let question = question.bind(&rows).bind(lease.broadcast.0).bind(state.number());
        let (as_said,): (i64,) = write.row(question).await?.unwrap_or_default();
        let as_said = count(as_said);
        if as_said < many {
            return Err(not_in(write, lease, State::Sending, many - as_said).await?);
        }
    }
    Ok(moved)
}

/// Why recipients could not be moved: most often because another drives the broadcast now.
async fn not_in(
    write: &mut Transaction<'_>,
    lease: Lease,
    wanted: State,
    many: u64,
) -> Result<LedgerError, LedgerError> {
    let question = sqlx::query_as("SELECT lease_number FROM broadcasts WHERE id = ?").bind(lease.broadcast.0);
    let holder: Option<(i64,)> = write.row(question).await?;
    if holder != Some((lease.number,)) {
        return Ok(LedgerError::LeaseLost(lease.broadcast));
    }
    Ok(LedgerError::NotIn {
        what: format!("the recipients of broadcast {}", lease.broadcast),
        wanted,
        count: many,
    })
}
