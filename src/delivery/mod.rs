//! The one road of a message: check, permit, intent, request, outcome; and what a failure means for it.
//!
//! A [`Delivery`] is one app's. `im.group_send` and `im.targeted_send` take [`Delivery::send`], and there is no other
//! way to the service. May import: `ledger`, `quota`, `client`, `message`, `config`, `clock`.

mod activity;
mod broadcast;
mod cancel;
mod failpoint;
mod figures;
mod health;
mod inspect;
mod lazy_ledger;
mod ledger_token_store;
mod lists;
mod recall;
mod record;
mod retry;
mod send;
mod share;
mod status;
mod stop;
mod tally;
mod trace;
mod transport;
mod undelivered;
mod upload;

pub use broadcast::{
    ActiveBroadcast, BroadcastProgress, BroadcastSummary, DriveEnd, DriveResult, LEASE, ProgressSnapshot,
    WaitReason,
};
pub use cancel::{CancelResult, cancel};
pub use failpoint::{CrashPoint, FailPoint, FailPointError};
pub use health::ServiceHealth;
pub use inspect::FileDetails;
pub use lazy_ledger::{LazyLedger, OpenLedger};
pub use lists::{GroupInfo, MemberInfo, Page};
pub use recall::{BroadcastRecallSummary, RecallFailure, RecallOptions, RecallSummary};
pub use send::{Receipts, SendOptions};
pub use status::{BroadcastWait, DriverStatus, RateMeter, WaitKind};
pub use stop::{StopSignal, StopSwitch};
pub use tally::{SendCounters, SendCounts};
pub use transport::{OutgoingCall, Transport};
pub use undelivered::{DeliveryError, DeliveryErrorKind};
pub use upload::{SendableFile, UploadOptions, UploadedFile};

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::client::{Client, ClientError, InProcessService, TokenWait};
use crate::clock::Clock;
use crate::config::{App, AppLimits};
use crate::ledger::{AppId, Ledger};
use crate::message::MessageLimits;
use crate::quota::Quotas;

/// Everything that is sent through one app.
#[derive(Debug)]
pub struct Delivery {
    name: String,
    settings: RefCell<AppLimits>,
    limits: Cell<MessageLimits>,
    client: Client,
    quotas: Quotas,
    clock: Clock,
    ledger: Option<AppLedger>,
    fail_point: FailPoint,
    /// The uploads under way, by their content.
    uploading: RefCell<HashMap<String, Rc<tokio::sync::Mutex<()>>>>,
    transport: Option<Rc<dyn Transport>>,
    quota_leases: share::QuotaLeases,
    activity_reporter: activity::ActivityReporter,
    figures: figures::AppMetrics,
}

/// Where an app's sends are written down.
#[derive(Debug)]
struct AppLedger {
    book: Rc<LazyLedger>,
    /// What it is known by there.
    key: String,
    /// The app in the ledger.
    id: tokio::sync::OnceCell<AppId>,
}

impl Delivery {
    /// The road of an app. `state` is the folder in which its token is kept between processes.
    ///
    /// # Errors
    ///
    /// When the app's address or the system's TLS settings are of no use.
    pub fn new(app: &App, clock: Clock, state: Option<&Path>) -> Result<Self, ClientError> {
        Ok(Self::with(app, Client::new(app, clock.clone(), state)?, clock))
    }

    /// The road of an app over a wire in place of the network.
    ///
    /// # Errors
    ///
    /// As [`Delivery::new`].
    pub fn over(wire: Arc<dyn InProcessService>, app: &App, clock: Clock) -> Result<Self, ClientError> {
        Ok(Self::with(app, Client::over(wire, app, clock.clone())?, clock))
    }

    fn with(app: &App, client: Client, clock: Clock) -> Self {
        let quotas = Quotas::new(&app.limits, &clock);
        Self {
            name: app.name.clone(),
            settings: RefCell::new(app.limits.clone()),
            limits: Cell::new(MessageLimits { message_bytes: app.limits.message_bytes }),
            client,
            figures: figures::AppMetrics::new(&app.name, &quotas),
            quotas,
            clock,
            ledger: None,
            fail_point: FailPoint::default(),
            uploading: RefCell::default(),
            transport: None,
            quota_leases: share::QuotaLeases::default(),
            activity_reporter: activity::ActivityReporter::default(),
        }
    }

    /// The same road with a ledger, in which the app is known by `key`: nothing leaves it without being written down,
    /// and its quotas are shared with all other processes on that ledger.
    #[must_use]
    pub fn with_ledger(mut self, book: Rc<LazyLedger>, key: &str) -> Self {
        self.ledger = Some(AppLedger { book, key: key.to_owned(), id: tokio::sync::OnceCell::new() });
        // A simulated clock is this process's own, so nobody else sends at its instants.
        if !self.clock.is_simulated() {
            self.quotas = Quotas::shared(self.settings.get_mut(), &self.clock);
        }
        self
    }

