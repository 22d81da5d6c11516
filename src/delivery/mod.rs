//! Delivers messages: check, permit, intent, request, outcome; and decides what a failure means.
//!
//! A [`Delivery`] belongs to one app. Single sends use [`Delivery::send`]. Every request to
//! the service goes through this module.

mod activity;
mod announce;
mod approval;
mod broadcast;
mod correction;
mod edit;
mod failpoint;
mod figures;
mod health;
mod inspect;
mod lazy_ledger;
mod ledger_token_store;
mod lists;
mod permits;
mod picture;
mod recall;
mod reconcile;
mod record;
mod request;
mod rest;
mod retry;
mod send;
mod senders;
mod share;
mod status;
mod suppression;
mod tally;
mod targets;
mod trace;
mod transport;
mod tries;
mod undelivered;
mod upload;

pub use crate::client::Picture;
#[cfg(test)]
pub use broadcast::SendingHours;
pub use broadcast::{
    ActiveBroadcast, BroadcastProgress, BroadcastSummary, DriveEnd, DriveResult, LEASE, ProgressSnapshot,
    SendingOutlook, WaitReason,
};
pub use correction::{
    EditPreview, EditableMessage, SentMessages, edit_name, edit_of, edit_run, has_own_messages,
};
pub use failpoint::{CrashPoint, FailPoint};
pub use health::ServiceHealth;
pub use inspect::FileDetails;
pub use lazy_ledger::{LazyLedger, OpenLedger};
pub use recall::{BroadcastRecallSummary, RecallOptions};
pub use reconcile::with_longest_mark;
pub use rest::RestOptions;
pub use status::{BroadcastWait, DriverStatus, RateMeter, WaitKind};
pub use tally::{SendCounters, SendCounts};
pub use transport::{OutgoingCall, Transport};
pub use upload::SendableFile;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::client::{Client, ClientError, InProcessService, TokenWait};
use crate::clock::Clock;
use crate::config::{App, AppLimits, ApprovalRules};
use crate::core::{FailureKind, RequestFailure, UserScope};
use crate::ledger::{AppId, Ledger};
use crate::message::{ExtraNames, MessageLimits};
use crate::quota::Quotas;
use crate::reconcile::Reconciler;

/// Sends everything of one app.
#[derive(Debug)]
pub struct Delivery {
    name: String,
    settings: RefCell<AppLimits>,
    client: Client,
    quotas: Quotas,
    own_quotas: RefCell<rest::OwnQuotas>,
    clock: Clock,
    ledger: Option<AppLedger>,
    fail_point: FailPoint,
    /// The uploads in progress, by their content.
    uploading: RefCell<HashMap<String, Rc<tokio::sync::Mutex<()>>>>,
    transport: Option<Rc<dyn Transport>>,
    quota_leases: share::QuotaLeases,
    activity_reporter: activity::ActivityReporter,
    senders: senders::StoredSenders,
    /// `ORG#APP`, the app's name in the service's callbacks. `None` if the address does not have it.
    callback_key: Option<String>,
    figures: figures::AppMetrics,
    reconciler: Reconciler,
    /// Whether messages get marks.
    marks: bool,
    /// How many single messages got one.
    marked: Cell<u64>,
    /// Whether broadcasts are verified after they have finished.
    verifies: bool,
    /// The broadcasts that need an approval.
    approval: RefCell<ApprovalRules>,
}

/// The ledger of an app's sends.
#[derive(Debug)]
struct AppLedger {
    ledger: Rc<LazyLedger>,
    key: String,
    id: tokio::sync::OnceCell<AppId>,
}

impl Delivery {
    /// The delivery of an app. `state` is the folder in which its token is stored between processes.
    pub fn new(app: &App, clock: Clock, state: Option<&Path>) -> Result<Self, ClientError> {
        Ok(Self::with(app, Client::new(app, clock.clone(), state)?, clock))
    }

    /// The delivery of an app to a service in this process instead of the network.
    pub fn over(wire: Arc<dyn InProcessService>, app: &App, clock: Clock) -> Result<Self, ClientError> {
        Ok(Self::with(app, Client::over(wire, app, clock.clone())?, clock))
    }

