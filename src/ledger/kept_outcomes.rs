//! Outcomes of a broadcast's calls that could not be written. The process keeps them, and writes them before it settles
//! the calls in flight in any other way.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use const_format::formatcp;

use super::broadcast::{BroadcastId, Lease, RecipientOutcome, holds, json};
use super::commit_request::RecipientMoves;
use super::moves::move_carefully;
use super::sql::sql;
use super::state::recipient::SENDING;
use super::store::Transaction;
use super::{Ledger, LedgerError};

/// An outcome that could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct KeptOutcome {
    outcome: RecipientOutcome,
    /// The recipient's stored attempts while this try was in flight. Whoever else settles the try counts it, so another
    /// number shows that the outcome came too late.
    attempts: u32,
}

/// The outcomes of all broadcasts that this process could not write, by their sequence numbers.
#[derive(Debug, Default)]
pub(super) struct KeptOutcomes(Mutex<HashMap<BroadcastId, BTreeMap<i64, KeptOutcome>>>);

impl KeptOutcomes {
    fn lock(&self) -> MutexGuard<'_, HashMap<BroadcastId, BTreeMap<i64, KeptOutcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, id: BroadcastId) -> BTreeMap<i64, KeptOutcome> {
        self.lock().get(&id).cloned().unwrap_or_default()
    }

    /// Removes outcomes, except those that were replaced meanwhile.
    fn remove(&self, id: BroadcastId, done: &BTreeMap<i64, KeptOutcome>) {
        let mut all = self.lock();
        let Some(kept) = all.get_mut(&id) else { return };
        kept.retain(|seq, outcome| done.get(seq) != Some(outcome));
        if kept.is_empty() {
            all.remove(&id);
        }
    }
}

impl Ledger {
    /// Keeps outcomes that could not be written, each with the recipient's attempts before the try.
    pub fn keep_outcomes(
        &self,
        id: BroadcastId,
        outcomes: impl IntoIterator<Item = (u32, RecipientOutcome)>,
    ) {
        let outcomes =
            outcomes.into_iter().map(|(attempts, outcome)| (outcome.seq, KeptOutcome { outcome, attempts }));
        self.0.kept_outcomes.lock().entry(id).or_default().extend(outcomes);
    }

    /// How many recipients of a broadcast have an outcome that could not be written.
    pub fn count_kept_outcomes(&self, id: BroadcastId) -> usize {
        self.0.kept_outcomes.lock().get(&id).map_or(0, BTreeMap::len)
    }

    /// Writes the kept outcomes of a broadcast; returns those of calls that were still in flight. Of the others it records
    /// what [`Ledger::settle_late`] can.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`]. An error if the store fails; all outcomes are kept then.
    pub async fn write_kept_outcomes(&self, lease: Lease) -> Result<Vec<RecipientOutcome>, LedgerError> {
        let id = lease.broadcast;
        let kept = self.0.kept_outcomes.of(id);
        if kept.is_empty() {
            return Ok(Vec::new());
        }
        let written = self.store().transaction(async |write| write_kept(write, lease, &kept).await).await;
        if let Err(error) = &written
            && error.is_fault()
        {
            return written;
        }
        let done: BTreeSet<i64> = written.iter().flatten().map(|outcome| outcome.seq).collect();
        let late = kept.values().map(|one| &one.outcome).filter(|outcome| !done.contains(&outcome.seq));
        let late: Vec<RecipientOutcome> = late.cloned().collect();
        self.settle_late(id, &late).await?;
        self.0.kept_outcomes.remove(id, &kept);
        written
    }
}

/// Writes the outcomes whose try is still in flight, and returns them.
async fn write_kept(
    write: &mut Transaction<'_>,
    lease: Lease,
    kept: &BTreeMap<i64, KeptOutcome>,
) -> Result<Vec<RecipientOutcome>, LedgerError> {
    if !holds(write, lease).await? {
        return Err(LedgerError::LeaseLost(lease.broadcast));
    }
    let question = sql(formatcp!(
        "SELECT seq, attempts FROM recipients WHERE broadcast = ? AND state = {SENDING}
            AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))"
    ));
    let seqs: Vec<i64> = kept.keys().copied().collect();
    let question = question.bind(lease.broadcast.0).bind(json(write, &seqs)?);
    let in_flight: Vec<(i64, i64)> = write.rows(question).await?;
    let due = |(seq, attempts): &(i64, i64)| {
        kept.get(seq).filter(|one| i64::from(one.attempts) == *attempts).map(|one| &one.outcome)
    };
    let due: Vec<&RecipientOutcome> = in_flight.iter().filter_map(due).collect();
    let mut moves = RecipientMoves::default();
    for outcome in &due {
        moves.outcomes.entry(outcome.state).or_default().push(outcome);
    }
    move_carefully(write, lease, &moves, true).await?;
    Ok(due.into_iter().cloned().collect())
}
