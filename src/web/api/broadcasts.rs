//! `/broadcasts`: lists broadcasts and applies actions to them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiJson, ApiPath, ApiQuery, cut, from, within};
use crate::control::{ActionResult, BroadcastAction};
use crate::control::{BroadcastView, OutlookView, ReadersView, standing};
use crate::core::BroadcastStatus;
use crate::delivery::{EditPreview, RecallOptions};
use crate::ledger::{Broadcast, BroadcastFilter, BroadcastId};
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};
use crate::web::guard::Caller;

/// The maximum and the default number of broadcasts on a page.
const MOST: u32 = 1000;
const SOME: u32 = 100;

/// Which broadcasts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BroadcastListQuery {
    /// Only broadcasts in this state.
    #[param(inline)]
    state: Option<BroadcastStateFilter>,
    /// Only broadcasts with this name.
    name: Option<String>,
    /// Only broadcasts that were created before the one with this number. To get the next page, pass the `before` of
    /// the current page.
    #[param(minimum = 1)]
    before: Option<i64>,
    /// The maximum number. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A state of broadcasts, or a group of states.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BroadcastStateFilter {
    /// Something is left to send.
    Unfinished,
    /// Nothing is left to send.
    Over,
    Building,
    Ready,
    /// It could be sent, but no process sends it.
    Interrupted,
    /// Another person must approve it before anything is sent.
    AwaitingApproval,
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
            Self::AwaitingApproval => BroadcastStatus::AwaitingApproval,
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
    /// The `before` of the next page. Absent on the last page.
    before: Option<i64>,
}

/// A broadcast, and the actions that are possible now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BroadcastDetail {
    broadcast: BroadcastView,
    /// The actions that are possible now.
    acts: Vec<BroadcastAction>,
    /// The number of recalled messages.
    recalled: u64,
    /// The number of messages that the service refused to recall.
    recall_refused: u64,
    /// The readers, if receipts came.
    readers: Option<ReadersView>,
    /// What an approver looks at, if it waits for an approval.
    outlook: Option<OutlookView>,
}

/// Lists broadcasts, the newest first.
#[utoipa::path(get, path = "/broadcasts", operation_id = "list_broadcasts", params(BroadcastListQuery), responses(
    (status = 200, description = "One page of the list", body = BroadcastPage),
    (status = 400, description = "A parameter is invalid", body = ApiErrorBody),
))]
pub(super) async fn list(
    State(state): State<AppState>,
    ApiQuery(which): ApiQuery<BroadcastListQuery>,
) -> ApiResult<BroadcastPage> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let filter = BroadcastFilter {
        name: which.name,
        before: from("before", which.before, 1)?.map(BroadcastId),
        limit: u64::from(limit) + 1,
        ..which.state.map(BroadcastStateFilter::filter).unwrap_or_default()
    };
    let mut found = state.ledger.list(&filter).await?;
    let before = cut(&mut found, limit, |last| last.id.0);
    Ok(Json(BroadcastPage { broadcasts: views(&state, found).await?, before }))
}

/// A broadcast and its current state.
#[utoipa::path(get, path = "/broadcasts/{id}", operation_id = "show_broadcast", params(("id" = i64, Path, description = "The number")), responses(
    (status = 200, description = "Its current state", body = BroadcastDetail),
    (status = 400, description = "The path does not contain a number", body = ApiErrorBody),
    (status = 404, description = "The broadcast does not exist", body = ApiErrorBody),
))]
pub(super) async fn show(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<i64>,
) -> ApiResult<BroadcastDetail> {
    let found = state.ledger.show(BroadcastId(id)).await?;
    let recalled = state.ledger.recalled(found.id).await?;
    let readers = ReadersView::read(&state.ledger, &found, state.clock.unix_time()).await?;
    let outlook = state.outlook(&found).await?;
    let broadcast = views(&state, vec![found]).await?.pop();
    let broadcast = broadcast.ok_or_else(|| ApiError::not_found("the broadcast no longer exists"))?;
    let acts = BroadcastAction::sensible(&broadcast);
    Ok(Json(BroadcastDetail {
        broadcast,
        acts,
        recalled: recalled.done,
        recall_refused: recalled.refused,
        readers,
        outlook,
    }))
}

