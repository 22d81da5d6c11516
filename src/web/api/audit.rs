//! `/audit`: who did what.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{ApiQuery, cut, from, within};
use crate::control::audit_csv;
use crate::ledger::{AuditEntry, AuditFilter};
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};

/// The maximum and the default number of entries on a page.
const MOST: u32 = 1000;
const SOME: u32 = 100;

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditListQuery {
    /// Only entries from this time on, such as `2026-06-01T08:00:00Z`.
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only entries of this actor.
    actor: Option<String>,
    /// Only entries with a smaller number. To get the next page, pass the `before` of the current page.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// The maximum number. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// The format. Default JSON. `mooncast audit --csv` exports all pages.
    #[param(inline)]
    format: Option<AuditFormat>,
}

/// A format of the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AuditFormat {
    #[default]
    Json,
    Csv,
}

/// A page of the audit, the newest entry first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditPage {
    entries: Vec<AuditEntry>,
    /// The `before` of the next page. Absent on the last page.
    before: Option<i64>,
}

/// Lists the audit, the newest entry first.
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", params(AuditListQuery), responses(
    (status = 200, description = "One page of the audit", content((AuditPage = "application/json"), (String = "text/csv"))),
    (status = 400, description = "A parameter is invalid", body = ApiErrorBody),
))]
pub(super) async fn list(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<AuditListQuery>,
) -> Result<Response, ApiError> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let since = which.since.as_deref().map(parse_time).transpose()?;
    let before = from("before", which.before, 1)?;
    let filter = AuditFilter { since, actor: which.actor, before, after: None };
    let mut entries = state.ledger.audit(&filter, limit + 1).await?;
    let before = cut(&mut entries, limit, |last| last.number);
    if which.format == Some(AuditFormat::Csv) {
        let name = "attachment; filename=\"audit.csv\"";
        let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8"), (CONTENT_DISPOSITION, name)];
        return Ok((headers, audit_csv(&entries, true)).into_response());
    }
    Ok(Json(AuditPage { entries, before }).into_response())
}

/// Reads a time. One before 1970 is before all entries.
fn parse_time(text: &str) -> Result<Duration, ApiError> {
    let time: Option<jiff::Timestamp> = text.parse().ok();
    let time = time.ok_or_else(|| {
        let shown = text.escape_debug();
        let why = format!("`since` must be a time such as `2026-06-01T08:00:00Z`, not `{shown}`");
        ApiError::new(StatusCode::BAD_REQUEST, why)
    })?;
    Ok(time.as_duration().try_into().unwrap_or_default())
}
