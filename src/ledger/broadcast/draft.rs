//! Drafts: plans that are built beside a broadcast, to be compared with it or tested, and never sent by themselves.

use bytes::Bytes;

use crate::ledger::instance::lives;
use crate::ledger::postgres::drivers;
use crate::ledger::sql::sql;
use crate::ledger::store::Transaction;
use crate::ledger::{AppId, Ledger, LedgerError};

use super::{Broadcast, BroadcastId, BroadcastSpec, Lease};

/// What the name of a draft begins with. The name of a broadcast has no control characters, so none has a draft's name.
const MARK: char = '\u{1}';

/// How long a draft may be without a process that builds it, in milliseconds.
const UNTAKEN: i64 = 60_000;

/// Recipients of one group that are shown.
const ROWS: u32 = 20;

impl Ledger {
    /// The draft beside the broadcast of this name and run, made where there is none. Claim it, and throw away what an
    /// earlier try has left ([`Ledger::discard_unbuilt`]).
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn draft(
        &self,
        app: AppId,
        name: &str,
        run: &str,
        spec: &BroadcastSpec,
    ) -> Result<Broadcast, LedgerError> {
        let name = format!("{MARK}{name}");
        let json = serde_json::to_string(spec).map_err(|error| self.store().record(error))?;
        let insert = sql("INSERT INTO broadcasts (app, name, run, spec, created_at, draft)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
        let insert = insert.bind(app.0).bind(name.as_str()).bind(run).bind(json);
        let insert = insert.bind(self.store().now()).bind(true);
        let mut write = self.store().write().await?;
        let result = write.run(insert).await;
        write.end(result).await?;
        let found = self.find(app, &name, run).await?;
        found.ok_or_else(|| self.store().record("a draft that was not made"))
    }

    /// The recipients of a group that wait in a plan, as users and message; some twenty at the most.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn planned_for(
        &self,
        id: BroadcastId,
        group_id: &str,
    ) -> Result<Vec<(Vec<String>, Bytes)>, LedgerError> {
        let question = sql("SELECT r.users, m.content FROM recipients r
                JOIN messages m ON m.broadcast = r.broadcast AND m.id = r.message
                WHERE r.broadcast = ? AND r.group_id = ? AND r.state = 0 ORDER BY r.seq LIMIT ?");
        let mut read = self.store().read_now().await?;
        let rows: Vec<(String, String)> = read.rows(question.bind(id.0).bind(group_id).bind(ROWS)).await?;
        read.done();
        rows.into_iter().map(|(users, message)| Ok((self.users(&users)?, Bytes::from(message)))).collect()
    }

    /// Throws a draft away. One that is lost to another process is left to it.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], and faults of the store.
    pub async fn delete_draft(&self, lease: Lease) -> Result<(), LedgerError> {
        self.clear(lease.broadcast, Some(lease.number)).await?;
        let statement =
            sql("DELETE FROM broadcasts WHERE id = ? AND lease_number = ? AND draft AND state = 0");
        let mut write = self.store().write().await?;
        let result = write.run(statement.bind(lease.broadcast.0).bind(lease.number)).await;
        write.end(result).await.map(drop)
    }

    /// Deletes drafts that a process which died has left; gives how many. One that no process has taken yet is left alone
    /// for a minute.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn delete_dead_drafts(&self) -> Result<u64, LedgerError> {
        let mut read = self.store().read_now().await?;
        let drafts: Vec<(i64,)> = read.rows(sql("SELECT id FROM broadcasts WHERE draft ORDER BY id")).await?;
        read.done();
        let mut deleted = 0;
        for (id,) in drafts {
            let mut write = self.store().write().await?;
            let result = take_from_dead(&mut write, id).await;
            if !write.end(result).await? {
                continue;
            }
            self.clear(BroadcastId(id), None).await?;
            deleted += self
                .change(sql("DELETE FROM broadcasts WHERE id = ? AND draft AND owner IS NULL").bind(id))
                .await?;
        }
        Ok(deleted)
    }

    /// Keeps what a plan that is being built is asked to be.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], [`LedgerError::NotNow`] when the plan is fixed, and faults of the store.
    pub async fn keep_spec(&self, lease: Lease, spec: &BroadcastSpec) -> Result<(), LedgerError> {
        let json = serde_json::to_string(spec).map_err(|error| self.store().record(error))?;
        let statement = sql("UPDATE broadcasts SET spec = ? WHERE id = ? AND lease_number = ? AND state = 0");
        let statement = statement.bind(json).bind(lease.broadcast.0).bind(lease.number);
        let mut write = self.store().write().await?;
        let result = match write.run(statement).await {
            Ok(0) => Err(super::build::why_not(&mut write, lease).await?),
            other => other.map(drop),
        };
        write.end(result).await
    }
}

/// Takes a draft away from a process that is dead; gives whether it was.
async fn take_from_dead(write: &mut Transaction<'_>, id: i64) -> Result<bool, LedgerError> {
    let question = sql("SELECT owner, created_at FROM broadcasts WHERE id = ? AND draft").bind(id);
    let Some((owner, created_at)) = write.row::<(Option<i64>, i64)>(question).await? else {
        return Ok(false);
    };
    let now = write.store.now();
    let dead = match owner {
        None => !(created_at..created_at.saturating_add(UNTAKEN)).contains(&now),
        Some(owner) if write.store.server().is_none() => !lives(write, owner).await?,
        Some(_) => !drivers::has_live_drivers(write, BroadcastId(id)).await?,
    };
    if dead {
        let taken = sql(
            "UPDATE broadcasts SET owner = NULL, lease_until = 0, lease_number = lease_number + 1 WHERE id = ?",
        );
        write.run(taken.bind(id)).await?;
    }
    Ok(dead)
}
