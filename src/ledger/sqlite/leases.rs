//! Leases of broadcasts in a file: a broadcast's row names its one driver.

use crate::ledger::LedgerError;
use crate::ledger::broadcast::{BroadcastId, Lease, PendingRow};
use crate::ledger::sql::sql;
use crate::ledger::store::{Store, Transaction};

use super::instances::lives;

/// As [`Ledger::claim`](crate::ledger::Ledger::claim).
pub(super) async fn claim(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    owner: i64,
    length: i64,
) -> Result<Option<Lease>, LedgerError> {
    let question = sql("SELECT owner, lease_until, lease_for FROM broadcasts WHERE id = ?").bind(id.0);
    let Some((holder, until, length_then)) = write.row::<(Option<i64>, i64, i64)>(question).await? else {
        return Err(LedgerError::Unknown(id));
    };
    let now = write.store.now();
    if let Some(holder) = holder {
        let runs = (now..=now.saturating_add(length_then)).contains(&until);
        if runs && lives(write, holder).await? {
            return Ok(None);
        }
    }
    let taken = sql(
        "UPDATE broadcasts SET owner = ?, lease_number = lease_number + 1, lease_until = ?, lease_for = ?
            WHERE id = ? RETURNING lease_number",
    )
    .bind(owner)
    .bind(now.saturating_add(length))
    .bind(length)
    .bind(id.0);
    let taken: Option<(i64,)> = write.row(taken).await?;
    Ok(taken.map(|(number,)| Lease { broadcast: id, number }))
}

/// As [`Ledger::release`](crate::ledger::Ledger::release).
pub(super) async fn release(write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
    let statement =
        sql("UPDATE broadcasts SET owner = NULL, lease_until = 0 WHERE id = ? AND lease_number = ?");
    write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
}

/// Returns the next pending recipients, in order.
pub(super) async fn pending(
    store: &Store,
    id: BroadcastId,
    after_seq: i64,
    limit: u32,
) -> Result<Vec<PendingRow>, LedgerError> {
    // The page is one value, because each row and each column of it would make its own trip from the connection's
    // thread.
    let question = sql("SELECT json_group_array(json_array(seq, group_id, users, message, attempts)) FROM
            (SELECT seq, group_id, users, message, attempts FROM recipients
                WHERE broadcast = ? AND seq > ? AND state = 0 AND message IS NOT NULL ORDER BY seq LIMIT ?)");
    let mut read = store.read().await?;
    let page: Option<(String,)> = read.row(question.bind(id.0).bind(after_seq).bind(limit)).await?;
    read.done();
    let page = page.map_or_else(|| "[]".to_owned(), |(page,)| page);
    let mut rows: Vec<PendingRow> = serde_json::from_str(&page).map_err(|error| store.record(error))?;
    rows.sort_unstable_by_key(|row| row.seq);
    Ok(rows)
}

/// Counts the recipients of a broadcast that are in flight without a live driver that would settle them.
pub(super) async fn count_abandoned(
    write: &mut Transaction<'_>,
    id: BroadcastId,
) -> Result<i64, LedgerError> {
    let question = sql("SELECT owner, lease_until, n_sending FROM broadcasts WHERE id = ?").bind(id.0);
    let Some((owner, until, sending)) = write.row::<(Option<i64>, i64, i64)>(question).await? else {
        return Ok(0);
    };
    let driven = match owner {
        Some(owner) => until >= write.store.now() && lives(write, owner).await?,
        None => false,
    };
    Ok(if driven { 0 } else { sending })
}
