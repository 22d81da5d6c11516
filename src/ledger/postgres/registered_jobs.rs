//! The active version of each job in a fleet, whose hosts can have different versions for a while.
//!
//! The active version is the one that was saved last: a host whose script changes while it runs activates its version.
//! A host that starts does not, because its files may be old, unless no live host has the active version.

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::ledger::LedgerError;
use crate::ledger::broadcast::json;
use crate::ledger::driver::JobDriver;
use crate::ledger::instance::is_known;
use crate::ledger::registered_job::upsert_text;
use crate::ledger::sql::sql;
use crate::ledger::store::{Store, Transaction};

use super::server::PostgresServer;

/// Whether a live host has the active version of a job.
const IS_HAD: &str =
    "EXISTS (SELECT 1 FROM registered_jobs h JOIN instances w ON w.id = h.owner AND w.alive_until >= ?1
    WHERE h.job = jobs.name AND h.version = jobs.version)";

#[async_trait]
impl JobDriver for PostgresServer {
    async fn register_jobs(
        &self,
        write: &mut Transaction<'_>,
        instance: i64,
        rows: &str,
    ) -> Result<(), LedgerError> {
        let (alive, now) = (write.store.dead_before(), write.store.now());
        let condition = format!(
            "jobs.gone_at IS NOT NULL OR jobs.version IS NULL OR NOT {IS_HAD} OR EXISTS
                (SELECT 1 FROM registered_jobs e WHERE e.owner = ?3 AND e.job = jobs.name AND e.version <> excluded.version)"
        );
        let put = upsert_text("?2", &condition);
        write.run(sql(put).bind(alive).bind(rows).bind(instance)).await?;
        write.run(sql("DELETE FROM registered_jobs WHERE owner = ?").bind(instance)).await?;
        // A host that was reaped meanwhile has no row to refer to; it registers again.
        let mine =
            sql("INSERT INTO registered_jobs (owner, job, version) SELECT o.id, e.value ->> 0, e.value ->> 4
                FROM json_each(?2) e JOIN instances o ON o.id = ?1");
        write.run(mine.bind(instance).bind(rows)).await?;
        let gone = sql("UPDATE jobs SET gone_at = ?2 WHERE gone_at IS NULL AND NOT EXISTS
            (SELECT 1 FROM registered_jobs h JOIN instances w ON w.id = h.owner AND w.alive_until >= ?1 WHERE h.job = jobs.name)");
        write.run(gone.bind(alive).bind(now)).await.map(drop)
    }

    async fn must_register_jobs(&self, store: &Store, instance: i64) -> Result<bool, LedgerError> {
        store.transaction(async |write| is_due(write, instance).await).await
    }

    async fn active_elsewhere(
        &self,
        write: &mut Transaction<'_>,
        instance: i64,
        jobs: &[(&str, &str)],
    ) -> Result<BTreeSet<String>, LedgerError> {
        if !is_known(write, instance).await? {
            return Err(LedgerError::Reaped);
        }
        let question = format!(
            "SELECT jobs.name FROM json_each(?2) k JOIN jobs ON jobs.name = k.value ->> 0
                WHERE jobs.version <> k.value ->> 1 AND jobs.gone_at IS NULL AND {IS_HAD}"
        );
        let rows = json(write, jobs)?;
        let found: Vec<(String,)> =
            write.rows(sql(question).bind(write.store.dead_before()).bind(rows)).await?;
        Ok(found.into_iter().map(|(job,)| job).collect())
    }

    async fn jobs_elsewhere(
        &self,
        store: &Store,
        instance: i64,
        jobs: &[String],
    ) -> Result<BTreeSet<String>, LedgerError> {
        store.transaction(async |write| of_others(write, instance, jobs).await).await
    }
}

/// Returns whether a host must register its jobs again: it was reaped, or no live host has the active version.
pub(super) async fn is_due(write: &mut Transaction<'_>, instance: i64) -> Result<bool, LedgerError> {
    let known = sql("SELECT id FROM instances WHERE id = ? AND roles IS NOT NULL").bind(instance);
    if write.row::<(i64,)>(known).await?.is_none() {
        return Ok(true);
    }
    let orphaned = format!(
        "SELECT count(*) FROM jobs JOIN registered_jobs e ON e.job = jobs.name
            WHERE e.owner = ?2 AND jobs.version IS DISTINCT FROM e.version AND NOT {IS_HAD}"
    );
    let orphaned: Option<(i64,)> =
        write.row(sql(orphaned).bind(write.store.dead_before()).bind(instance)).await?;
    Ok(orphaned.unwrap_or_default().0 > 0)
}

/// Returns those of these jobs that a live host other than `instance` has.
pub(super) async fn of_others(
    write: &mut Transaction<'_>,
    instance: i64,
    jobs: &[String],
) -> Result<BTreeSet<String>, LedgerError> {
    let question =
        sql("SELECT DISTINCT h.job FROM registered_jobs h JOIN instances w ON w.id = h.owner AND w.alive_until >= ?1
            JOIN json_each(?2) k ON k.value ->> 0 = h.job WHERE h.owner <> ?3");
    let rows = json(write, &jobs.iter().map(|job| [job]).collect::<Vec<_>>())?;
    let question = question.bind(write.store.dead_before()).bind(rows).bind(instance);
    let found: Vec<(String,)> = write.rows(question).await?;
    Ok(found.into_iter().map(|(job,)| job).collect())
}
