//! The daemon's listener: the page, its API and metrics, and the requests of hooks.
//!
//! - `listener`: connections; `guard`: authorization; `body`: limits of request bodies; `answer`: error responses;
//! - `actions`, `script_actions`: applies and logs what operators do; `status_cache`: the current overview; `log_tail`, `log_line`, `log_file`,
//!   `log_filter`: the log; `hooks`: requests that start runs; `callbacks`: the service's callbacks;
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
mod callbacks;
mod daemon_handle;
mod guard;
mod health;
mod hooks;
mod listener;
mod log_file;
mod log_filter;
mod log_line;
mod log_tail;
mod metrics;
mod page;
mod script_actions;
mod status_cache;
mod words;

use std::cell::RefCell;
use std::future::Future;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use send_wrapper::SendWrapper;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::control::{AppView, DiskSpace, Overview, OverviewSource};
use crate::ledger::{Ledger, LedgerError};

use answer::ApiError;
use callbacks::{CallbackIntake, CallbackResults};
use daemon_handle::DaemonContext;
use guard::{ApiTokens, LoginLimiter, SiteNames};
use log_filter::LogFilter;
use page::Pages;
use status_cache::{StatusCache, StatusWatch};

pub use daemon_handle::DaemonHandle;
pub use guard::{FIRST_TOKENS, NewToken, mint};
pub use listener::{ListenerSetup, Tls};
pub use log_line::LogLineView;
pub use log_tail::{LogTail, LogTailLayer};
pub use metrics::PrometheusMetrics;

/// The maximum number of requests whose bodies are read at once.
const READING: usize = 64;

/// The maximum number of searches in the log's files at once.
const SEARCHING: usize = 2;

/// The maximum number of files that are read at once.
const READING_FILES: usize = 4;

/// The state that handlers share.
#[derive(Clone)]
struct AppState(Arc<AppStateInner>);

struct AppStateInner {
    ledger: Ledger,
    clock: Clock,
    log: Arc<LogTail>,
    names: SiteNames,
    tokens: ApiTokens,
    /// Limits the logins, and the wrong tokens of other requests.
    logins: LoginLimiter,
    wrong_tokens: LoginLimiter,
    pages: Pages,
    watch: StatusWatch,
    callbacks: CallbackIntake,
    callback_results: CallbackResults,
    /// Limits the requests whose bodies are being read.
    reading: Semaphore,
    /// Limits the searches in the log's files.
    searching: Semaphore,
    /// Limits the files that are being read.
    reading_files: Semaphore,
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

    /// Up to `most` wanted lines of the log before a number, the newest first. The files are read on another thread.
    async fn search_log(
        &self,
        filter: LogFilter,
        before: Option<u64>,
        most: usize,
    ) -> Result<Vec<LogLineView>, ApiError> {
        let stopped = || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is shutting down");
        let _searching = self.searching.acquire().await.map_err(|_| stopped())?;
        let log = Arc::clone(&self.log);
        let found = tokio::task::spawn_blocking(move || log.search(&filter, before, most));
        found.await.map_err(|_| stopped())
    }

    /// The apps with their quotas as they are now.
    fn apps(&self) -> Vec<AppView> {
        self.daemon.handle.apps.iter().map(|app| AppView::from(&**app)).collect()
    }

    /// The current overview, read from the ledger and the daemon.
    async fn overview(&self) -> Result<Overview, LedgerError> {
        let handle = &self.daemon.handle;
        let env = handle.env.as_ref().map(ToString::to_string);
        let source = OverviewSource {
            project: handle.project.clone(),
            env,
            simulator: handle.simulator,
            disk: disk(&handle.state),
        };
        Overview::read(&self.ledger, &self.clock, source, self.apps()).await
    }
}

/// The space of the disk with a folder. `None` if the system does not say it.
fn disk(folder: &std::path::Path) -> Option<DiskSpace> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(DiskSpace { free: disk.f_bavail * disk.f_frsize, total: disk.f_blocks * disk.f_frsize })
}

/// Serves requests while it is polled. Must be called on the daemon's own thread.
///
/// # Errors
///
/// The listener has no address, the session key can neither be read nor created, or a template of the page is
/// invalid.
pub async fn serve(listening: ListenerSetup, handle: DaemonHandle) -> std::io::Result<()> {
    let address = listening.address()?;
    let (cache, watch) = StatusCache::new();
    let wake = Rc::clone(&handle.wake);
    let wake = Box::new(move || wake());
    let (callbacks, callback_writer) = CallbackIntake::new(handle.ledger.clone(), handle.clock.clone(), wake);
    let state = AppState(Arc::new(AppStateInner {
        ledger: handle.ledger.clone(),
        clock: handle.clock.clone(),
        log: Arc::clone(&handle.log),
        names: SiteNames::new(address, listening.tls.is_some(), &handle.serve.hosts),
        tokens: ApiTokens::new(handle.ledger.clone(), &handle.state, handle.clock.clone())?,
        logins: LoginLimiter::new(handle.clock.clone()),
        wrong_tokens: LoginLimiter::new(handle.clock.clone()),
        pages: Pages::new(&handle.project, handle.env.as_ref(), handle.simulator)
            .map_err(std::io::Error::other)?,
        watch,
        callbacks,
        callback_results: CallbackResults::default(),
        reading: Semaphore::new(READING),
        searching: Semaphore::new(SEARCHING),
        reading_files: Semaphore::new(READING_FILES),
        daemon: SendWrapper::new(Rc::new(DaemonContext {
            handle,
            hooks: hooks::WebhookVerifier::new(),
            recalling: RefCell::default(),
            readiness: health::Readiness::default(),
        })),
    }));
    tokio::select! {
        () = listening.answer(router(&state), state.clock.clone()) => Ok(()),
        () = cache.poll(&state) => Ok(()),
        () = callback_writer.run() => Ok(()),
    }
}

fn router(state: &AppState) -> Router {
    let guarded = Router::new()
        .nest("/api/v1", api::routes())
        .merge(metrics::routes())
        .merge(page::routes())
        // `guard::admit` limits the bodies.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(state.clone(), guard::admit))
        .layer(from_fn_with_state(state.clone(), page::refusals))
        .layer(from_fn(guard::secure));
    // Other services post hooks and callbacks under any name that the proxy in front has, and probes use the address,
    // so they do not pass the host check.
    let open = hooks::routes().merge(callbacks::routes()).merge(health::routes());
    open.merge(guarded).layer(from_fn(metrics::count)).with_state(state.clone())
}
