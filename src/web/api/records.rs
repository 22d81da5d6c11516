//! `/log`, `/quotas`, `/activity`: read-only records.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiQuery, from, within};
use crate::control::{ActivityView, AppView};
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::log_filter::LogFilter;
use crate::web::{AppState, LogLineView};

/// The default quota of `/activity`.
const GROUP_MESSAGES: &str = "group messages";

/// The maximum and the default number of log lines.
const MOST_LINES: u32 = 500;
const SOME_LINES: u32 = 100;

/// The number of hours for which activity is kept.
const MOST_HOURS: u32 = 24;

/// Which lines of the log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// The maximum number. Default 100.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Only lines before the one with this number. For the page before an answer, pass the number of its first line.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// Only lines of this level and of more severe ones.
    #[param(inline)]
    level: Option<LeastLevel>,
    /// Only lines about this job.
    job: Option<String>,
    /// Only lines about this script.
    script: Option<String>,
    /// Only lines about this broadcast: its number, NAME/RUN or NAME.
    broadcast: Option<String>,
    /// Only lines that contain this text; upper and lower case are the same.
    text: Option<String>,
    /// Only lines from this time on, such as `2026-06-01T08:00:00Z`.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Only lines up to this time.
    #[param(format = DateTime)]
    to: Option<String>,
}

/// A level of the log, the most severe first.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LeastLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The quota and the period.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActivityQuery {
    /// The name of the quota, as in `/quotas`. Default `group messages`.
    quota: Option<String>,
    /// The number of past hours. Default 1.
    #[param(minimum = 1, maximum = 24)]
    hours: Option<u32>,
}

/// Returns the newest lines of the daemon's log that match, the oldest of them first. The log of a host has what this host
/// logged, also before its last start.
#[utoipa::path(get, path = "/log", operation_id = "show_log", params(LogQuery), responses(
    (status = 200, description = "The lines", body = [LogLineView]),
    (status = 400, description = "A parameter is invalid", body = ApiErrorBody),
))]
pub(super) async fn log(
    State(state): State<AppState>,
    ApiQuery(lines): ApiQuery<LogQuery>,
) -> ApiResult<Vec<LogLineView>> {
    let most = within("limit", lines.limit, MOST_LINES, SOME_LINES)?;
    let before = from("before", lines.before, 1)?.and_then(|before| u64::try_from(before).ok());
    let filter = LogFilter {
        level: lines.level.map(|level| level as usize),
        job: lines.job,
        script: lines.script,
        broadcast: lines.broadcast.into_iter().collect(),
        text: lines.text.map(|text| text.to_lowercase()),
        from: parse_time("from", lines.from)?,
        to: parse_time("to", lines.to)?,
        ..LogFilter::default()
    };
    let mut found = state.search_log(filter, before, most as usize).await?;
    found.reverse();
    Ok(Json(found))
}

/// A time as the lines have it.
fn parse_time(name: &str, time: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(time) = time else { return Ok(None) };
    let read = time.parse::<jiff::Timestamp>().ok();
    let read = read.and_then(|at| jiff::Timestamp::from_second(at.as_second()).ok());
    read.map(|at| Some(at.to_string())).ok_or_else(|| {
        let why =
            format!("`{name}` is `{}`; it must be a time such as 2026-06-01T08:00:00Z", time.escape_debug());
        ApiError::new(StatusCode::BAD_REQUEST, why)
    })
}

/// Lists the apps with their quotas and the waiting calls, the default app first.
#[utoipa::path(get, path = "/quotas", operation_id = "list_quotas", responses((status = 200, description = "The apps", body = [AppView])))]
pub(super) async fn quotas(State(state): State<AppState>) -> ApiResult<Vec<AppView>> {
    Ok(Json(state.apps()))
}

/// Returns how much of a quota all processes and all apps used, in spans of ten seconds, the oldest first. Spans
/// without sends are left out.
#[utoipa::path(get, path = "/activity", operation_id = "show_activity", params(ActivityQuery), responses(
    (status = 200, description = "The time spans", body = [ActivityView]),
    (status = 400, description = "A parameter is invalid", body = ApiErrorBody),
    (status = 404, description = "The quota does not exist", body = ApiErrorBody),
))]
pub(super) async fn activity(
    State(state): State<AppState>,
    ApiQuery(span): ApiQuery<ActivityQuery>,
) -> ApiResult<Vec<ActivityView>> {
    let hours = within("hours", span.hours, MOST_HOURS, 1)?;
    let quota = span.quota.as_deref().unwrap_or(GROUP_MESSAGES);
    let known: Vec<String> =
        state.apps().into_iter().flat_map(|app| app.quotas).map(|quota| quota.name).collect();
    if !known.iter().any(|known| known == quota) {
        let known: std::collections::BTreeSet<_> = known.into_iter().collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(ApiError::not_found(format!("there is no quota `{quota}`; the quotas are {known}")));
    }
    let since = state.clock.unix_time().saturating_sub(std::time::Duration::from_hours(hours.into()));
    let found = state.ledger.activity(None, quota, since).await?;
    Ok(Json(found.into_iter().map(ActivityView::from).collect()))
}
