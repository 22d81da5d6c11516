//! `/sends`: lists single sends, and settles those in doubt.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiPath, ApiQuery, cut, from, within};
use crate::control::SendView;
use crate::control::{ActionResult, SendAction};
use crate::ledger::{DeliveryState as Settled, SendFilter};
use crate::web::AppState;
use crate::web::answer::ApiErrorBody;
use crate::web::guard::{Operator, Viewer};

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
    /// Only those with a number below: the `before` of a page is the next one's.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// At the most so many. Default 100.
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
    /// What to ask for as `before` to have those that come next; none where there are no more.
    before: Option<i64>,
}

/// Single sends, the newest first.
#[utoipa::path(get, path = "/sends", operation_id = "list_sends", params(SendListQuery), responses(
    (status = 200, description = "A page of them", body = SendPage),
    (status = 400, description = "A parameter is not right", body = ApiErrorBody),
))]
pub(super) async fn list(
    State(site): State<AppState>,
    _: Viewer,
    ApiQuery(which): ApiQuery<SendListQuery>,
) -> ApiResult<SendPage> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let before = from("before", which.before, 1)?;
    // First marks what dead processes had in flight as in doubt.
    site.ledger.reap_dead().await?;
    let mut found = if which.state == Some(SendStateFilter::InDoubt) {
        site.ledger.sends_in_doubt(before, limit + 1).await?
    } else {
        let filter = SendFilter { state: which.state.map(Settled::from), before, ..SendFilter::default() };
        site.ledger.sends(filter, limit + 1).await?
    };
    let before = cut(&mut found, limit, |last| last.id);
    Ok(Json(SendPage { sends: found.iter().map(SendView::from).collect(), before }))
}

/// Settles a single send that is in doubt.
#[utoipa::path(post, path = "/sends/{id}/{act}", operation_id = "act_on_send", params(
    ("id" = i64, Path, description = "Its number"),
    ("act" = inline(SendAction), Path, description = "What to do"),
), responses(
    (status = 200, description = "What was done", body = ActionResult),
    (status = 400, description = "This is no number, or nothing that can be done", body = ApiErrorBody),
    (status = 404, description = "There is no such single send", body = ApiErrorBody),
    (status = 409, description = "It is not in doubt", body = ApiErrorBody),
))]
pub(super) async fn act(
    State(site): State<AppState>,
    _: Operator,
    ApiPath((id, act)): ApiPath<(i64, SendAction)>,
) -> ApiResult<ActionResult> {
    site.act_on_send(id, act).await.map(Json)
}
