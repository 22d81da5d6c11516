//! Rehearsals that were requested over the page or the API.

use std::time::Duration;

use super::columns::{JsonText, Millis, OptionalMillis};
use super::sql::sql;
use super::store::millis;
use super::{BroadcastId, Ledger, LedgerError};

/// The most rehearsals that are kept.
const KEPT: i64 = 200;

/// A rehearsal to begin.
#[derive(Debug, Clone)]
pub struct NewRehearsal {
    /// The script's path below the project's folder.
    pub script: String,
    /// The hash of the script's version.
    pub version: String,
    pub args: Vec<String>,
    /// Who asked for it.
    pub actor: String,
}

/// A rehearsal and what it found.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct RehearsalRow {
    pub id: i64,
    pub script: String,
    /// The hash of the script's version.
    pub version: String,
    #[sqlx(try_from = "JsonText<Vec<String>>")]
    pub args: Vec<String>,
    /// Who asked for it.
    pub actor: String,
    #[sqlx(try_from = "Millis")]
    pub requested_at: Duration,
    /// When it ended; `None` while it runs.
    #[sqlx(try_from = "OptionalMillis")]
    pub finished_at: Option<Duration>,
    /// The plan that a run can follow.
    pub plan: Option<String>,
    /// The report, as JSON.
    pub report: Option<String>,
    /// Why it has no report.
    pub error: Option<String>,
}

impl Ledger {
    /// Records the begin of a rehearsal. Returns its number. The oldest are deleted.
    pub async fn begin_rehearsal(&self, new: &NewRehearsal) -> Result<i64, LedgerError> {
        let args = serde_json::to_string(&new.args).map_err(|error| self.store().record(error))?;
        self.store()
            .transaction(async |write| {
                let statement = sql("INSERT INTO rehearsals (script, version, args, actor, requested_at)
                        VALUES (?, ?, ?, ?, ?) RETURNING id");
                let now = write.store.now();
                let statement =
                    statement.bind(&new.script).bind(&new.version).bind(&args).bind(&new.actor).bind(now);
                let row: Option<(i64,)> = write.row(statement).await?;
                let id = row.unwrap_or_default().0;
                write.run(sql("DELETE FROM rehearsals WHERE id <= ?").bind(id - KEPT)).await?;
                Ok(id)
            })
            .await
    }

    /// Records the end of a rehearsal: its plan and report, or why there is none.
    pub async fn end_rehearsal(
        &self,
        id: i64,
        plan: Option<&str>,
        report: Result<&str, &str>,
    ) -> Result<(), LedgerError> {
        let statement =
            sql("UPDATE rehearsals SET finished_at = ?, plan = ?, report = ?, error = ? WHERE id = ?");
        let now = self.store().now();
        let statement = statement.bind(now).bind(plan).bind(report.ok()).bind(report.err()).bind(id);
        self.change(statement).await.map(drop)
    }

    /// Returns a rehearsal.
    pub async fn rehearsal(&self, id: i64) -> Result<Option<RehearsalRow>, LedgerError> {
        self.store().row_now(sql("SELECT * FROM rehearsals WHERE id = ?").bind(id)).await
    }

    /// Returns the latest rehearsals of a script, without their reports.
    pub async fn rehearsals_of(&self, script: &str, limit: u32) -> Result<Vec<RehearsalRow>, LedgerError> {
        let question = sql("SELECT id, script, version, args, actor, requested_at, finished_at, plan,
                CAST(NULL AS TEXT) AS report, error FROM rehearsals WHERE script = ? ORDER BY id DESC LIMIT ?");
        self.store().rows(question.bind(script).bind(i64::from(limit))).await
    }

    /// Returns the number of the rehearsal whose plan the first run of this broadcast follows, if it is still kept.
    pub async fn rehearsal_of(&self, id: BroadcastId) -> Result<Option<i64>, LedgerError> {
        let Some((job, at)) = self.runs_of_broadcast(id, 1).await?.pop() else { return Ok(None) };
        let run = self.job_run(&job, at).await?;
        let Some(plan) = run.and_then(|run| run.args?.plan) else { return Ok(None) };
        let question = sql("SELECT max(id) FROM rehearsals WHERE plan = ?");
        let row: Option<(Option<i64>,)> = self.store().row_now(question.bind(plan)).await?;
        Ok(row.and_then(|(id,)| id))
    }

    /// Deletes the rehearsals from before `time`.
    pub(super) async fn prune_rehearsals(&self, time: Duration) -> Result<(), LedgerError> {
        let statement = sql("DELETE FROM rehearsals WHERE requested_at < ?");
        self.change(statement.bind(millis(time))).await.map(drop)
    }
}
