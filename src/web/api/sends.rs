//! `/sends`: lists single sends, and settles those in doubt.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiPath, ApiQuery, cut, from, within};
use crate::control::{ActionResult, SendAction, SendView, send_views};
use crate::ledger::{RecipientState as Settled, SendFilter};
use crate::web::AppState;
use crate::web::answer::ApiErrorBody;
use crate::web::guard::Caller;

/// The maximum and the default number of sends on a page.
const MOST: u32 = 1000;
const SOME: u32 = 100;

/// Which single sends.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SendListQuery {
    /// Only those in this state.
    #[param(inline)]
    state: Option<SendStateFilter>,
    /// Only sends with a smaller number. To get the next page, pass the `before` of the current page.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// The maximum number. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A state of single sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SendStateFilter {
    Pending,
    Sending,
    Sent,
    Rejected,
    InDoubt,
    Cancelled,
}

impl From<SendStateFilter> for Settled {
    fn from(state: SendStateFilter) -> Self {
        match state {
            SendStateFilter::Pending => Self::Pending,
            SendStateFilter::Sending => Self::Sending,
            SendStateFilter::Sent => Self::Sent,
            SendStateFilter::Rejected => Self::Rejected,
            SendStateFilter::InDoubt => Self::InDoubt,
            SendStateFilter::Cancelled => Self::Cancelled,
        }
    }
}

/// A page of single sends, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SendPage {
    sends: Vec<SendView>,
    /// The `before` of the next page. Absent on the last page.
    before: Option<i64>,
}

/// Lists single sends, the newest first.
#[utoipa::path(get, path = "/sends", operation_id = "list_sends", params(SendListQuery), responses(
    (status = 200, description = "One page of the list", body = SendPage),
    (status = 400, description = "A parameter is invalid", body = ApiErrorBody),
))]
pub(super) async fn list(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<SendListQuery>,
) -> ApiResult<SendPage> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let before = from("before", which.before, 1)?;
    // First marks what dead processes had in flight as in doubt.
    state.ledger.reap_dead().await?;
    let mut found = if which.state == Some(SendStateFilter::InDoubt) {
        state.ledger.sends_in_doubt(before, limit + 1).await?
    } else {
        let filter = SendFilter { state: which.state.map(Settled::from), before, ..SendFilter::default() };
        state.ledger.sends(filter, limit + 1).await?
    };
    let before = cut(&mut found, limit, |last| last.id);
    let sends = send_views(&state.ledger, &found, state.clock.unix_time()).await?;
    Ok(Json(SendPage { sends, before }))
}

/// Settles a single send that is in doubt.
#[utoipa::path(post, path = "/sends/{id}/{act}", operation_id = "act_on_send", params(
    ("id" = i64, Path, description = "The number"),
    ("act" = inline(SendAction), Path, description = "The action"),
), responses(
    (status = 200, description = "The result of the action", body = ActionResult),
    (status = 400, description = "The number or the action is invalid", body = ApiErrorBody),
    (status = 404, description = "The single send does not exist", body = ApiErrorBody),
    (status = 409, description = "The single send is not in doubt", body = ApiErrorBody),
))]
pub(super) async fn act(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((id, act)): ApiPath<(i64, SendAction)>,
) -> ApiResult<ActionResult> {
    state.act_on_send(&caller, id, act).await.map(Json)
}