    /// The same road to a service that began with this process and is used by no other.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.quotas = Quotas::fresh(self.settings.get_mut(), &self.clock);
        self
    }

    /// The same road with a stage at its end in place of the service: what would leave is shown there.
    #[must_use]
    pub fn with_transport(mut self, stage: Rc<dyn Transport>) -> Self {
        self.transport = Some(stage);
        self
    }

    /// The same road with a place at which the process ends, for crash tests.
    #[must_use]
    pub fn failing_at(mut self, point: FailPoint) -> Self {
        self.fail_point = point;
        self
    }

    /// Passes a place at which a crash test may end the process.
    pub fn pass(&self, point: CrashPoint) {
        self.fail_point.pass(point);
    }

    /// The ledger, opened if it was not, and the app in it; none where there is no ledger.
    ///
    /// # Errors
    ///
    /// [`Reason::NoLedger`] when it cannot be opened, [`Reason::Unrecorded`] when it cannot be written.
    pub async fn entry(&self) -> Result<Option<(&OpenLedger, AppId)>, DeliveryError> {
        let Some(recorded) = &self.ledger else { return Ok(None) };
        let open = self.opened(recorded).await?;
        // Asked once: not in every message's future.
        let id = recorded.id.get_or_try_init(|| {
            Box::pin(async {
                let id = open.ledger.app(&recorded.key).await?;
                if open.ledger.is_shared() {
                    ledger_token_store::use_ledger_store(&self.client, &recorded.key, &open.ledger, id);
                }
                Ok(id)
            })
        });
        let id = id.await;
        Ok(Some((open, *id.map_err(|error| record::unrecorded(&error))?)))
    }

    /// The ledger, opened if it was not; none where there is none.
    ///
    /// # Errors
    ///
    /// [`Reason::NoLedger`] when it cannot be opened.
    pub async fn open_ledger(&self) -> Result<Option<&Ledger>, DeliveryError> {
        let Some(recorded) = &self.ledger else { return Ok(None) };
        Ok(Some(&self.opened(recorded).await?.ledger))
    }

    async fn opened<'a>(&self, recorded: &'a AppLedger) -> Result<&'a OpenLedger, DeliveryError> {
        let failed =
            |error| DeliveryError::new(DeliveryErrorKind::NoLedger, format!("{error}; nothing was sent"));
        match recorded.book.get() {
            Some(open) => Ok(open),
            // Apart, so that each message's future is not as large as the opening.
            None => Box::pin(recorded.book.open()).await.map_err(failed),
        }
    }

    /// What the app is known by in the ledger; nothing where there is none.
    #[must_use]
    pub fn key(&self) -> &str {
        self.ledger.as_ref().map_or("", |recorded| &recorded.key)
    }

    /// The limits as they are set.
    #[must_use]
    pub fn settings(&self) -> AppLimits {
        self.settings.borrow().clone()
    }

    /// Puts other limits in force, for what is sent from now on. Gives what takes a restart.
    #[must_use]
    pub fn set_limits(&self, limits: &AppLimits) -> Vec<String> {
        let before = self.settings();
        let mut limits = limits.clone();
        let mut restart = Vec::new();
        if limits.targeted_cost != before.targeted_cost {
            limits.targeted_cost = before.targeted_cost;
            restart.push("targeted_cost".to_owned());
        }
        restart.extend(self.quotas.grant(&limits).into_iter().map(|name| format!("the rate of {name}")));
        self.limits.set(MessageLimits { message_bytes: limits.message_bytes });
        self.settings.replace(limits);
        restart
    }

    /// The app's name for scripts.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why calls wait for the app's token, where they do.
    #[must_use]
    pub fn token_wait(&self) -> Option<TokenWait> {
        self.client.token_wait()
    }

    /// The app's quotas, for whoever shows them.
    #[must_use]
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The limits in force, as `im.limits` shows them.
    #[must_use]
    pub fn limits(&self) -> Vec<(String, f64)> {
        let settings = &*self.settings.borrow();
        [
            ("group_per_second", f64::from(settings.group_per_second)),
            ("targeted_per_second", f64::from(settings.targeted_per_second)),
            ("upload_per_second", f64::from(settings.upload_per_second)),
            ("read_per_second", f64::from(settings.read_per_second)),
            ("share", settings.share),
            ("message_bytes", settings.message_bytes as f64),
            ("upload_bytes", settings.upload_bytes as f64),
            ("groups_per_call", crate::message::GROUPS_PER_CALL as f64),
            ("users_per_call", crate::message::USERS_PER_CALL as f64),
            ("roam_ignore_users", crate::message::ROAM_IGNORE_USERS as f64),
            ("custom_exts", crate::message::CUSTOM_EXTS as f64),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }
}
