//! The parts of the daemon that the listener uses, and the state that lives on the daemon's thread.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::clock::Clock;
use crate::config::{EnvName, ServeSettings, Settings};
use crate::delivery::Delivery;
use crate::ledger::{BroadcastId, Ledger, NewRehearsal};
use crate::run::ProjectInputs;
use crate::schedule::Job;

use super::LogTail;
use super::health::Readiness;
use super::hooks::WebhookVerifier;
use super::metrics::PrometheusMetrics;

/// Finds the active job of a name.
pub type FindJob = Box<dyn Fn(&str) -> Option<Rc<Job>>>;

/// Returns the inputs of a script now.
pub type FindInputs = Box<dyn Fn(&str) -> Option<ProjectInputs>>;

/// Rehearses a script in a process of its own.
pub type RehearseScript = Box<dyn Fn(NewRehearsal) -> LocalBoxFuture<'static, Result<Value, String>>>;

/// The parts of the daemon that the listener uses.
pub struct DaemonHandle {
    /// The project's name, for display.
    pub project: String,
    /// The project's environment, if one was chosen.
    pub env: Option<EnvName>,
    /// Whether the daemon sends to the simulator.
    pub simulator: bool,
    /// Finds the active job of a name.
    pub find: FindJob,
    /// Returns the active jobs that run for events of the chat service.
    pub reactions: Box<dyn Fn() -> Vec<Rc<Job>>>,
    /// Returns the inputs of a script of this path now, or None if they cannot be read.
    pub inputs: FindInputs,
    /// Returns the current settings.
    pub settings: Box<dyn Fn() -> Rc<Settings>>,
    /// The settings of the listener.
    pub serve: ServeSettings,
    /// The apps, the default one first.
    pub apps: Vec<Rc<Delivery>>,
    pub ledger: Ledger,
    /// The folder for files of this machine.
    pub state: PathBuf,
    pub clock: Clock,
    /// Returns why the daemon begins nothing now, or `None` if it is ready.
    pub unready: Box<dyn Fn() -> Option<&'static str>>,
    /// Rehearses a script, and gives the report or why there is none.
    pub rehearse: RehearseScript,
    /// The metrics of this process.
    pub figures: PrometheusMetrics,
    /// The newest lines of the log.
    pub log: Arc<LogTail>,
    /// Tells the daemon that a command was written, so that it does not wait for the next poll.
    pub wake: Rc<dyn Fn()>,
}

/// The state that lives on the daemon's thread.
pub(super) struct DaemonContext {
    pub(super) handle: DaemonHandle,
    pub(super) hooks: WebhookVerifier,
    /// Broadcasts with a recall in progress.
    pub(super) recalling: RefCell<BTreeSet<BroadcastId>>,
    pub(super) readiness: Readiness,
}
