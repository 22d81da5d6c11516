//! New sends and outcomes of others, in one statement.
//!
//! Each statement travels to the connection's thread and back, so a group commit of single sends is one statement,
//! which is its own transaction.

use std::fmt::Write;
use std::sync::LazyLock;

use super::super::sql::Statement;
use super::super::store::{Transaction, stored};
use super::super::{DeliveryState, LedgerError, postgres};
use super::{NewSend, SendOutcome};
use crate::ledger::sql::sql;

/// The most rows of one statement.
pub(in crate::ledger) const MOST: usize = 512;

/// Statements for up to this many rows each. Unused rows are filtered out, so a few statements serve every number of
/// rows.
static STATEMENTS: LazyLock<[(usize, String); 4]> =
    LazyLock::new(|| [1, 8, 64, MOST].map(|rows| (rows, statement(rows))));

fn statement(rows: usize) -> String {
    let mut text = String::from(
        // A send that may not be settled gets a NULL state, which the table rejects, and the whole statement has no
        // effect. A send may be settled if it belongs to its owner, or if it has no owner and is pending. It must also
        // be pending or in flight, or already have this state.
        "INSERT INTO sends (updated_at, created_at, id, owner, app, once, hash, recipients, origin, state, attempts, receipts, error)
            SELECT ?, ?, column1, column2, column3, column4, column5, column6, column7,
                CASE WHEN column1 IS NULL OR EXISTS (SELECT 1 FROM sends WHERE id = column1 AND
                    (owner = column12 OR (owner = 0 AND state = 0)) AND state IN (0, 1, column8)) THEN column8 END,
                column9, column10, column11 FROM (VALUES ",
    );
    for row in 0..rows {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}(?,?,?,?,?,?,?,?,?,?,?,?)", if row == 0 { "" } else { "," });
    }
    text.push_str(
        ") WHERE column2 IS NOT NULL
            ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, state = excluded.state, attempts = excluded.attempts,
                receipts = excluded.receipts, error = excluded.error, updated_at = excluded.updated_at",
    );
    text
}

/// Writes new sends (owner, send) in `state`, and outcomes (owner, number, outcome) of earlier sends. Each earlier
/// send must belong to its owner, and be in flight or already have this outcome. At most [`MOST`] rows together.
///
/// Returns the numbers of the new sends, in their order.
pub(in crate::ledger) async fn write(
    write: &mut Transaction<'_>,
    fresh: &[(i64, &NewSend)],
    state: DeliveryState,
    settled: &[(i64, i64, &SendOutcome)],
) -> Result<Vec<i64>, LedgerError> {
    let rows = fresh.len() + settled.len();
    let refused = || {
        let what = match settled {
            [(_, id, _)] => format!("send {id}"),
            _ => "some sends".to_owned(),
        };
        LedgerError::NotIn { what, wanted: DeliveryState::Sending, count: settled.len() as u64 }
    };
    let mut ids: Vec<i64> = settled.iter().map(|(_, id, _)| *id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refused());
    }
    if write.store.server().is_some() {
        return postgres::sends::write(write, fresh, state, settled).await?.ok_or_else(refused);
    }
    let Some((_, text)) = STATEMENTS.iter().find(|(most, _)| rows <= *most) else {
        return Err(write.store.record("more sends than a statement takes"));
    };
    let now = write.store.now();
    let mut statement: Statement = sql(text.as_str()).bind(now).bind(now);
    for (owner, id, outcome) in settled {
        let receipts = serde_json::to_string(&outcome.receipts).map_err(|error| write.store.record(error))?;
        // A send that is proved not to have been sent has no owner until it is tried again.
        let next = if outcome.state == DeliveryState::Pending { 0 } else { *owner };
        statement = statement.bind(id).bind(next).bind(0).bind(None::<&str>).bind("").bind("").bind("");
        statement = statement.bind(outcome.state.number()).bind(outcome.attempts).bind(receipts);
        statement = statement.bind(outcome.error.as_deref()).bind(owner);
    }
    // New sends go last, so that the last row id is the id of a new send.
    for (owner, send) in fresh {
        statement = statement.bind(None::<i64>).bind(owner).bind(send.app.0).bind(send.once.as_deref());
        statement = statement.bind(&*send.hash).bind(&*send.recipients).bind(&*send.origin);
        statement = statement.bind(state.number()).bind(0).bind(None::<&str>).bind(None::<&str>).bind(owner);
    }
    match write.insert(statement).await? {
        Some(last) => Ok((last + 1 - stored(fresh.len() as u64)..=last).collect()),
        None => Err(refused()),
    }
}
