//! `/log`, `/quotas`, `/activity`: read-only records.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ApiResult;
use super::extract::{ApiQuery, within};
use crate::control::{ActivityView, AppView};
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::Viewer;
use crate::web::{AppState, LogLineView};

/// The default quota of `/activity`.
const GROUP_MESSAGES: &str = "group messages";

/// The maximum and the default number of log lines.
const MOST_LINES: u32 = 500;
const SOME_LINES: u32 = 100;

/// The number of hours for which activity is kept.
const MOST_HOURS: u32 = 24;

/// How many lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// At the most so many. Default 100.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Of what, and since when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActivityQuery {
    /// The quota, as `/quotas` names it. Default `group messages`.
    quota: Option<String>,
    /// How far back. Default 1.
    #[param(minimum = 1, maximum = 24)]
    hours: Option<u32>,
}

/// The newest lines of the daemon's log, the oldest first.
#[utoipa::path(get, path = "/log", operation_id = "show_log", params(LogQuery), responses(
    (status = 200, description = "The lines", body = [LogLineView]),
    (status = 400, description = "The parameter is not right", body = ApiErrorBody),
))]
pub(super) async fn log(
    State(site): State<AppState>,
    _: Viewer,
    ApiQuery(lines): ApiQuery<LogQuery>,
) -> ApiResult<Vec<LogLineView>> {
    let most = within("limit", lines.limit, MOST_LINES, SOME_LINES)?;
    Ok(Json(site.log.newest(most as usize)))
}

/// The apps with their quotas, and who waits for them; the default app first.
#[utoipa::path(get, path = "/quotas", operation_id = "list_quotas", responses((status = 200, description = "The apps", body = [AppView])))]
pub(super) async fn quotas(State(site): State<AppState>, _: Viewer) -> ApiResult<Vec<AppView>> {
    Ok(Json(site.apps()))
}

/// What was sent of a quota lately, by ten seconds, the oldest first, by all processes and of all apps. Spans in which
/// nothing was sent are left out.
#[utoipa::path(get, path = "/activity", operation_id = "show_activity", params(ActivityQuery), responses(
    (status = 200, description = "The spans", body = [ActivityView]),
    (status = 400, description = "A parameter is not right", body = ApiErrorBody),
    (status = 404, description = "There is no such quota", body = ApiErrorBody),
))]
pub(super) async fn activity(
    State(site): State<AppState>,
    _: Viewer,
    ApiQuery(span): ApiQuery<ActivityQuery>,
) -> ApiResult<Vec<ActivityView>> {
    let hours = within("hours", span.hours, MOST_HOURS, 1)?;
    let quota = span.quota.as_deref().unwrap_or(GROUP_MESSAGES);
    let known: Vec<String> =
        site.apps().into_iter().flat_map(|app| app.quotas).map(|quota| quota.name).collect();
    if !known.iter().any(|known| known == quota) {
        let known: std::collections::BTreeSet<_> = known.into_iter().collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(ApiError::not_found(format!("there is no quota `{quota}`; there is {known}")));
    }
    let since = site.clock.unix_time().saturating_sub(std::time::Duration::from_hours(hours.into()));
    let found = site.ledger.activity(None, quota, since).await?;
    Ok(Json(found.into_iter().map(ActivityView::from).collect()))
}