    fn with(app: &App, client: Client, clock: Clock) -> Self {
        let quotas = Quotas::new(&app.limits, &clock);
        Self {
            name: app.name.clone(),
            settings: RefCell::new(app.limits.clone()),
            client,
            figures: figures::AppMetrics::new(&app.name, &quotas),
            quotas,
            own_quotas: RefCell::default(),
            reconciler: Reconciler::new(app, clock.clone()),
            clock,
            ledger: None,
            fail_point: FailPoint::default(),
            uploading: RefCell::default(),
            transport: None,
            quota_leases: share::QuotaLeases::default(),
            activity_reporter: activity::ActivityReporter::default(),
            marks: app.records.mark,
            marked: Cell::default(),
            verifies: app.records.verify,
            approval: RefCell::default(),
            senders: senders::StoredSenders::default(),
            callback_key: app.callback_key(),
        }
    }

    /// Adds a ledger, in which the app is known by `key`. Every message is recorded before it is sent. The app's quotas
    /// are shared with all other processes on that ledger.
    pub fn with_ledger(mut self, ledger: Rc<LazyLedger>, key: &str) -> Self {
        self.ledger = Some(AppLedger { ledger, key: key.to_owned(), id: tokio::sync::OnceCell::new() });
        // No other process sends in the time of a simulated clock that belongs to this one.
        if self.clock.has_other_processes() {
            self.quotas = Quotas::shared(self.settings.get_mut(), &self.clock);
        }
        self
    }

    /// Assumes a service that started with this process and that no other process uses.
    pub fn alone(mut self) -> Self {
        self.quotas = Quotas::fresh(self.settings.get_mut(), &self.clock);
        self
    }

