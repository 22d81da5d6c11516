//! `GET /log`: the newest lines of the log, the newest first.

use axum::extract::{Query, State};
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::web::AppState;

use super::visitor::Visitor;

/// The parts that are updated live.
pub(super) const PARTS: &[&str] = &["lines"];

/// The number of lines, all that the log tail keeps.
const MOST: usize = 500;

/// Which lines to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LogLevelFilter {
    #[default]
    All,
    Warn,
    Error,
}

/// The query: which lines to show.
#[derive(Debug, Deserialize)]
pub(super) struct LogPageQuery {
    #[serde(default)]
    only: LogLevelFilter,
}

pub(super) async fn show(
    State(site): State<AppState>,
    visitor: Visitor,
    Query(which): Query<LogPageQuery>,
) -> Response {
    visitor.answer(&site, "log.html", Ok(context(&site, &visitor, which.only)))
}

/// The context of the templates.
pub(super) fn context(site: &AppState, visitor: &Visitor, only: LogLevelFilter) -> Value {
    let name = only.name();
    let mut lines = site.log.newest(MOST);
    lines.retain(|line| only.shows(&line.level));
    lines.reverse();
    context! {
        live => true,
        events => format!("/events?log={name}"),
        only => name,
        lines => Serde(&lines),
        ..visitor.context(site)
    }
}

impl LogLevelFilter {
    const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    fn shows(self, level: &str) -> bool {
        match self {
            Self::All => true,
            Self::Warn => matches!(level, "warn" | "error"),
            Self::Error => level == "error",
        }
    }
}
