//! A broadcast as the ledger shows it.

use std::time::Duration;

use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use crate::ledger::instance::InstanceName;
use crate::ledger::store::{count, from_millis};
use crate::ledger::{AppId, BroadcastCommand, BroadcastStage, RecipientCounts};

use super::{BroadcastId, BroadcastSpec};

/// A broadcast as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Broadcast {
    /// Its number.
    pub id: BroadcastId,
    /// The app that it is sent to.
    pub app: AppId,
    /// That app's key.
    pub app_key: String,
    /// Its name.
    pub name: String,
    /// Which run of that name.
    pub run: String,
    /// What it was asked to be.
    pub spec: BroadcastSpec,
    /// How far it is.
    pub stage: BroadcastStage,
    /// What somebody wants of it.
    pub command: BroadcastCommand,
    /// Why, where they said so.
    pub command_note: Option<String>,
    /// The process that holds its lease and lives, if there is one.
    pub driver: Option<LeaseHolder>,
    /// Recipients by state.
    pub counts: RecipientCounts,
    /// Recipients that were named more than once and are not in the plan a second time.
    pub duplicates: u64,
    /// Of the skipped, those that were excluded.
    pub excluded: u64,
    /// The largest message, in bytes that count against the limit.
    pub largest_message_bytes: u64,
    /// The plan's hash, once it is fixed.
    pub plan: Option<String>,
    /// The report of its end, as JSON.
    pub report: Option<String>,
    /// When it was made.
    pub created_at: Duration,
    /// When its plan was fixed.
    pub planned_at: Option<Duration>,
    /// When it was finished last.
    pub finished_at: Option<Duration>,
}

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseHolder {
    /// Its owner.
    pub owner: InstanceName,
    /// Until when it holds without being renewed.
    pub until: Duration,
    /// For how long it was given.
    pub(in crate::ledger) given: Duration,
    /// What its owner's life is known by.
    pub(in crate::ledger) lock: String,
}

impl Broadcast {
    /// The columns that a row is read from. On a server, where a broadcast can have several drivers, one that lives:
    /// `?1` is the instant before which an owner counts as dead (`Store::dead_before`). A file asks the driver's lock
    /// instead, and leaves `?1` unused.
    pub(super) fn select(shared: bool) -> &'static str {
        if shared {
            "SELECT b.*, a.key AS app_key, o.name AS owner_name, o.pid AS owner_pid, o.lock AS owner_lock
            FROM broadcasts b JOIN apps a ON a.id = b.app LEFT JOIN LATERAL
                (SELECT * FROM owners w WHERE w.id IN (SELECT d.owner FROM drivers d WHERE d.broadcast = b.id)
                    AND w.alive_until >= ?1
                    ORDER BY w.id LIMIT 1) o ON true "
        } else {
            "SELECT b.*, a.key AS app_key, o.name AS owner_name, o.pid AS owner_pid, o.lock AS owner_lock
            FROM broadcasts b JOIN apps a ON a.id = b.app LEFT JOIN owners o ON o.id = b.owner "
        }
    }

    /// What [`Broadcast::state_name`] gives, of a row.
    pub(super) const STATE_NAME: &'static str =
        "CASE WHEN b.state = 3 THEN 'cancelled' WHEN b.state = 2 THEN 'finished' WHEN b.wish = 1 THEN 'paused'
            WHEN b.wish = 2 THEN 'cancelling' WHEN b.state = 0 THEN 'building' ELSE 'ready' END";

    /// The word for its state: that of its stage, or what is wished of it meanwhile; `interrupted` where it is not over,
    /// not paused, and no process drives it.
    #[must_use]
    pub const fn state_name(&self) -> &'static str {
        if self.is_interrupted() { INTERRUPTED } else { state_name(self.stage, self.command) }
    }

    /// Whether something is left to send, it may be sent, and no process drives it.
    #[must_use]
    pub const fn is_interrupted(&self) -> bool {
        !self.is_over() && self.driver.is_none() && matches!(self.command, BroadcastCommand::Run)
    }

    /// Whether nothing of it is left to send.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, BroadcastStage::Finished | BroadcastStage::Cancelled)
    }
}

/// The word for the state of a broadcast that no process drives, though it may be sent.
pub(super) const INTERRUPTED: &str = "interrupted";

/// The word for a broadcast's state.
pub(super) const fn state_name(stage: BroadcastStage, wish: BroadcastCommand) -> &'static str {
    match (stage, wish) {
        (BroadcastStage::Building | BroadcastStage::Ready, BroadcastCommand::Pause) => "paused",
        (BroadcastStage::Building | BroadcastStage::Ready, BroadcastCommand::Cancel) => "cancelling",
        (stage, _) => stage.name(),
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
        let instant = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(from_millis));
        let bad = |detail: String| sqlx::Error::Decode(detail.into());
        let owner: Option<String> = row.try_get("owner_name")?;
        let driver = match owner {
            Some(name) => Some(LeaseHolder {
                owner: InstanceName::new(name, number("owner_pid")?),
                until: from_millis(number("lease_until")?),
                given: from_millis(number("lease_for")?),
                lock: row.try_get("owner_lock")?,
            }),
            None => None,
        };
        Ok(Self {
            id: BroadcastId(number("id")?),
            app: AppId(number("app")?),
            app_key: row.try_get("app_key")?,
            name: row.try_get("name")?,
            run: row.try_get("run")?,
            spec: serde_json::from_str(&row.try_get::<String, _>("spec")?)
                .map_err(|error| bad(error.to_string()))?,
            stage: BroadcastStage::from_number(number("state")?).map_err(bad)?,
            command: BroadcastCommand::from_number(number("wish")?).map_err(bad)?,
            command_note: row.try_get("wish_note")?,
            driver,
            counts: RecipientCounts {
                pending: many("n_pending")?,
                sending: many("n_sending")?,
                sent: many("n_sent")?,
                rejected: many("n_rejected")?,
                in_doubt: many("n_in_doubt")?,
                skipped: many("n_skipped")?,
                cancelled: many("n_cancelled")?,
            },
            duplicates: many("duplicates")?,
            excluded: many("excluded")?,
            largest_message_bytes: many("largest")?,
            plan: row.try_get("plan")?,
            report: row.try_get("report")?,
            created_at: from_millis(number("created_at")?),
            planned_at: instant("planned_at")?,
            finished_at: instant("finished_at")?,
        })
    }
}