/// How messages are recalled.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecallQuery {
    /// Of a recall: a text for the members' clients.
    note: Option<String>,
    /// Of a recall: whether it goes on if it deletes files that other messages use. Default false.
    with_attachments: Option<bool>,
}

/// The edit of the messages of a broadcast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EditRequest {
    /// The new text of text messages.
    text: Option<String>,
    /// Fields that are merged into the `ext` of each message.
    ext: Option<Map<String, Value>>,
    /// The user who edits. Default: the service's default.
    from: Option<String>,
    /// Whether only to say what would be edited. Default false.
    #[serde(default)]
    rehearse: bool,
}

/// What an edit does.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EditResult {
    /// What it edits, and what it cannot edit.
    preview: EditPreview,
    /// The broadcast that edits the messages. Absent from a rehearsal.
    done: Option<ActionResult>,
}

/// Edits the sent messages of a broadcast, all alike. The edits are a broadcast of their own.
#[utoipa::path(post, path = "/broadcasts/{id}/edit", operation_id = "edit_broadcast", request_body = EditRequest,
    params(("id" = i64, Path, description = "The number")), responses(
    (status = 200, description = "What is edited", body = EditResult),
    (status = 400, description = "The number or the body is invalid", body = ApiErrorBody),
    (status = 404, description = "The broadcast does not exist", body = ApiErrorBody),
    (status = 409, description = "The messages cannot be edited in this way or in the current state", body = ApiErrorBody),
    (status = 415, description = "The body is not JSON", body = ApiErrorBody),
))]
pub(super) async fn edit(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<i64>,
    ApiJson(request): ApiJson<EditRequest>,
) -> ApiResult<EditResult> {
    let mut change = Map::new();
    if let Some(text) = request.text {
        change.insert("body".to_owned(), json!({ "msg": text }));
    }
    if let Some(ext) = request.ext {
        change.insert("ext".to_owned(), ext.into());
    }
    let change = Value::from(change);
    let preview = state.preview_edit(BroadcastId(id), change.clone()).await?;
    let done = if request.rehearse {
        None
    } else {
        Some(state.edit(&caller, BroadcastId(id), change, request.from).await?)
    };
    Ok(Json(EditResult { preview, done }))
}

/// Applies an action to a broadcast. A long recall continues after the response.
#[utoipa::path(post, path = "/broadcasts/{id}/{act}", operation_id = "act_on_broadcast", params(
    ("id" = i64, Path, description = "The number"),
    ("act" = inline(BroadcastAction), Path, description = "The action"),
    RecallQuery,
), responses(
    (status = 200, description = "The result of the action", body = ActionResult),
    (status = 400, description = "The number or the action is invalid", body = ApiErrorBody),
    (status = 404, description = "The broadcast does not exist", body = ApiErrorBody),
    (status = 409, description = "The action is not possible in the current state", body = ApiErrorBody),
))]
pub(super) async fn act(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath((id, act)): ApiPath<(i64, BroadcastAction)>,
    ApiQuery(recall): ApiQuery<RecallQuery>,
) -> ApiResult<ActionResult> {
    let options = RecallOptions {
        note: recall.note,
        with_attachments: recall.with_attachments.unwrap_or(false),
        ..RecallOptions::default()
    };
    state.act_on_broadcast(&caller, BroadcastId(id), act, options).await.map(Json)
}

/// The views of these broadcasts, with the status that their drivers reported to the ledger.
async fn views(state: &AppState, found: Vec<Broadcast>) -> Result<Vec<BroadcastView>, ApiError> {
    Ok(standing(&state.ledger, &found, state.clock.unix_time()).await?)
}
