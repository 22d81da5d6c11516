//! The page: what operators see and do in a browser.
//!
//! The server renders all of it, in the visitor's language. Every link and form works without scripts. The only
//! script (`assets/page.js`) inserts what `events` sends, and shows confirmations in a dialog instead of on a page.
//!
//! - `visitor`: the caller's role, language and time zone; `pages`: the templates and their functions;
//! - `first`, `broadcast`, `history`, `job`, `log`: the pages; `card`, `chart`: drawings on them;
//! - `ask`: actions, after a confirmation; `notice`: their results; `login`: login, logout and language; `events`:
//!   live updates;
//! - `assets`: style, script and icon.

mod ask;
mod assets;
mod broadcast;
mod card;
mod chart;
mod events;
mod first;
mod format;
mod history;
mod job;
mod log;
mod login;
mod notice;
mod pages;
#[cfg(test)]
mod tests;
mod visitor;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::AppState;
use super::answer::ApiError;

pub(super) use pages::Pages;
use visitor::Guest;

/// The routes of the page, and the response for unknown addresses.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(first::show))
        .route("/broadcasts", get(history::show))
        .route("/broadcasts/{id}", get(broadcast::show))
        .route("/broadcasts/{id}/{act}", get(ask::of_broadcast).post(ask::do_to_broadcast))
        .route("/sends/{id}/{act}", get(ask::of_send).post(ask::do_to_send))
        .route("/job", get(job::show))
        .route("/job/{act}", get(ask::of_job).post(ask::do_to_job))
        .route("/script/run", get(ask::of_script).post(ask::do_to_script))
        .route("/log", get(log::show))
        .route("/events", get(events::listen))
        .route("/login", get(login::show).post(login::enter))
        .route("/logout", post(login::leave))
        .route("/language/{to}", get(login::language))
        .route("/assets/{file}", get(assets::give))
        .fallback(nothing)
}

/// The 404 response: a page for people, JSON for programs.
async fn nothing(State(site): State<AppState>, guest: Guest, request: Request) -> Response {
    let problem = ApiError::not_found("there is nothing here");
    let accepts = request.headers().get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        return guest.refuse(&site, &problem);
    }
    problem.into_response()
}
