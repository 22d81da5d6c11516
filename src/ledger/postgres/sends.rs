//! New sends and outcomes of others, in one statement, which is its own transaction.
//!
//! A send that may not be settled gets a NULL state, which the table rejects, and the whole statement has no effect.
//! The same happens to new sends of an instance that was reaped.

use async_trait::async_trait;
use const_format::formatcp;

use crate::ledger::driver::SendDriver;
use crate::ledger::instance::ENDED_BEFORE;
use crate::ledger::sends::{NewSend, SendOutcome};
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{IN_DOUBT, PENDING, SENDING};
use crate::ledger::store::Transaction;
use crate::ledger::{LedgerError, RecipientState};

use super::server::PostgresServer;

/// The condition on a send that it is in doubt only because its instance was reaped. The instance may live, and have the
/// answer.
const REAPED: &str = formatcp!("(s.state = {IN_DOUBT} AND s.error = '{ENDED_BEFORE}')");

const WRITE: &str = formatcp!("WITH held AS (
        SELECT id FROM instances WHERE id = ANY (?1) FOR KEY SHARE
    ), settled AS (
        UPDATE sends s SET owner = o.next, attempts = o.attempts, receipts = o.receipts, error = o.error,
                updated_at = CASE WHEN o.state = {IN_DOUBT} THEN s.updated_at ELSE ?2 END,
                state = CASE WHEN (s.owner = o.owner OR (s.owner = 0 AND s.state = {PENDING}))
                    AND (s.state IN ({PENDING}, {SENDING}, o.state) OR {REAPED}) THEN o.state END
            FROM unnest(?3, ?4, ?5, ?6, ?7, ?8, ?9) o (id, owner, next, state, attempts, receipts, error)
            WHERE s.id = o.id RETURNING 1
    )
    INSERT INTO sends (app, once, hash, recipients, origin, owner, fingerprints, files, job_run, state, created_at,
            updated_at)
        SELECT f.app, f.once, f.hash, f.recipients, f.origin, f.owner, f.fingerprints, f.files,
                f.job_run,
                CASE WHEN f.owner IN (SELECT id FROM held) THEN ?19 END, ?2, ?2
            FROM unnest(?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) WITH ORDINALITY
                f (app, once, hash, recipients, origin, owner, fingerprints, files, job_run, nth) ORDER BY f.nth
        RETURNING id");

#[async_trait]
impl SendDriver for PostgresServer {
    async fn write_sends(
        &self,
        write: &mut Transaction<'_>,
        fresh: &[(i64, &NewSend)],
        state: RecipientState,
        settled: &[(i64, i64, &SendOutcome)],
    ) -> Result<Option<Vec<i64>>, LedgerError> {
        let mut instances: Vec<i64> = fresh.iter().map(|(instance, _)| *instance).collect();
        instances.dedup();
        let mut receipts = Vec::with_capacity(settled.len());
        for (_, _, outcome) in settled {
            let text = serde_json::to_string(&outcome.receipts).map_err(|error| write.store.record(error))?;
            receipts.push(Some(text));
        }
        let numbers = |of: fn(&(i64, i64, &SendOutcome)) -> i64| settled.iter().map(of).collect::<Vec<_>>();
        let texts =
            |of: fn(&NewSend) -> Option<String>| fresh.iter().map(|(_, send)| of(send)).collect::<Vec<_>>();
        let statement = sql(WRITE)
            .bind(instances)
            .bind(write.store.now())
            .bind(numbers(|(_, id, _)| *id))
            .bind(numbers(|(instance, ..)| *instance))
            // A send that is proved not to have been sent has no instance until it is tried again.
            .bind(numbers(
                |(instance, _, outcome)| if outcome.state == RecipientState::Pending { 0 } else { *instance },
            ))
            .bind(numbers(|(_, _, outcome)| outcome.state.number()))
            .bind(numbers(|(_, _, outcome)| i64::from(outcome.attempts)))
            .bind(receipts)
            .bind(settled.iter().map(|(_, _, outcome)| outcome.error.clone()).collect::<Vec<_>>())
            .bind(fresh.iter().map(|(_, send)| send.app.0).collect::<Vec<_>>())
            .bind(texts(|send| send.once.clone()))
            .bind(texts(|send| Some(send.hash.clone())))
            .bind(texts(|send| Some(send.recipients.clone())))
            .bind(texts(|send| Some(send.origin.clone())))
            .bind(fresh.iter().map(|(instance, _)| *instance).collect::<Vec<_>>())
            .bind(texts(|send| Some(send.fingerprints.clone())))
            .bind(texts(|send| send.files.clone()))
            .bind(texts(|send| send.job_run.clone()))
            .bind(state);
        let ids = write.rows_unless_refused::<(i64,)>(statement).await?;
        Ok(ids.map(|ids| ids.into_iter().map(|(id,)| id).collect()))
    }
}
