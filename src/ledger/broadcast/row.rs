//! A broadcast, as it is read from the ledger.

use std::time::Duration;

use const_format::formatcp;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::core::{BroadcastStatus, Person};
use crate::ledger::columns::recipient_counts;
use crate::ledger::instance::InstanceName;
use crate::ledger::state::command::{CANCEL, PAUSE};
use crate::ledger::state::stage::{BUILDING, CANCELLED, FINISHED, READY};
use crate::ledger::store::{count, from_millis};
use crate::ledger::{AppId, BroadcastCommand, BroadcastStage, RecipientCounts};

use super::approval::{self, Approval};
use super::{BroadcastId, StoredSpec};

/// A broadcast and its current state. The store's driver has the query for it (`SqlTexts::broadcasts`).
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// Its number.
    pub id: BroadcastId,
    /// The app that sends it.
    pub app: AppId,
    pub app_key: String,
    pub name: String,
    pub run: String,
    /// Its specification.
    pub spec: StoredSpec,
    pub stage: BroadcastStage,
    /// Whether it is sent only after an approval.
    pub needs_approval: bool,
    /// The hash of what an approval covers: the plan, and the settings that change who gets what and when. `None` while the
    /// plan is not fixed.
    pub approval_hash: Option<String>,
    /// The approval of this plan, if there is one.
    pub approval: Option<Approval>,
    /// Who began it or changed its plan. Empty if a schedule, a hook or an event did.
    pub begun_by: Vec<Person>,
    /// The latest command for it.
    pub command: BroadcastCommand,
    pub command_note: Option<String>,
    /// The live process that holds its lease, if there is one.
    pub driver: Option<LeaseHolder>,
    /// Recipients by state.
    pub counts: RecipientCounts,
    /// Duplicate recipients, which are not in the plan a second time.
    pub duplicates: u64,
    /// How many of the skipped recipients were excluded.
    pub excluded: u64,
    /// The size of the largest message in bytes, as the service's limit counts them.
    pub largest_message_bytes: u64,
    /// The plan's hash; `None` while the plan is not fixed.
    pub plan: Option<String>,
    /// The final report, as JSON; `None` while it has not finished.
    pub report: Option<String>,
    pub created_at: Duration,
    /// When its plan was fixed.
    pub planned_at: Option<Duration>,
    /// When it last finished.
    pub finished_at: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// The instance that holds it.
    pub instance: InstanceName,
    /// When it expires, unless it is renewed.
    pub until: Duration,
    /// The length of the lease.
    pub(in crate::ledger) given: Duration,
    /// The name of the holder's lock file.
    pub(in crate::ledger) lock: String,
}

impl Broadcast {
    /// The SQL expression for the name of [`Broadcast::status`], without regard to the driver.
    pub(super) const STATUS: &'static str = formatcp!(
        "CASE WHEN b.state = {CANCELLED} THEN 'cancelled' WHEN b.state = {FINISHED} THEN 'finished'
            WHEN b.command = {PAUSE} THEN 'paused' WHEN b.command = {CANCEL} THEN 'cancelling'
            WHEN b.state = {READY} AND b.needs_approval = 1 AND b.n_pending > 0
                AND (b.approved IS NULL OR b.approved IS DISTINCT FROM b.approval_hash)
                THEN 'awaiting_approval'
            WHEN b.state = {BUILDING} THEN 'building' ELSE 'ready' END"
    );

    /// Returns `NAME/RUN`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.name, self.run)
    }

    /// Returns its status. It is interrupted if it has not finished, is not paused, and has no driver.
    pub fn status(&self) -> BroadcastStatus {
        if self.awaits_approval() && matches!(self.command, BroadcastCommand::Run) {
            return BroadcastStatus::AwaitingApproval;
        }
        if self.is_interrupted() { BroadcastStatus::Interrupted } else { self.stage.status(self.command) }
    }

    /// Whether something is left to send, sending is allowed, and no process drives it.
    pub fn is_interrupted(&self) -> bool {
        !self.is_over()
            && !self.awaits_approval()
            && self.driver.is_none()
            && matches!(self.command, BroadcastCommand::Run)
    }

    /// Whether nothing is left to send.
    pub const fn is_over(&self) -> bool {
        self.stage.is_over()
    }
}

impl<'r, R: Row> FromRow<'r, R> for Broadcast
where
    for<'name> &'name str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        let number = |column: &str| row.try_get::<i64, _>(column);
        let many = |column: &str| number(column).map(count);
        let time = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(from_millis));
        let bad = |detail: String| sqlx::Error::Decode(detail.into());
        let instance: Option<String> = row.try_get("owner_name")?;
        let driver = match instance {
            Some(name) => Some(LeaseHolder {
                instance: InstanceName { name, pid: many("owner_pid")? },
                until: from_millis(number("lease_until")?),
                given: from_millis(number("lease_for")?),
                lock: row.try_get("owner_lock")?,
            }),
            None => None,
        };
        let text = |column: &str| row.try_get::<Option<String>, _>(column);
        let (approval_hash, approved) = (text("approval_hash")?, text("approved")?);
        let approval =
            match (approval::people(&text("approved_by")?.unwrap_or_default()).pop(), time("approved_at")?) {
                (Some(by), Some(at)) if approved.is_some() && approved == approval_hash => {
                    Some(Approval { by, at, note: text("approval_note")? })
                }
                _ => None,
            };
        Ok(Self {
            needs_approval: number("needs_approval")? != 0,
            approval_hash,
            approval,
            begun_by: approval::people(&row.try_get::<String, _>("begun_by")?),
            id: BroadcastId(number("id")?),
            app: AppId(number("app")?),
            app_key: row.try_get("app_key")?,
            name: row.try_get("name")?,
            run: row.try_get("run")?,
            spec: serde_json::from_str(&row.try_get::<String, _>("spec")?)
                .map_err(|error| bad(error.to_string()))?,
            stage: row.try_get("state")?,
            command: row.try_get("command")?,
            command_note: row.try_get("command_note")?,
            driver,
            counts: recipient_counts(row, "n_")?,
            duplicates: many("duplicates")?,
            excluded: many("excluded")?,
            largest_message_bytes: many("largest")?,
            plan: row.try_get("plan")?,
            report: row.try_get("report")?,
            created_at: from_millis(number("created_at")?),
            planned_at: time("planned_at")?,
            finished_at: time("finished_at")?,
        })
    }
}
