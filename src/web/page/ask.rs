//! Actions on the page. The page first asks for confirmation, with numbers; then it applies the action and shows
//! the result.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;

use crate::control::{
    ActionResult, BroadcastAction, JobAction, JobView, SendAction, amount, find_job, find_send,
};
use crate::delivery::RecallOptions;
use crate::ledger::{BroadcastId, RecipientState};
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::{ApiPath, ApiQuery, PageForm};

use super::job::JobPageQuery;
use super::page_context::PageContext;
use super::{broadcast, format, notice};

/// What the question about a broadcast asks for besides yes.
#[derive(Debug, Deserialize)]
pub(super) struct BroadcastActionForm {
    /// Of a recall: whether files that other messages use may be deleted.
    #[serde(default)]
    with_attachments: bool,
}

/// `GET /broadcasts/{id}/{act}`
pub(super) async fn of_broadcast(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath((id, act)): ApiPath<(i64, BroadcastAction)>,
) -> Response {
    let asks = async {
        let view = broadcast::look(&state, BroadcastId(id)).await?;
        let attachments = match act {
            BroadcastAction::Recall => state.ledger.attachments(BroadcastId(id)).await?,
            _ => Vec::new(),
        };
        Ok(context! {
            attachments => Serde(&attachments),
            about => "broadcast",
            act => Serde(act),
            sensible => BroadcastAction::sensible(&view).contains(&act),
            broadcast => Serde(&view),
            back => format!("/broadcasts/{id}"),
            action => format!("/broadcasts/{id}/{}", name(act)),
            ..page_context.context(&state)
        })
    };
    page_context.answer(&state, page_context.asking(), asks.await)
}

/// `POST /broadcasts/{id}/{act}`
pub(super) async fn do_to_broadcast(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath((id, act)): ApiPath<(i64, BroadcastAction)>,
    PageForm(wanted): PageForm<BroadcastActionForm>,
) -> Response {
    let does = async {
        let view = state.ledger.show(BroadcastId(id)).await?;
        let recall = RecallOptions { with_attachments: wanted.with_attachments, ..RecallOptions::default() };
        let done = state.act_on_broadcast(page_context.caller(), BroadcastId(id), act, recall).await?;
        let what = format!("done_{}", name(act));
        Ok(result_message(&page_context, &what, &view.full_name(), &done))
    };
    page_context.done(&state, &format!("/broadcasts/{id}"), does.await)
}

/// `GET /sends/{id}/{act}`
pub(super) async fn of_send(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath((id, act)): ApiPath<(i64, SendAction)>,
) -> Response {
    let asks = async {
        let send = find_send(&state.ledger, id).await?;
        Ok(context! {
            about => "send",
            act => Serde(act),
            sensible => send.state == RecipientState::InDoubt,
            send => Serde(&send),
            back => "/",
            action => format!("/sends/{id}/{}", name(act)),
            ..page_context.context(&state)
        })
    };
    page_context.answer(&state, page_context.asking(), asks.await)
}

/// `POST /sends/{id}/{act}`
pub(super) async fn do_to_send(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath((id, act)): ApiPath<(i64, SendAction)>,
) -> Response {
    let does = async {
        let what = if find_send(&state.ledger, id).await?.request.is_some() { "call" } else { "send" };
        let done = state.act_on_send(page_context.caller(), id, act).await?;
        Ok(result_message(&page_context, &format!("done_{what}_{}", name(act)), &id.to_string(), &done))
    };
    page_context.done(&state, "/", does.await)
}

/// `GET /job/{act}?name=…`
pub(super) async fn of_job(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(act): ApiPath<JobAction>,
    ApiQuery(which): ApiQuery<JobPageQuery>,
) -> Response {
    let asks = async {
        let job = JobView::from(&find_job(&state.ledger, &which.name).await?);
        let runs = state.ledger.job_runs(Some(&which.name), 100).await?;
        let open = runs.iter().filter(|run| run.finished_at.is_none() && run.command_line.is_none()).count();
        let query = format::in_query(&which.name);
        Ok(context! {
            about => "job",
            act => Serde(act),
            sensible => true,
            job => Serde(&job),
            open => open,
            back => format!("/job?name={query}"),
            action => format!("/job/{}?name={query}", name(act)),
            ..page_context.context(&state)
        })
    };
    page_context.answer(&state, page_context.asking(), asks.await)
}

/// `POST /job/{act}?name=…`
pub(super) async fn do_to_job(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiPath(act): ApiPath<JobAction>,
    ApiQuery(which): ApiQuery<JobPageQuery>,
) -> Response {
    let does = async {
        let done = state.act_on_job(page_context.caller(), &which.name, act).await?;
        let nothing = act == JobAction::Cancel && done.count == Some(0);
        let what =
            if nothing { "done_job_cancel_none".to_owned() } else { format!("done_job_{}", name(act)) };
        Ok(result_message(&page_context, &what, &which.name, &done))
    };
    page_context.done(&state, &format!("/job?name={}", format::in_query(&which.name)), does.await)
}

impl PageContext {
    pub(super) fn asking(&self) -> &'static str {
        if self.part { "part/ask.html" } else { "ask.html" }
    }

    /// Reports the result: directly to the page's script, to others through a redirect back to the page.
    pub(super) fn done(&self, state: &AppState, back: &str, came: Result<String, ApiError>) -> Response {
        let done = match came {
            Ok(done) => done,
            Err(problem) => return self.refuse(state, &problem),
        };
        if self.part {
            let context = context! { done, ..self.context(state) };
            return self.answer(state, "part/notice.html", Ok(context));
        }
        let mut answer = Redirect::to(back).into_response();
        if let Some(notice) = notice::keep(&done) {
            answer.headers_mut().append(header::SET_COOKIE, notice);
        }
        answer
    }
}

/// What was done, in the reader's language.
pub(super) fn result_message(
    page_context: &PageContext,
    what: &str,
    name: &str,
    done: &ActionResult,
) -> String {
    // A long recall continues after the response, so it has no count.
    let what = if what == "done_recall" && done.count.is_none() { "done_recall_goes_on" } else { what };
    let n = amount(done.count.unwrap_or_default());
    let run = done.run.clone().unwrap_or_default();
    let values = [("name", name.to_owned()), ("n", n), ("run", run)];
    let mut said = page_context.language.say(what, &values).unwrap_or_else(|| done.message.clone());
    // Only the message says what a recall could not take back.
    if let Some((_, rest)) = done.message.split_once("; ").filter(|_| what == "done_recall") {
        said = format!("{said} ({rest})");
    }
    said
}

/// An action's name in addresses and texts.
fn name(act: impl serde::Serialize) -> String {
    serde_json::to_value(act).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