    /// Gives the calls to a transport instead of the service.
    pub fn with_transport(mut self, transport: Rc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Adds a point at which the process ends, for crash tests.
    pub fn failing_at(mut self, point: FailPoint) -> Self {
        self.fail_point = point;
        self
    }

    /// Passes a point at which a crash test may end the process.
    pub fn pass(&self, point: CrashPoint) {
        self.fail_point.pass(point);
    }

    /// The app in the ledger. Opens the ledger first, if it is not open. `None` if this delivery has no ledger.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Invalid`] when it cannot be opened, [`FailureKind::Unreachable`] when it cannot be
    /// written.
    pub async fn entry(&self) -> Result<Option<(&OpenLedger, AppId)>, RequestFailure> {
        let Some(recorded) = &self.ledger else { return Ok(None) };
        let open = self.opened(recorded).await?;
        // The box keeps this one-time query out of every message's future.
        let id = recorded.id.get_or_try_init(|| {
            Box::pin(async {
                let id = open.ledger.app(&recorded.key).await?;
                if open.ledger.keeps_app_tokens() {
                    ledger_token_store::use_ledger_store(&self.client, &recorded.key, &open.ledger, id);
                }
                Ok(id)
            })
        });
        let id = id.await;
        Ok(Some((open, *id.map_err(|error| record::unrecorded(&error))?)))
    }

    /// The ledger. Opens it first, if it is not open. `None` if this delivery has no ledger.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Invalid`] when it cannot be opened.
    pub async fn open_ledger(&self) -> Result<Option<&Ledger>, RequestFailure> {
        let Some(recorded) = &self.ledger else { return Ok(None) };
        Ok(Some(&self.opened(recorded).await?.ledger))
    }

    async fn opened<'a>(&self, recorded: &'a AppLedger) -> Result<&'a OpenLedger, RequestFailure> {
        let failed = |error| RequestFailure::new(FailureKind::Invalid, format!("{error}; nothing was sent"));
        match recorded.ledger.get() {
            Some(open) => Ok(open),
            // The box keeps each message's future smaller than the opening.
            None => Box::pin(recorded.ledger.open()).await.map_err(failed),
        }
    }

    /// Writes the outcomes of single sends that could not be written when their answers came. It tries once.
    pub async fn write_deferred(&self) {
        if let Some(recorded) = &self.ledger {
            recorded.ledger.write_deferred().await;
        }
    }

    /// The app's key in the ledger; empty if this delivery has no ledger.
    pub fn key(&self) -> &str {
        self.ledger.as_ref().map_or("", |recorded| &recorded.key)
    }

    /// The configured limits.
    pub fn settings(&self) -> AppLimits {
        self.settings.borrow().clone()
    }

    /// Applies other limits to everything sent from now on. Returns the names of those that need a restart.
    pub fn set_limits(&self, limits: &AppLimits) -> Vec<String> {
        let before = self.settings();
        let mut limits = limits.clone();
        let mut restart = Vec::new();
        if limits.targeted_cost != before.targeted_cost {
            limits.targeted_cost = before.targeted_cost;
            restart.push("targeted_cost".to_owned());
        }
        if (limits.room_calls_per_second == 0) != (before.room_calls_per_second == 0) {
            limits.room_calls_per_second = before.room_calls_per_second;
            restart.push("room_calls_per_second".to_owned());
        }
        restart.extend(self.quotas.grant(&limits).into_iter().map(|name| format!("the rate of {name}")));
        self.settings.replace(limits);
        restart
    }

    /// The limits of messages now.
    fn message_limits(&self) -> MessageLimits {
        let settings = self.settings.borrow();
        let extra = ExtraNames { message: settings.extra_fields.clone(), body: settings.body_fields.clone() };
        MessageLimits { message_bytes: settings.message_bytes, extra }
    }

    /// The app's name for scripts.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `ORG#APP`, the app's name in the service's callbacks. `None` if the address does not have it.
    pub fn callback_key(&self) -> Option<&str> {
        self.callback_key.as_deref()
    }

    /// Why calls wait for the app's token; `None` if they do not.
    pub fn token_wait(&self) -> Option<TokenWait> {
        self.client.token_wait()
    }

    /// The app's quotas, for display.
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The most users that one call may name, so that its messages fit into this process's part of a minute's quota.
    pub fn most_users_a_call(&self) -> u16 {
        let settings = self.settings.borrow();
        let minute = f64::from(settings.user_messages_per_minute) * settings.share;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and is not negative"
        )]
        let minute = minute as u16;
        minute.clamp(1, 600)
    }

    /// The active limits, as `im.limits` shows them.
    pub fn limits(&self) -> Vec<(String, f64)> {
        let settings = &*self.settings.borrow();
        [
            ("group_per_second", f64::from(settings.group_per_second)),
            ("targeted_per_second", f64::from(settings.targeted_per_second)),
            ("upload_per_second", f64::from(settings.upload_per_second)),
            ("read_per_second", f64::from(settings.read_per_second)),
            ("edit_per_second", f64::from(settings.edit_per_second)),
            ("user_calls_per_second", f64::from(settings.user_calls_per_second)),
            ("user_messages_per_minute", f64::from(settings.user_messages_per_minute)),
            ("room_messages_per_second", f64::from(settings.room_messages_per_second)),
            ("room_calls_per_second", f64::from(settings.room_calls_per_second)),
            ("share", settings.share),
            ("announce_all_per_day", f64::from(settings.announce_all_per_day)),
            ("announce_online_per_day", f64::from(settings.announce_online_per_day)),
            ("announce_all_interval", UserScope::All.interval().as_secs_f64()),
            ("announce_online_interval", UserScope::Online.interval().as_secs_f64()),
            ("message_bytes", settings.message_bytes as f64),
            ("upload_bytes", settings.upload_bytes as f64),
            ("groups_per_call", crate::message::GROUPS_PER_CALL as f64),
            ("users_per_call", crate::message::USERS_PER_CALL as f64),
            ("user_messages_per_call", crate::message::RECIPIENT_USERS_PER_CALL as f64),
            ("rooms_per_call", crate::message::ROOMS_PER_CALL as f64),
            ("roam_ignore_users", crate::message::ROAM_IGNORE_USERS as f64),
            ("custom_exts", crate::message::CUSTOM_EXTS as f64),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}
