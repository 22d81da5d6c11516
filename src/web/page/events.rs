//! `GET /events`: sends the changed parts of a page, rendered for the reader.
//!
//! A stream begins with all parts, so a reconnected browser shows the current state. A slow reader gets only the
//! newest version: a part is rendered when it can be written.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use minijinja::Value;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::control::Overview;
use crate::ledger::BroadcastId;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::guard::Caller;

use super::page_context::PageContext;
use super::{broadcast, first, format, job, log, run};

/// The session is checked after this number of events.
const LOOKS_AFTER: u32 = 10;

/// The page that is shown; the first page by default.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageEventsQuery {
    broadcast: Option<i64>,
    /// The recipients that are shown of the broadcast.
    state: Option<String>,
    after: Option<i64>,
    job: Option<String>,
    run: Option<String>,
    /// The query of `/log`.
    log: Option<String>,
}

/// The data of an event.
#[derive(Serialize)]
struct PageUpdate<'a> {
    /// The current time, in the reader's time zone.
    at: String,
    /// The version of the page's assets. The browser reloads the page if its own version differs.
    build: String,
    /// The changed parts, each as a whole.
    parts: BTreeMap<&'a str, &'a str>,
}

/// One browser's stream.
struct PageStream {
    state: AppState,
    page_context: PageContext,
    query: PageEventsQuery,
    followed: log::FollowedLog,
    parts: Parts,
    overview: watch::Receiver<Option<Arc<Overview>>>,
    /// The last sent version of each part.
    sent: BTreeMap<&'static str, String>,
    looks: u32,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) async fn listen(
    State(state): State<AppState>,
    page_context: PageContext,
    Query(query): Query<PageEventsQuery>,
    parts: Parts,
) -> Response {
    let Ok(permit) = Arc::clone(&state.pages.streams).try_acquire_owned() else {
        let why = "the maximum number of browsers receives live updates; this page shows the state when it was loaded";
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let watching = PageStream {
        overview: state.watch.subscribe(),
        state,
        page_context,
        query,
        followed: log::FollowedLog::default(),
        parts,
        sent: BTreeMap::new(),
        looks: 0,
        over: false,
        _permit: permit,
    };
    let updates = stream::unfold(watching, async |mut watching| {
        let event = watching.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), watching))
    });
    Sse::new(updates).into_response()
}

impl PageStream {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            self.overview.changed().await.ok()?;
            let overview = self.overview.borrow_and_update().clone()?;
            match self.look(&overview).await {
                Ok(event) => return Some(event),
                // The ledger may be temporarily unreadable.
                Err(problem) if problem.status().is_server_error() => {}
                Err(_) => {
                    // The page's subject or the session is gone. The page itself reports it after a reload.
                    self.over = true;
                    return Some(Event::default().event("over").data("-"));
                }
            }
        }
    }

    async fn look(&mut self, overview: &Overview) -> Result<Event, ApiError> {
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS_AFTER) {
            Caller::identify(&self.state, &self.parts).await?;
        }
        let (names, context) = self.seen(overview).await?;
        let mut changed = Vec::new();
        for name in names.iter().chain(&["banner"]).copied() {
            let html = self.state.pages.render(&format!("part/{name}.html"), &context)?;
            if self.sent.get(name) != Some(&html) {
                self.sent.insert(name, html);
                changed.push(name);
            }
        }
        let parts = self.sent.iter().filter(|(name, _)| changed.contains(name));
        let now = i64::try_from(self.state.clock.unix_time().as_secs()).unwrap_or_default();
        let at = format::instant_of(now, self.page_context.zone(&self.state));
        let news = PageUpdate {
            at: at.map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default(),
            build: self.state.pages.build(),
            parts: parts.map(|(name, html)| (*name, html.as_str())).collect(),
        };
        let event = Event::default().json_data(news);
        event.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    }

    /// The parts of the page, and the context that they are rendered with.
    async fn seen(&mut self, overview: &Overview) -> Result<(&'static [&'static str], Value), ApiError> {
        let (state, page_context, followed) = (&self.state, &self.page_context, &mut self.followed);
        Ok(match &self.query {
            PageEventsQuery { broadcast: Some(id), state: chosen, after, .. } => {
                let which = broadcast::BroadcastPageQuery { state: chosen.clone(), after: *after };
                broadcast::live(state, page_context, BroadcastId(*id), &which).await?
            }
            PageEventsQuery { job: Some(name), .. } => {
                (job::PARTS, job::context(state, page_context, name).await?)
            }
            PageEventsQuery { run: Some(id), .. } => {
                (run::PARTS, run::context(state, page_context, id).await?)
            }
            PageEventsQuery { log: Some(query), .. } => {
                let which = log::LogPageQuery::of(query)?;
                (log::PARTS, log::context(state, page_context, &which, followed).await?)
            }
            PageEventsQuery { .. } => (first::PARTS, first::context(state, page_context, overview)),
        })
    }
}
