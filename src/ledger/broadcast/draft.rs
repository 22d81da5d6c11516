//! Drafts: plans that are built next to a broadcast, to be compared with it or tested. A draft is never sent itself.

use bytes::Bytes;
use const_format::formatcp;

use crate::ledger::sql::sql;
use crate::ledger::state::recipient::PENDING;
use crate::ledger::state::stage::BUILDING;
use crate::ledger::store::Transaction;
use crate::ledger::{AppId, Ledger, LedgerError};

use super::{Broadcast, BroadcastId, Lease, StoredSpec};

/// The first character of a draft's name. Names of broadcasts have no control characters, so none equals a draft's
/// name.
const MARK: char = '\u{1}';

/// How long a draft may exist without a process that builds it, in milliseconds.
const UNTAKEN: i64 = 60_000;

/// The most recipients of one group that are shown.
const ROWS: u32 = 20;

#[derive(sqlx::FromRow)]
struct PlannedMessage {
    /// As a JSON list.
    users: String,
    content: String,
}

impl Ledger {
    /// Returns the draft next to the broadcast with this name and run, and creates it if there is none. Claim it
    /// before use, and discard what an earlier attempt has left in it ([`Ledger::discard_unbuilt`]).
    pub async fn draft(
        &self,
        app: AppId,
        name: &str,
        run: &str,
        spec: &StoredSpec,
    ) -> Result<Broadcast, LedgerError> {
        let name = format!("{MARK}{name}");
        let json = serde_json::to_string(spec).map_err(|error| self.store().record(error))?;
        let insert = sql("INSERT INTO broadcasts (app, name, run, spec, created_at, draft)
                VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
        let insert = insert.bind(app.0).bind(name.as_str()).bind(run).bind(json);
        let insert = insert.bind(self.store().now()).bind(true);
        self.store().change(insert).await?;
        let found = self.find(app, &name, run).await?;
        found.ok_or_else(|| self.store().record("a draft that was not made"))
    }

    /// Returns the pending recipients of a group in a plan, as users and message; at most 20.
    pub async fn planned_for(
        &self,
        id: BroadcastId,
        group_id: &str,
    ) -> Result<Vec<(Vec<String>, Bytes)>, LedgerError> {
        let question = sql(formatcp!(
            "SELECT r.users, m.content FROM recipients r
                JOIN messages m ON m.broadcast = r.broadcast AND m.id = r.message
                WHERE r.broadcast = ? AND r.group_id = ? AND r.state = {PENDING} ORDER BY r.seq LIMIT ?"
        ));
        let rows: Vec<PlannedMessage> =
            self.store().rows_now(question.bind(id.0).bind(group_id).bind(ROWS)).await?;
        rows.into_iter().map(|row| Ok((self.users(&row.users)?, Bytes::from(row.content)))).collect()
    }

    /// Deletes a draft. If another process has taken it over, that process keeps it.
    pub async fn delete_draft(&self, lease: Lease) -> Result<(), LedgerError> {
        self.clear(lease.broadcast, Some(lease.number)).await?;
        let statement = sql(formatcp!(
            "DELETE FROM broadcasts WHERE id = ? AND lease_number = ? AND draft AND state = {BUILDING}"
        ));
        self.store().change(statement.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
    }

    /// Deletes drafts of dead processes; returns how many. A draft that no process has claimed is kept for a minute.
    pub async fn delete_dead_drafts(&self) -> Result<u64, LedgerError> {
        let drafts: Vec<(i64,)> =
            self.store().rows_now(sql("SELECT id FROM broadcasts WHERE draft ORDER BY id")).await?;
        let mut deleted = 0;
        for (id,) in drafts {
            if !self.store().transaction(async |write| take_from_dead(write, id).await).await? {
                continue;
            }
            self.clear(BroadcastId(id), None).await?;
            deleted += self
                .change(sql("DELETE FROM broadcasts WHERE id = ? AND draft AND owner IS NULL").bind(id))
                .await?;
        }
        Ok(deleted)
    }

    /// Replaces the spec of a plan that is being built.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`], [`LedgerError::NotNow`] when the plan is fixed.
    pub async fn keep_spec(&self, lease: Lease, spec: &StoredSpec) -> Result<(), LedgerError> {
        let json = serde_json::to_string(spec).map_err(|error| self.store().record(error))?;
        let statement = sql(formatcp!(
            "UPDATE broadcasts SET spec = ? WHERE id = ? AND lease_number = ? AND state = {BUILDING}"
        ));
        let statement = statement.bind(json).bind(lease.broadcast.0).bind(lease.number);
        let mut write = self.store().write().await?;
        let result = match write.run(statement).await {
            Ok(0) => Err(super::build::why_not(&mut write, lease).await?),
            other => other.map(drop),
        };
        write.end(result).await
    }
}

/// Takes a draft away from its process if that process is dead; returns whether it is.
async fn take_from_dead(write: &mut Transaction<'_>, id: i64) -> Result<bool, LedgerError> {
    let question = sql("SELECT owner, created_at FROM broadcasts WHERE id = ? AND draft").bind(id);
    let Some((instance, created_at)) = write.row::<(Option<i64>, i64)>(question).await? else {
        return Ok(false);
    };
    let now = write.store.now();
    let dead = match instance {
        None => !(created_at..created_at.saturating_add(UNTAKEN)).contains(&now),
        Some(instance) => !write.store.driver.is_driven(write, BroadcastId(id), instance).await?,
    };
    if dead {
        let taken = sql(
            "UPDATE broadcasts SET owner = NULL, lease_until = 0, lease_number = lease_number + 1 WHERE id = ?",
        );
        write.run(taken.bind(id)).await?;
    }
    Ok(dead)
}
