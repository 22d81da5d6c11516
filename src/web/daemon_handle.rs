//! What the listener needs of the daemon, and what is done on the daemon's own thread.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::clock::Clock;
use crate::config::{ServeSettings, Settings};
use crate::delivery::Delivery;
use crate::host::BroadcastSupervisor;
use crate::ledger::{BroadcastId, Ledger};
use crate::schedule::Job;

use super::LogTail;
use super::health::Readiness;
use super::hooks::WebhookVerifier;
use super::metrics::PrometheusMetrics;
use super::status_cache::StatusCache;

/// Finds the job of a name that is in force.
pub type FindJob = Box<dyn Fn(&str) -> Option<Rc<Job>>>;

/// What the listener needs of the daemon.
pub struct DaemonHandle {
    /// The project, as people call it.
    pub project: String,
    /// Whether it sends to the simulator.
    pub simulator: bool,
    /// The job of a name that is in force.
    pub find: FindJob,
    /// The settings as they are now.
    pub settings: Box<dyn Fn() -> Rc<Settings>>,
    /// How it is to listen.
    pub serve: ServeSettings,
    /// The apps that are sent through, the default one first.
    pub apps: Vec<Rc<Delivery>>,
    /// Who drives the daemon's broadcasts.
    pub keeper: Rc<BroadcastSupervisor>,
    /// Where everything is written down.
    pub ledger: Ledger,
    /// The folder of what is this machine's own.
    pub state: PathBuf,
    /// The time.
    pub clock: Clock,
    /// Why the daemon does not begin anything now, if it does not.
    pub unready: Box<dyn Fn() -> Option<&'static str>>,
    /// What this process counts.
    pub figures: PrometheusMetrics,
    /// The newest lines of the log.
    pub log: Arc<LogTail>,
    /// Says that something is wished for, so that nobody has to look for it.
    pub nudge: Box<dyn Fn()>,
}

/// What stands on the daemon's thread.
pub(super) struct DaemonContext {
    pub(super) house: DaemonHandle,
    pub(super) hooks: WebhookVerifier,
    pub(super) board: StatusCache,
    /// Broadcasts whose messages are being recalled.
    pub(super) recalling: RefCell<BTreeSet<BroadcastId>>,
    pub(super) readiness: Readiness,
}

/// Work for the daemon's thread.
pub(super) type DaemonWork = Box<dyn FnOnce(Rc<DaemonContext>) -> LocalBoxFuture<'static, ()> + Send>;
