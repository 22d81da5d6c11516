//! Rehearsals over the page and the API: which scripts can be rehearsed, and what is known of a rehearsal.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::ControlError;
use super::scripts::checked;
use crate::core::utc;
use crate::ledger::{Ledger, NewRehearsal, RehearsalRow};
use crate::schedule::{run_id, runs_of};

/// The longest real time that a rehearsal may take.
pub const REHEARSAL_LIMIT: Duration = Duration::from_mins(10);

/// A rehearsal that has no end this long after its limit was ended with its daemon.
const LOST: Duration = Duration::from_mins(5);

/// The state of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RehearsalState {
    Running,
    /// It has a report.
    Finished,
    /// It has no report.
    Failed,
}

/// A rehearsal of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RehearsalView {
    pub id: i64,
    /// The script's path below the project's folder.
    pub script: String,
    /// The hash of the script's version.
    pub version: String,
    /// The arguments.
    pub args: Vec<String>,
    pub state: RehearsalState,
    /// Who asked for it.
    pub actor: String,
    pub requested_at: String,
    pub finished_at: Option<String>,
    /// The plan that a run can follow. Absent if a message breaks a limit, or the script failed.
    pub plan: Option<String>,
    /// The id of the run that was begun to send what was rehearsed: JOB@RUN. Absent if none was.
    pub run: Option<String>,
    /// Why it has no report.
    pub error: Option<String>,
    /// The report, as `mooncast rehearse --json` prints it: what would be sent, to whom, when, and what breaks a limit.
    #[schema(value_type = Option<Object>)]
    pub report: Option<Value>,
}

impl RehearsalView {
    /// The view of a rehearsal. `now` decides whether it still runs.
    pub fn of(row: RehearsalRow, now: Duration) -> Self {
        let report = row.report.as_deref().and_then(|report| serde_json::from_str(report).ok());
        let lost = row.finished_at.is_none() && now > row.requested_at + REHEARSAL_LIMIT + LOST;
        let state = match (row.finished_at, &row.error) {
            (Some(_), None) => RehearsalState::Finished,
            (None, _) if !lost => RehearsalState::Running,
            _ => RehearsalState::Failed,
        };
        let error = row.error.or_else(|| lost.then(|| "the daemon ended during the rehearsal".to_owned()));
        Self {
            id: row.id,
            script: row.script,
            version: row.version,
            args: row.args,
            state,
            actor: row.actor,
            requested_at: utc(row.requested_at),
            finished_at: row.finished_at.map(utc),
            plan: row.plan,
            run: None,
            error,
            report,
        }
    }
}

/// Checks a script and its arguments, and records a rehearsal of it.
///
/// # Errors
///
/// The script is not there or failed to load, or the arguments do not fit its form.
pub async fn begin_rehearsal(
    ledger: &Ledger,
    name: &str,
    args: &[String],
    actor: &str,
) -> Result<(i64, NewRehearsal), ControlError> {
    let (script, args) = checked(ledger, name, args).await?;
    let Some(version) = script.hash else {
        return Err(ControlError::Refused(format!("{} has no version that can run", script.name)));
    };
    let new = NewRehearsal { script: script.name, version, args, actor: actor.to_owned() };
    Ok((ledger.begin_rehearsal(&new).await?, new))
}

/// Returns a rehearsal by its number.
pub async fn find_rehearsal(ledger: &Ledger, id: i64, now: Duration) -> Result<RehearsalView, ControlError> {
    let found = ledger.rehearsal(id).await?;
    let missing = || ControlError::NotFound(format!("there is no rehearsal {id}; old ones are deleted"));
    let mut view = found.map(|row| RehearsalView::of(row, now)).ok_or_else(missing)?;
    if let Some(plan) = &view.plan {
        let job = runs_of(&view.script);
        view.run = ledger.run_of_plan(&job, plan).await?.map(|at| run_id(&job, at));
    }
    Ok(view)
}

/// Returns the latest rehearsals of a script, without their reports and runs.
pub async fn rehearsals_of(
    ledger: &Ledger,
    script: &str,
    now: Duration,
) -> Result<Vec<RehearsalView>, ControlError> {
    let rows = ledger.rehearsals_of(script, 5).await?;
    Ok(rows.into_iter().map(|row| RehearsalView::of(row, now)).collect())
}
