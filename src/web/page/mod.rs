//! The page: what operators see and do in a browser.
//!
//! The server renders all of it, in the visitor's language. Every link and form works without scripts. The only
//! script (`assets/page.js`) inserts what `events` sends, and shows confirmations in a dialog instead of on a page.
//!
//! - `page_context`: the caller's role, language and time zone; `pages`: the templates and their functions;
//! - `first`, `broadcast`, `message`, `history`, `job`, `run`, `script`, `rehearsal`, `suppressions`, `log`: the pages; `card`, `chart`: drawings on them;
//! - `ask`: actions, after a confirmation; `notice`: their results; `login`: login, logout and language; `events`:
//!   live updates;
//! - `ledger_text`: what the ledger says, in the reader's language; `assets`: style, script and icon.

mod approval;
mod ask;
mod assets;
mod audit;
mod broadcast;
mod card;
mod chart;
mod edit;
mod events;
mod first;
mod format;
mod history;
mod job;
mod ledger_text;
mod log;
mod login;
mod message;
mod notice;
mod page_context;
mod pages;
mod rehearsal;
mod run;
mod script;
mod suppressions;
#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{get, post};

use super::AppState;
use super::answer::ApiError;

use page_context::Guest;
pub(super) use pages::Pages;

/// The routes of the page, and the response for unknown addresses.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(first::show))
        .route("/broadcasts", get(history::show))
        .route("/broadcasts/{id}", get(broadcast::show))
        .route("/broadcasts/{id}/edit", get(edit::of_broadcast).post(edit::do_to_broadcast))
        .route("/broadcasts/{id}/approve", get(approval::ask::<true>).post(approval::act::<true>))
        .route("/broadcasts/{id}/reject", get(approval::ask::<false>).post(approval::act::<false>))
        .route("/broadcasts/{id}/{act}", get(ask::of_broadcast).post(ask::do_to_broadcast))
        .route("/broadcasts/{id}/recipients/{seq}", get(message::show))
        .route("/broadcasts/{id}/recipients/{seq}/picture", get(message::picture))
        .route("/sends/{id}/{act}", get(ask::of_send).post(ask::do_to_send))
        .route("/job", get(job::show))
        .route("/job/{act}", get(ask::of_job).post(ask::do_to_job))
        .route("/run", get(run::show))
        .route("/run/output", get(run::text))
        .route("/script/run", get(script::ask).post(script::submit))
        .route("/rehearsals/{id}", get(rehearsal::show))
        .route("/rehearsals/{id}/{act}", get(rehearsal::ask).post(rehearsal::act))
        .route("/suppressions", get(suppressions::show).post(suppressions::add))
        .route("/suppressions/remove", get(suppressions::ask_removal).post(suppressions::remove))
        .route("/log", get(log::show))
        .route("/audit", get(audit::show))
        .route("/events", get(events::listen))
        .route("/login", get(login::show).post(login::enter))
        .route("/logout", post(login::leave))
        .route("/language/{to}", get(login::language))
        .route("/assets/{file}", get(assets::give))
        .fallback(nothing)
}

/// The response for unknown addresses.
async fn nothing() -> ApiError {
    ApiError::not_found("there is nothing at this address")
}

/// Shows a refusal as a page if the request is for a page, and redirects a browser without a session to the
/// login.
pub(super) async fn refusals(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_page = wants_page(&parts);
    let guest = Guest::of(&parts);
    let is_safe = parts.method.is_safe();
    let answer = next.run(Request::from_parts(parts, body)).await;
    match answer.extensions().get::<ApiError>() {
        Some(problem) if is_page && problem.status() == StatusCode::UNAUTHORIZED && !guest.part => {
            guest.to_login(is_safe)
        }
        Some(problem) if is_page => guest.refuse(&state, problem),
        _ => answer,
    }
}

/// Whether the request is for a page: it has a route of the page, or it accepts HTML.
fn wants_page(parts: &Parts) -> bool {
    let path = parts.uri.path();
    let accepts = parts.headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
    let is_route = parts.extensions.get::<MatchedPath>().is_some();
    let of_page = !path.starts_with("/api/") && path != "/metrics";
    of_page && (is_route || accepts.is_some_and(|accepts| accepts.contains("text/html")))
}
