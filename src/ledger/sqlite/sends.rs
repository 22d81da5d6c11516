//! New sends and outcomes of others in a file, in one statement.

use std::fmt::Write;
use std::sync::LazyLock;

use async_trait::async_trait;
use const_format::formatcp;

use crate::ledger::driver::SendDriver;
use crate::ledger::instance::ENDED_BEFORE;
use crate::ledger::sends::{MOST, NewSend, SendOutcome};
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{IN_DOUBT, PENDING, SENDING};
use crate::ledger::store::{Transaction, stored};
use crate::ledger::{LedgerError, RecipientState};

use super::SqliteFile;

/// Statements for up to this many rows each. Unused rows are filtered out, so a few statements serve every number of
/// rows.
static STATEMENTS: LazyLock<[(usize, String); 4]> =
    LazyLock::new(|| [1, 8, 64, MOST].map(|rows| (rows, statement(rows))));

fn statement(rows: usize) -> String {
    let mut text = String::from(
        // A send that may not be settled gets a NULL state, which the table rejects, and the whole statement has no
        // effect. A send may be settled if it belongs to its instance, or if it has no instance and is pending. It must
        // also be pending or in flight, or already have this state, or be in doubt only because its instance was reaped.
        formatcp!("INSERT INTO sends (updated_at, created_at, id, owner, app, once, hash, recipients, origin, state,
                attempts, receipts, error, fingerprints, files, job_run)
            SELECT ?, ?, column1, column2, column3, column4, column5, column6, column7,
                CASE WHEN column1 IS NULL OR EXISTS (SELECT 1 FROM sends WHERE id = column1 AND
                    (owner = column13 OR (owner = 0 AND state = {PENDING}))
                    AND (state IN ({PENDING}, {SENDING}, column8) OR (state = {IN_DOUBT} AND error = '{ENDED_BEFORE}')))
                    THEN column8 END,
                column9, column10, column11, column12, column14, column15 FROM (VALUES "),
    );
    for row in 0..rows {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", if row == 0 { "" } else { "," });
    }
    text.push_str(
        formatcp!(") WHERE column2 IS NOT NULL
            ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, state = excluded.state, attempts = excluded.attempts,
                receipts = excluded.receipts, error = excluded.error,
                updated_at = CASE WHEN excluded.state = {IN_DOUBT} THEN sends.updated_at ELSE excluded.updated_at END"),
    );
    text
}

#[async_trait]
impl<K: Send + Sync> SendDriver for SqliteFile<K> {
    async fn write_sends(
        &self,
        write: &mut Transaction<'_>,
        fresh: &[(i64, &NewSend)],
        state: RecipientState,
        settled: &[(i64, i64, &SendOutcome)],
    ) -> Result<Option<Vec<i64>>, LedgerError> {
        let Some((_, text)) = STATEMENTS.iter().find(|(most, _)| fresh.len() + settled.len() <= *most) else {
            return Err(write.store.record("more sends than a statement takes"));
        };
        let now = write.store.now();
        let mut statement = sql(text.as_str()).bind(now).bind(now);
        for (instance, id, outcome) in settled {
            let receipts =
                serde_json::to_string(&outcome.receipts).map_err(|error| write.store.record(error))?;
            // A send that is proved not to have been sent has no instance until it is tried again.
            let next = if outcome.state == RecipientState::Pending { 0 } else { *instance };
            statement = statement.bind(id).bind(next).bind(0).bind(None::<&str>).bind("").bind("").bind("");
            statement = statement.bind(outcome.state).bind(outcome.attempts).bind(receipts);
            statement = statement.bind(outcome.error.as_deref()).bind(None::<&str>).bind(instance);
            statement = statement.bind(None::<&str>).bind(None::<&str>);
        }
        // New sends go last, so that the last row id is the id of a new send.
        for (instance, send) in fresh {
            statement =
                statement.bind(None::<i64>).bind(instance).bind(send.app.0).bind(send.once.as_deref());
            statement = statement.bind(&*send.hash).bind(&*send.recipients).bind(&*send.origin);
            statement = statement.bind(state).bind(0).bind(None::<&str>).bind(None::<&str>);
            statement = statement.bind(&*send.fingerprints).bind(instance).bind(send.files.as_deref());
            statement = statement.bind(send.job_run.as_deref());
        }
        let last = write.insert(statement).await?;
        Ok(last.map(|last| (last + 1 - stored(fresh.len() as u64)..=last).collect()))
    }
}
