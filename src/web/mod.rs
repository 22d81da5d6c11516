//! The daemon's listener: the page, its API and metrics, and the requests of hooks.
//!
//! - `listener`: connections; `guard`: authorization; `body`: limits of request bodies; `answer`: error responses;
//! - `view`: the values that the page, the API and the terminal show; `status_cache`: the current overview;
//! - `actions`: what operators can do; `scripts`: runs on request; `replan`: broadcasts whose inputs changed;
//!   `hooks`: requests that start runs;
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
mod metrics;
mod page;
mod replan;
mod scripts;
mod status_cache;
mod view;
mod words;

use std::cell::RefCell;
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::ledger::Ledger;

use answer::ApiError;
use daemon_handle::{DaemonContext, DaemonWork};
use guard::{ApiTokens, SiteNames};
use page::Pages;
use status_cache::{StatusCache, StatusWatch};

pub use daemon_handle::DaemonHandle;
pub use guard::{NewToken, mint};
pub use listener::{ListenerSetup, Tls};
pub use metrics::PrometheusMetrics;
pub use replan::ask_to_replan;
pub use scripts::{RequestedRun, ask_for_script, asked_scripts};
pub use view::*;

/// The maximum number of queued tasks for the daemon's thread.
const WORK: usize = 256;

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
    work: mpsc::Sender<DaemonWork>,
}

impl Deref for AppState {
    type Target = AppStateInner;

    fn deref(&self) -> &AppStateInner {
        &self.0
    }
}

impl AppState {
    /// Runs a task on the daemon's thread and returns its result.
    async fn run_on_daemon<T, F>(
        &self,
        work: impl FnOnce(Rc<DaemonContext>) -> F + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let stops = || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is shutting down");
        let (done, came) = oneshot::channel();
        let work: DaemonWork = Box::new(move |office| {
            Box::pin(async move {
                // The handler may have been dropped.
                let _ = done.send(work(office).await);
            })
        });
        self.work.send(work).await.map_err(|_| stops())?;
        came.await.map_err(|_| stops())
    }
}

/// Serves requests while it is polled. Must be called on the daemon's own thread.
pub async fn serve(listening: ListenerSetup, house: DaemonHandle) -> std::io::Result<()> {
    let address = listening.address()?;
    let (work, mut wanted) = mpsc::channel(WORK);
    let (board, watch) = StatusCache::new();
    let pages = Pages::new(&house.project, house.simulator).map_err(std::io::Error::other)?;
    let site = AppState(Arc::new(AppStateInner {
        ledger: house.ledger.clone(),
        clock: house.clock.clone(),
        log: Arc::clone(&house.log),
        names: SiteNames::new(address, listening.tls.is_some(), &house.serve.hosts),
        tokens: ApiTokens::new(house.ledger.clone(), &house.state, house.clock.clone())?,
        pages,
        watch,
        reading: Semaphore::new(READING),
        work,
    }));
    let clock = house.clock.clone();
    let office = Rc::new(DaemonContext {
        house,
        hooks: hooks::WebhookVerifier::new(),
        board,
        recalling: RefCell::default(),
        readiness: health::Readiness::default(),
    });
    let answering = listening.answer(router(&site), clock);
    let watching = office.board.poll(&office.house);
    let mut doing = JoinSet::new();
    tokio::pin!(answering, watching);
    loop {
        tokio::select! {
            () = &mut answering => return Ok(()),
            () = &mut watching => {}
            Some(work) = wanted.recv() => {
                doing.spawn_local(work(Rc::clone(&office)));
            }
            Some(_) = doing.join_next() => {}
        }
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
