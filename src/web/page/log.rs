//! `GET /log`: the newest lines of the log, the newest first.

use axum::extract::{Query, State};
use axum::response::Response;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::web::Site;

use super::visitor::Visitor;

/// The parts that change by themselves.
pub(super) const PARTS: &[&str] = &["lines"];

/// All that are kept.
const MOST: usize = 500;

/// Which lines are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Only {
    #[default]
    All,
    Warn,
    Error,
}

/// The query.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    only: Only,
}

/// `GET /log`
pub(super) async fn show(State(site): State<Site>, visitor: Visitor, Query(which): Query<Which>) -> Response {
    visitor.answer(&site, "log.html", Ok(context(&site, &visitor, which.only)))
}

/// What the templates are given.
pub(super) fn context(site: &Site, visitor: &Visitor, only: Only) -> Value {
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

impl Only {
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
