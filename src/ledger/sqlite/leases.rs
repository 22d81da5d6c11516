//! Leases of broadcasts in a file: a broadcast's row names its one driver.

use async_trait::async_trait;
use const_format::formatcp;

use crate::ledger::broadcast::{BroadcastId, Lease, LeaseHolder, PendingRow, next_lease};
use crate::ledger::driver::LeaseDriver;
use crate::ledger::instance::lives;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::PENDING;
use crate::ledger::store::{Store, Transaction};
use crate::ledger::{Ledger, LedgerError, RecipientState};

use super::SqliteFile;
use super::instances::{folder, is_alive};

#[async_trait]
impl<K: Send + Sync> LeaseDriver for SqliteFile<K> {
    fn drives(&self, store: &Store, holder: &LeaseHolder) -> bool {
        let now = store.clock.unix_time();
        (now..=now + holder.given).contains(&holder.until) && is_alive(&folder(store).join(&holder.lock))
    }

    async fn claim(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
        instance: i64,
        length: i64,
        _shared: bool,
    ) -> Result<Option<Lease>, LedgerError> {
        let row = LeaseRow::of(write, id).await?.ok_or(LedgerError::Unknown(id))?;
        let now = write.store.now();
        if let Some(holder) = row.instance {
            let runs = (now..=now.saturating_add(row.lease_for)).contains(&row.lease_until);
            if runs && lives(write, holder).await? {
                return Ok(None);
            }
        }
        next_lease(write, id, instance, length).await
    }

    async fn release(&self, write: &mut Transaction<'_>, lease: Lease) -> Result<(), LedgerError> {
        let statement =
            sql("UPDATE broadcasts SET owner = NULL, lease_until = 0 WHERE id = ? AND lease_number = ?");
        write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
    }

    async fn is_driven(
        &self,
        write: &mut Transaction<'_>,
        _id: BroadcastId,
        instance: i64,
    ) -> Result<bool, LedgerError> {
        lives(write, instance).await
    }

    async fn pending(
        &self,
        store: &Store,
        lease: Lease,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<PendingRow>, LedgerError> {
        // The page is one value, because each row and each column of it would make its own trip from the connection's
        // thread.
        let question = sql(formatcp!(
            "SELECT json_group_array(json_array(seq, group_id, users, message, attempts, target, zone)) FROM
                (SELECT seq, group_id, users, message, attempts, target, zone FROM recipients
                    WHERE broadcast = ? AND seq > ? AND state = {PENDING} AND message IS NOT NULL ORDER BY seq LIMIT ?)"
        ));
        let page: Option<(String,)> =
            store.row(question.bind(lease.broadcast.0).bind(after_seq).bind(limit)).await?;
        let page = page.map_or_else(|| "[]".to_owned(), |(page,)| page);
        let mut rows: Vec<PendingRow> = serde_json::from_str(&page).map_err(|error| store.record(error))?;
        rows.sort_unstable_by_key(|row| row.seq);
        Ok(rows)
    }

    async fn take_over(
        &self,
        ledger: &Ledger,
        lease: Lease,
        to: RecipientState,
        error: Option<&str>,
    ) -> Result<u64, LedgerError> {
        ledger.shift(lease.broadcast, Some(lease.number), RecipientState::Sending, to, error).await
    }

    async fn count_abandoned(
        &self,
        write: &mut Transaction<'_>,
        id: BroadcastId,
    ) -> Result<i64, LedgerError> {
        let Some(row) = LeaseRow::of(write, id).await? else { return Ok(0) };
        let driven = match row.instance {
            Some(instance) => row.lease_until >= write.store.now() && lives(write, instance).await?,
            None => false,
        };
        Ok(if driven { 0 } else { row.n_sending })
    }
}

/// The lease in a broadcast's row.
#[derive(sqlx::FromRow)]
struct LeaseRow {
    #[sqlx(rename = "owner")]
    instance: Option<i64>,
    lease_until: i64,
    lease_for: i64,
    n_sending: i64,
}

impl LeaseRow {
    async fn of(write: &mut Transaction<'_>, id: BroadcastId) -> Result<Option<Self>, LedgerError> {
        let question = sql("SELECT owner, lease_until, lease_for, n_sending FROM broadcasts WHERE id = ?");
        write.row(question.bind(id.0)).await
    }
}
