//! `/broadcasts`: lists broadcasts and applies actions to them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiPath, ApiQuery, cut, from, within};
use crate::control::{ActionResult, BroadcastAction};
use crate::control::{BroadcastView, standing};
use crate::core::BroadcastStatus;
use crate::ledger::{Broadcast, BroadcastFilter, BroadcastId};
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::{Operator, Viewer};

/// The maximum and the default number of broadcasts on a page.
const MOST: u32 = 1000;
const SOME: u32 = 100;

/// Which broadcasts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BroadcastListQuery {
    /// Only those that stand like this.
    #[param(inline)]
    state: Option<BroadcastStateFilter>,
    /// Only those of this name.
    name: Option<String>,
    /// Only those that were made before this one: the `before` of a page is the next one's.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// At the most so many. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// How a broadcast stands: one of its states, or several of them.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BroadcastStateFilter {
    /// Something of it is left to send.
    Unfinished,
    /// Nothing of it is left to send.
    Over,
    Building,
    Ready,
    /// It may be sent, and no process drives it.
    Interrupted,
    Paused,
    Cancelling,
    Finished,
    Cancelled,
}

impl BroadcastStateFilter {
    fn filter(self) -> BroadcastFilter {
        let state = match self {
            Self::Unfinished => return BroadcastFilter { unfinished: true, ..BroadcastFilter::default() },
            Self::Over => return BroadcastFilter { finished: true, ..BroadcastFilter::default() },
            Self::Building => BroadcastStatus::Building,
            Self::Ready => BroadcastStatus::Ready,
            Self::Interrupted => BroadcastStatus::Interrupted,
            Self::Paused => BroadcastStatus::Paused,
            Self::Cancelling => BroadcastStatus::Cancelling,
            Self::Finished => BroadcastStatus::Finished,
            Self::Cancelled => BroadcastStatus::Cancelled,
        };
        BroadcastFilter { state: Some(state), ..BroadcastFilter::default() }
    }
}

/// A page of broadcasts, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BroadcastPage {
    broadcasts: Vec<BroadcastView>,
    /// What to ask for as `before` to have those that come next; none where there are no more.
    before: Option<i64>,
}

/// A broadcast, and what can be done with it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BroadcastDetail {
    broadcast: BroadcastView,
    /// What makes sense now.
    acts: Vec<BroadcastAction>,
    /// Messages that were recalled.
    recalled: u64,
    /// Messages that the service would not recall.
    recall_refused: u64,
}

/// Broadcasts, the newest first.
#[utoipa::path(get, path = "/broadcasts", operation_id = "list_broadcasts", params(BroadcastListQuery), responses(
    (status = 200, description = "A page of them", body = BroadcastPage),
    (status = 400, description = "A parameter is not right", body = ApiErrorBody),
))]
pub(super) async fn list(
    State(site): State<AppState>,
    _: Viewer,
    ApiQuery(which): ApiQuery<BroadcastListQuery>,
) -> ApiResult<BroadcastPage> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let filter = BroadcastFilter {
        name: which.name,
        before: from("before", which.before, 1)?.map(BroadcastId),
        limit: u64::from(limit) + 1,
        ..which.state.map(BroadcastStateFilter::filter).unwrap_or_default()
    };
    let mut found = site.ledger.list(&filter).await?;
    let before = cut(&mut found, limit, |last| last.id.0);
    Ok(Json(BroadcastPage { broadcasts: views(&site, found).await?, before }))
}

/// A broadcast as it stands.
#[utoipa::path(get, path = "/broadcasts/{id}", operation_id = "show_broadcast", params(("id" = i64, Path, description = "Its number")), responses(
    (status = 200, description = "How it stands", body = BroadcastDetail),
    (status = 400, description = "This is no number", body = ApiErrorBody),
    (status = 404, description = "There is no such broadcast", body = ApiErrorBody),
))]
pub(super) async fn show(
    State(site): State<AppState>,
    _: Viewer,
    ApiPath(id): ApiPath<i64>,
) -> ApiResult<BroadcastDetail> {
    let found = site.ledger.show(BroadcastId(id)).await?;
    let recalled = site.ledger.recalled(found.id).await?;
    let broadcast = views(&site, vec![found]).await?.pop();
    let broadcast = broadcast.ok_or_else(|| ApiError::not_found("the broadcast is gone"))?;
    let acts = BroadcastAction::sensible(&broadcast);
    Ok(Json(BroadcastDetail { broadcast, acts, recalled: recalled.done, recall_refused: recalled.refused }))
}

/// Does something with a broadcast. A recall that takes long goes on after its answer.
#[utoipa::path(post, path = "/broadcasts/{id}/{act}", operation_id = "act_on_broadcast", params(
    ("id" = i64, Path, description = "Its number"),
    ("act" = inline(BroadcastAction), Path, description = "What to do"),
), responses(
    (status = 200, description = "What was done", body = ActionResult),
    (status = 400, description = "This is no number, or nothing that can be done", body = ApiErrorBody),
    (status = 404, description = "There is no such broadcast", body = ApiErrorBody),
    (status = 409, description = "That cannot be done as it stands", body = ApiErrorBody),
))]
pub(super) async fn act(
    State(site): State<AppState>,
    _: Operator,
    ApiPath((id, act)): ApiPath<(i64, BroadcastAction)>,
) -> ApiResult<ActionResult> {
    site.act_on_broadcast(BroadcastId(id), act).await.map(Json)
}

/// The views of these broadcasts, with the status that their drivers reported to the ledger.
async fn views(site: &AppState, found: Vec<Broadcast>) -> Result<Vec<BroadcastView>, ApiError> {
    Ok(standing(&site.ledger, &found, site.clock.unix_time()).await?)
}
