//! The daemon's listener: the page, its API and its figures, and the requests that hooks take.
//!
//! - `listener`: connections; `guard`: who may ask; `body`: what they say, within bounds; `answer`: refusals;
//! - `view`: what is shown, the same on the page, in the API and in the terminal; `board`: how everything stands now;
//! - `acts`: what can be done; `scripts`: which may be run; `hooks`: requests that begin runs;
//! - `metrics`: figures for Prometheus; `health`: whether the daemon lives and can do its work;
//! - `page`: for people; `words`: its texts; `api`: everything in JSON; `house`: what all of it needs of the daemon.
//!
//! Handlers read the ledger, which knows nearly everything, by themselves; what only the daemon knows is asked of it on
//! its own thread (`Site::on_daemon`), and what people want goes through the ledger, as it does from the command line.
//!
//! May import: `schedule`, `host` and what is below them.

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

pub use actions::{ActionResult, BroadcastAction, JobAction, SendAction};
pub use daemon_handle::{DaemonHandle, FindJob};
pub use guard::{NewToken, mint};
pub use listener::{ListenerSetup, Tls};
pub use metrics::PrometheusMetrics;
pub use replan::{ReplanError, ask_to_replan, continue_as_stored};
pub use scripts::{RequestedRun, RunScriptError, ask_for_script, asked_scripts};
pub use view::*;

/// Work for the daemon's thread that waits at once.
const WORK: usize = 256;

/// Requests whose bodies are read at once.
const READING: usize = 64;

/// What handlers share.
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
    /// Places for requests whose bodies are being read.
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
    /// Does something on the daemon's own thread, and gives what came of it.
    async fn run_on_daemon<T, F>(
        &self,
        work: impl FnOnce(Rc<DaemonContext>) -> F + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        let stops = || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon stops");
        let (done, came) = oneshot::channel();
        let work: DaemonWork = Box::new(move |office| {
            Box::pin(async move {
                // Who has asked may be gone.
                let _ = done.send(work(office).await);
            })
        });
        self.work.send(work).await.map_err(|_| stops())?;
        came.await.map_err(|_| stops())
    }
}

/// Answers requests for as long as it is polled. Must be called on the daemon's own thread.
///
/// # Errors
///
/// When the listener has no address, the key of sessions can neither be read nor made, or the page's templates make no
/// sense.
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
    // A hook is asked for by other services, under whatever name the proxy in front has; and health by address.
    let open = hooks::routes().merge(health::routes());
    open.merge(guarded).layer(from_fn(metrics::count)).with_state(site.clone())
}
