//! `/broadcasts/{id}/recipients` and `/broadcasts/{id}/export`: the recipients of a broadcast and their states.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use utoipa::{IntoParams, ToSchema};

use super::ApiResult;
use super::extract::{ApiPath, ApiQuery, cut, from, within};
use crate::control::{ExportError, ExportFormat, ExportOptions, RecipientView, TextExport, workbook};
use crate::ledger::{BroadcastId, ExportPages, LedgerError, RecipientState};
use crate::web::AppState;
use crate::web::answer::{ApiError, ApiErrorBody};

/// The maximum and the default number of recipients on a page.
const MOST: u32 = 1000;
const SOME: u32 = 100;

/// The size of the chunks in which a file is read, in bytes.
const PIECE: usize = 64 << 10;

/// Which recipients.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecipientListQuery {
    /// Only those in this state.
    #[param(inline)]
    state: Option<RecipientState>,
    /// Only recipients after this one in the plan. To get the next page, pass the `after` of the current page.
    #[param(minimum = 0)]
    after: Option<i64>,
    /// The maximum number. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// What to export, and how.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// Only those in this state.
    #[param(inline)]
    state: Option<RecipientState>,
    /// The file format. Default `csv`.
    #[param(inline)]
    format: Option<ExportFormat>,
    /// CSV for programs: without a byte order mark, and without an apostrophe before cells that a spreadsheet would
    /// read as a formula. Default false.
    plain: Option<bool>,
}

/// A page of recipients, in the plan's order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecipientPage {
    recipients: Vec<RecipientView>,
    /// The `after` of the next page. Absent on the last page.
    after: Option<i64>,
}

/// Lists the recipients of a broadcast in the plan's order.
#[utoipa::path(get, path = "/broadcasts/{id}/recipients", operation_id = "list_recipients",
    params(("id" = i64, Path, description = "The broadcast's number"), RecipientListQuery), responses(
    (status = 200, description = "One page of the list", body = RecipientPage),
    (status = 400, description = "The number or a parameter is invalid", body = ApiErrorBody),
    (status = 404, description = "The broadcast does not exist", body = ApiErrorBody),
))]
pub(super) async fn list(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<i64>,
    ApiQuery(which): ApiQuery<RecipientListQuery>,
) -> ApiResult<RecipientPage> {
    let limit = within("limit", which.limit, MOST, SOME)?;
    let after = from("after", which.after, 0)?.unwrap_or_default();
    let broadcast = state.ledger.show(BroadcastId(id)).await?;
    let (id, call) = (broadcast.id, broadcast.spec.recipients());
    let recipient_state = which.state;
    let mut found = state.ledger.recipients(id, recipient_state, after, limit + 1).await?;
    let after = cut(&mut found, limit, |last| last.seq);
    let view = |recipient| RecipientView::of(recipient, call);
    Ok(Json(RecipientPage { recipients: found.into_iter().map(view).collect(), after }))
}

/// Returns the recipients of a broadcast as a file, as `mooncast runs export` writes it.
#[utoipa::path(get, path = "/broadcasts/{id}/export", operation_id = "export_recipients",
    params(("id" = i64, Path, description = "The broadcast's number"), ExportQuery), responses(
    (status = 200, description = "The recipients", content(
        (String = "text/csv"), (Vec<serde_json::Value> = "application/json"), (String = "application/jsonl"),
        (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"))),
    (status = 400, description = "The number or a parameter is invalid", body = ApiErrorBody),
    (status = 404, description = "The broadcast does not exist", body = ApiErrorBody),
))]
pub(super) async fn export(
    State(state): State<AppState>,
    ApiPath(id): ApiPath<i64>,
    ApiQuery(wanted): ApiQuery<ExportQuery>,
) -> Result<Response, ApiError> {
    let id = state.ledger.show(BroadcastId(id)).await?.id;
    let options = ExportOptions {
        form: wanted.format.unwrap_or_default(),
        plain: wanted.plain.unwrap_or_default(),
        states: wanted.state.into_iter().collect(),
    };
    let form = options.form;
    let pages = state.ledger.export_pages(id, &options.states).await?;
    let body = if form == ExportFormat::Xlsx { sheet(pages).await? } else { text(&options, pages) };
    let name = format!("attachment; filename=\"broadcast-{id}.{}\"", form.ending());
    let headers = [(CONTENT_TYPE, form.media_type().to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

/// A text export as a body. Each page is read after the one before it was written to the client.
fn text(options: &ExportOptions, pages: ExportPages) -> Body {
    let text = TextExport::new(options, &pages);
    let head = stream::iter([Ok::<_, LedgerError>(text.head())]);
    let rest = stream::try_unfold(Some((text, pages)), async |going| {
        let Some((mut text, mut pages)) = going else { return Ok(None) };
        Ok::<_, LedgerError>(match pages.next().await? {
            Some(page) => Some((text.page(&page), Some((text, pages)))),
            None => Some((text.tail().to_owned(), None)),
        })
    });
    Body::from_stream(stream::StreamExt::chain(head, rest))
}

/// A workbook as a body. It is written to a temporary file first, because its beginning is known last.
async fn sheet(pages: ExportPages) -> Result<Body, ApiError> {
    let file = workbook(pages).await.map_err(|error| match error {
        ExportError::Ledger(error) => ApiError::from(error),
        other => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, other.to_string()),
    })?;
    let file = tokio::fs::File::from_std(file);
    let pieces = stream::try_unfold(file, async |mut file| {
        let mut piece = vec![0; PIECE];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok::<_, std::io::Error>((length > 0).then_some((piece, file)))
    });
    Ok(Body::from_stream(pieces))
}
