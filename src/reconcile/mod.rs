//! Settles messages in doubt by the service's own records of messages: its callbacks, which `web` stores in
//! the ledger, and its history files, which this room reads.
//!
//! - `doubts`: the messages in doubt, in the form in which `records` matches them;
//! - `history`: which history files are due, and their reading;
//! - `pass`: one pass over all doubts of an app: asks, matches, settles; `states`: what the records prove;
//! - `verify`: whether the service has a record of each sent message of a broadcast;
//! - `outlook`: what each broadcast's doubts wait for, and until when.
//!
//! A doubt that has arrived is settled as sent at once. One that is proven absent becomes pending if the broadcast's
//! `in_doubt` is `resend` or `reconcile`; with `hold` an operator decides. Absence is concluded from an hour's file only if
//! it was read at least 24 hours after the hour. Each request of that hour was then in doubt, under way or settled, and the
//! reading kept all records that fit the first two. So a file that was read once serves each later pass.
//!
//! May import: `ledger`, `client`, `records`, `message`, `config` and `clock`.

mod doubts;
mod history;
mod outlook;
mod pass;
mod states;
mod verify;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::client::{CallError, Client};
use crate::clock::Clock;
use crate::config::{App, RecordSettings};
use crate::core::HistoryZone;
use crate::ledger::{AppId, Instance, Ledger, LedgerError};
use crate::records::CLOCK_SKEW_MS;

pub use crate::records::MARK_BYTES;

pub use doubts::{fingerprints, mark, mark_nonce};
pub use outlook::{AwaitedFile, BroadcastOutlook, Outlook};
pub use states::{look, look_at_sends};
pub use verify::Verification;

/// The field of `ext` that holds a mark.
pub const MARK_FIELD: &str = "mooncast";

/// Which history files a pass asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Those whose time has come: 1, 3, 6 and 24 hours after the end of a doubt's hour.
    Due,
    /// Those of all hours with doubts, once the hour has ended.
    Now,
    /// None.
    Nothing,
}

/// Where a pass works: the ledger, the app in it, and the process.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileTarget<'a> {
    pub ledger: &'a Ledger,
    pub app: AppId,
    pub instance: &'a Instance,
    pub client: &'a Client,
}

/// Settles the doubts of one app. Passes of several processes exclude each other.
#[derive(Debug)]
pub struct Reconciler {
    clock: Clock,
    /// The app's name, for log lines.
    name: String,
    zone: HistoryZone,
    /// Whether the settings name the zone. Otherwise a file must prove it.
    zone_is_set: bool,
    /// The service's host, if neither it nor the settings say the zone.
    unknown_host: Option<String>,
    /// How long after its intent a message can be accepted, with the difference of clocks.
    window: Duration,
    /// What the last pass saw: its time, when the latest record was stored, and the number of doubts.
    seen: Cell<Option<(Duration, Option<Duration>, u64)>>,
    outlook: RefCell<Outlook>,
}

/// Why a pass ended early. What was settled before stays settled.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Why a history file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Reconciler {
    pub fn new(app: &App, clock: Clock) -> Self {
        let RecordSettings { history_zone, .. } = app.records;
        let zone = history_zone.or_else(|| HistoryZone::of_address(&app.prefix));
        Self {
            clock,
            name: app.name.clone(),
            zone: zone.unwrap_or(HistoryZone::Utc),
            zone_is_set: history_zone.is_some(),
            unknown_host: zone.is_none().then(|| host(&app.prefix)),
            window: app.timeouts.overall + Duration::from_millis(CLOCK_SKEW_MS.unsigned_abs()),
            seen: Cell::new(None),
            outlook: RefCell::default(),
        }
    }

    /// Returns what the last pass of this process saw.
    pub fn outlook(&self) -> Outlook {
        self.outlook.borrow().clone()
    }

    /// Why the zone of the service's history files is a guess; None if it is known.
    pub fn zone_doubt(&self) -> Option<String> {
        let host = self.unknown_host.as_deref().filter(|host| !is_of_this_machine(host))?;
        Some(format!(
            "the documentation of the service does not name {host}, so the hours of its history files are taken for UTC; on a cluster in China set `history_zone = \"Asia/Shanghai\"`, on others `history_zone = \"UTC\"`"
        ))
    }

    fn now_ms(&self) -> i64 {
        ms(self.clock.unix_time())
    }
}

/// The host of an address.
fn host(address: &str) -> String {
    let authority = address.split_once("://").map_or(address, |(_, rest)| rest);
    authority.split('/').next().unwrap_or_default().to_owned()
}

/// Whether a host, with or without a port, is this machine: a simulator or a test.
fn is_of_this_machine(host: &str) -> bool {
    ["127.", "[::1]", "localhost"].iter().any(|start| host.starts_with(start))
}

/// Converts an instant to milliseconds since 1970.
fn ms(at: Duration) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
