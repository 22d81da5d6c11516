//! Moves of a broadcast's recipients in one statement, which is its own transaction.
//!
//! The statement locks the row of the lease's driver, so that no process can take the broadcast over while it runs. It
//! expects every recipient to be in the right state. If one is not, or the driver does not exist any more, the counts
//! become NULL, the table rejects that, and nothing is written.

use async_trait::async_trait;
use const_format::formatcp;

use crate::ledger::broadcast::{CountsDelta, Lease, RecipientOutcome, STAGE_TO_SEND, not_suppressed};
use crate::ledger::commit_request::RecipientMoves;
use crate::ledger::driver::MoveDriver;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{IN_DOUBT, PENDING, SENDING};
use crate::ledger::state::stage::READY;
use crate::ledger::store::{Transaction, stored};
use crate::ledger::{LedgerError, RecipientState};

use super::server::PostgresServer;

const NOT_SUPPRESSED: &str = not_suppressed!("?3");

const MOVE: &str = formatcp!("WITH held AS (
        SELECT 1 FROM drivers WHERE broadcast = ?1 AND number = ?2 FOR KEY SHARE
    ), settled AS (
        UPDATE recipients r SET state = o.state, attempts = o.attempts, message_id = o.message_id, error = o.error,
                updated_at = CASE WHEN o.state = {IN_DOUBT} THEN r.updated_at ELSE ?3 END
            FROM unnest(?4, ?5, ?6, ?7, ?8) o (seq, state, attempts, message_id, error)
            WHERE r.broadcast = ?1 AND r.seq = o.seq AND r.state = {SENDING} RETURNING 1
    ), intended AS (
        UPDATE recipients SET state = {SENDING}, updated_at = ?3 WHERE broadcast = ?1 AND seq = ANY (?9) AND state = {PENDING}
            AND {STAGE_TO_SEND} = {READY} AND {NOT_SUPPRESSED} RETURNING 1
    )
    UPDATE broadcasts SET n_pending = n_pending + ?10,
            n_sending = CASE WHEN EXISTS (SELECT 1 FROM held) AND (SELECT count(*) FROM settled) = ?17
                AND (SELECT count(*) FROM intended) = ?18 THEN n_sending + ?11 END,
            n_sent = n_sent + ?12, n_rejected = n_rejected + ?13, n_in_doubt = n_in_doubt + ?14,
            n_skipped = n_skipped + ?15, n_cancelled = n_cancelled + ?16
        WHERE id = ?1 RETURNING id");

#[async_trait]
impl MoveDriver for PostgresServer {
    async fn move_all(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
        moves: &RecipientMoves<'_>,
        _whole: bool,
    ) -> Result<bool, LedgerError> {
        let mut delta = CountsDelta::default();
        let outcomes: Vec<&RecipientOutcome> = moves.outcomes.values().flatten().copied().collect();
        for (state, outcomes) in &moves.outcomes {
            delta.moved(RecipientState::Sending, *state, outcomes.len() as u64);
        }
        delta.moved(RecipientState::Pending, RecipientState::Sending, moves.intents.len() as u64);
        let numbers = |of: fn(&RecipientOutcome) -> i64| {
            outcomes.iter().map(|outcome| of(outcome)).collect::<Vec<i64>>()
        };
        let texts = |of: fn(&RecipientOutcome) -> &Option<String>| {
            outcomes.iter().map(|one| of(one).clone()).collect::<Vec<_>>()
        };
        let mut statement = sql(MOVE)
            .bind(lease.broadcast.0)
            .bind(lease.number)
            .bind(write.store.now())
            .bind(numbers(|outcome| outcome.seq))
            .bind(numbers(|outcome| outcome.state.number()))
            .bind(numbers(|outcome| i64::from(outcome.attempts)))
            .bind(texts(|outcome| &outcome.message_id))
            .bind(texts(|outcome| &outcome.error))
            .bind(moves.intents.clone());
        for change in delta.changes() {
            statement = statement.bind(change);
        }
        let statement =
            statement.bind(stored(outcomes.len() as u64)).bind(stored(moves.intents.len() as u64));
        Ok(write.row_unless_refused::<(i64,)>(statement).await?.is_some())
    }
}
