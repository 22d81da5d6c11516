//! The daemon's listener: the page, its API and metrics, and the requests of hooks.
//!
//! - `listener`: connections; `guard`: authorization; `body`: limits of request bodies; `answer`: error responses;
//! - `actions`: applies and logs what operators do; `status_cache`: the current overview; `log_tail`: the newest lines of
//!   the log; `hooks`: requests that start runs;
//! - `metrics`: metrics for Prometheus; `health`: liveness and readiness;
//! - `page`: the HTML page; `words`: its texts; `api`: the JSON API; `daemon_handle`: the parts of the daemon that
//!   all of it uses.
//!
//! Handlers read the ledger themselves. They read state that only the daemon has on the daemon's own thread
//! (`AppState::run_on_daemon`). Commands go through the ledger, as they do from the command line.

mod actions;
mod answer;
mod api;
mod body;
mod daemon_handle;
mod guard;
mod health;
mod hooks;
mod listener;
mod log_tail;
mod metrics;
mod page;
mod status_cache;
mod words;

use std::cell::RefCell;
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use send_wrapper::SendWrapper;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::control::{AppView, Overview};
use crate::ledger::{Ledger, LedgerError};

use answer::ApiError;
use daemon_handle::DaemonContext;
use guard::{ApiTokens, SiteNames};
use page::Pages;
use status_cache::{StatusCache, StatusWatch};

pub use daemon_handle::DaemonHandle;
pub use guard::{NewToken, mint};
pub use listener::{ListenerSetup, Tls};
pub use log_tail::{LogLineView, LogTail, LogTailLayer};
pub use metrics::PrometheusMetrics;

/// The maximum number of requests whose bodies are read at once.
const READING: usize = 64;

/// The state that handlers share.
#[derive(Clone)]
struct AppState(Arc<AppStateInner>);

struct AppStateInner {
    ledger: Ledger,
    clock: Clock,
    log: Arc<LogTail>,
    names: SiteNames,
    tokens: ApiTokens,
    pages: Pages,
    watch: StatusWatch,
    /// Limits the requests whose bodies are being read.
    reading: Semaphore,
    /// The daemon's state. The listener runs on the daemon's thread.
    daemon: SendWrapper<Rc<DaemonContext>>,
}

impl Deref for AppState {
    type Target = AppStateInner;

    fn deref(&self) -> &AppStateInner {
        &self.0
    }
}

impl AppState {
    /// Runs a task with the daemon's state, to its end also when the handler is dropped.
    async fn run_on_daemon<T, F>(&self, work: impl FnOnce(Rc<DaemonContext>) -> F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let running = tokio::task::spawn_local(work(Rc::clone(&self.daemon)));
        running
            .await
            .map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is shutting down"))
    }

    /// The apps with their quotas as they are now.
    fn apps(&self) -> Vec<AppView> {
        self.daemon.house.apps.iter().map(|app| AppView::from(&**app)).collect()
    }

    /// The current overview, read from the ledger and the daemon.
    async fn overview(&self) -> Result<Overview, LedgerError> {
        let (project, simulator) = (self.daemon.house.project.clone(), self.daemon.house.simulator);
        Overview::read(&self.ledger, &self.clock, project, simulator, self.apps()).await
    }
}

/// Serves requests while it is polled. Must be called on the daemon's own thread.
///
/// # Errors
///
/// The listener has no address, the session key can neither be read nor created, or a template of the page is
/// invalid.
pub async fn serve(listening: ListenerSetup, house: DaemonHandle) -> std::io::Result<()> {
    let address = listening.address()?;
    let (cache, watch) = StatusCache::new();
    let site = AppState(Arc::new(AppStateInner {
        ledger: house.ledger.clone(),
        clock: house.clock.clone(),
        log: Arc::clone(&house.log),
        names: SiteNames::new(address, listening.tls.is_some(), &house.serve.hosts),
        tokens: ApiTokens::new(house.ledger.clone(), &house.state, house.clock.clone())?,
        pages: Pages::new(&house.project, house.simulator).map_err(std::io::Error::other)?,
        watch,
        reading: Semaphore::new(READING),
        daemon: SendWrapper::new(Rc::new(DaemonContext {
            house,
            hooks: hooks::WebhookVerifier::new(),
            recalling: RefCell::default(),
            readiness: health::Readiness::default(),
        })),
    }));
    tokio::select! {
        () = listening.answer(router(&site), site.clock.clone()) => Ok(()),
        () = cache.poll(&site) => Ok(()),
    }
}

fn router(site: &AppState) -> Router {
    let guarded = Router::new()
        .nest("/api/v1", api::routes())
        .merge(metrics::routes())
        .merge(page::routes())
        .layer(from_fn_with_state(site.clone(), guard::watch));
    // Other services call hooks under any name that the proxy in front has, and probes use the address, so neither
    // passes the host check.
    let open = hooks::routes().merge(health::routes());
    open.merge(guarded).layer(from_fn(metrics::count)).with_state(site.clone())
}
