//! Actions on the page. The page first asks for confirmation, with numbers; then it applies the action and shows
//! the result.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use minijinja::context;
use minijinja::value::Serde;
use serde::Deserialize;

use crate::control::{
    ActionResult, BroadcastAction, JobAction, JobView, SendAction, amount, find_job, find_send,
};
use crate::ledger::BroadcastId;
use crate::schedule::runs_of;
use crate::web::AppState;
use crate::web::answer::ApiError;

use super::job::JobPageQuery;
use super::visitor::Visitor;
use super::{broadcast, format, notice};

/// `GET /broadcasts/{id}/{act}`
pub(super) async fn of_broadcast(
    State(site): State<AppState>,
    visitor: Visitor,
    Path((id, act)): Path<(i64, BroadcastAction)>,
) -> Response {
    let asks = async {
        visitor.operates()?;
        let view = broadcast::look(&site, BroadcastId(id)).await?;
        Ok(context! {
            about => "broadcast",
            act => Serde(act),
            sensible => BroadcastAction::sensible(&view).contains(&act),
            broadcast => Serde(&view),
            back => format!("/broadcasts/{id}"),
            action => format!("/broadcasts/{id}/{}", name(act)),
            ..visitor.context(&site)
        })
    };
    visitor.answer(&site, visitor.asking(), asks.await)
}

/// `POST /broadcasts/{id}/{act}`
pub(super) async fn do_to_broadcast(
    State(site): State<AppState>,
    visitor: Visitor,
    Path((id, act)): Path<(i64, BroadcastAction)>,
) -> Response {
    let does = async {
        visitor.operates()?;
        let view = site.ledger.show(BroadcastId(id)).await?;
        let done = site.act_on_broadcast(BroadcastId(id), act).await?;
        let what = format!("done_{}", name(act));
        Ok(told(&visitor, &what, &view.full_name(), &done))
    };
    visitor.done(&site, &format!("/broadcasts/{id}"), does.await)
}

/// `GET /sends/{id}/{act}`
pub(super) async fn of_send(
    State(site): State<AppState>,
    visitor: Visitor,
    Path((id, act)): Path<(i64, SendAction)>,
) -> Response {
    let asks = async {
        visitor.operates()?;
        let send = find_send(&site.ledger, id).await?;
        Ok(context! {
            about => "send",
            act => Serde(act),
            sensible => send.state == "in_doubt",
            send => Serde(&send),
            back => "/",
            action => format!("/sends/{id}/{}", name(act)),
            ..visitor.context(&site)
        })
    };
    visitor.answer(&site, visitor.asking(), asks.await)
}

/// `POST /sends/{id}/{act}`
pub(super) async fn do_to_send(
    State(site): State<AppState>,
    visitor: Visitor,
    Path((id, act)): Path<(i64, SendAction)>,
) -> Response {
    let does = async {
        visitor.operates()?;
        let done = site.act_on_send(id, act).await?;
        Ok(told(&visitor, &format!("done_send_{}", name(act)), &id.to_string(), &done))
    };
    visitor.done(&site, "/", does.await)
}

/// `GET /job/{act}?name=…`
pub(super) async fn of_job(
    State(site): State<AppState>,
    visitor: Visitor,
    Path(act): Path<JobAction>,
    Query(which): Query<JobPageQuery>,
) -> Response {
    let asks = async {
        visitor.operates()?;
        let job = JobView::from(&find_job(&site.ledger, &which.name).await?);
        let runs = site.ledger.job_runs(Some(&which.name), 100).await?;
        let open = runs.iter().filter(|run| run.finished_at.is_none()).count();
        let query = format::in_query(&which.name);
        Ok(context! {
            about => "job",
            act => Serde(act),
            sensible => true,
            job => Serde(&job),
            open => open,
            back => format!("/job?name={query}"),
            action => format!("/job/{}?name={query}", name(act)),
            ..visitor.context(&site)
        })
    };
    visitor.answer(&site, visitor.asking(), asks.await)
}

/// `POST /job/{act}?name=…`
pub(super) async fn do_to_job(
    State(site): State<AppState>,
    visitor: Visitor,
    Path(act): Path<JobAction>,
    Query(which): Query<JobPageQuery>,
) -> Response {
    let does = async {
        visitor.operates()?;
        let done = site.act_on_job(&which.name, act).await?;
        let nothing = act == JobAction::Cancel && done.count == Some(0);
        let what =
            if nothing { "done_job_cancel_none".to_owned() } else { format!("done_job_{}", name(act)) };
        Ok(told(&visitor, &what, &which.name, &done))
    };
    visitor.done(&site, &format!("/job?name={}", format::in_query(&which.name)), does.await)
}

/// The script to run and its arguments, one per line.
#[derive(Debug, Deserialize)]
pub(super) struct RunScriptForm {
    name: String,
    #[serde(default)]
    args: String,
}

/// `GET /script/run?name=…`
pub(super) async fn of_script(
    State(site): State<AppState>,
    visitor: Visitor,
    Query(which): Query<JobPageQuery>,
) -> Response {
    let asks = visitor.operates().map(|()| context! { script => which.name, ..visitor.context(&site) });
    let template = if visitor.part { "part/ask_script.html" } else { "ask_script.html" };
    visitor.answer(&site, template, asks)
}

/// `POST /script/run`
pub(super) async fn do_to_script(
    State(site): State<AppState>,
    visitor: Visitor,
    Form(wanted): Form<RunScriptForm>,
) -> Response {
    let does = async {
        visitor.operates()?;
        let args: Vec<String> =
            wanted.args.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
        let done = site.run_script(&wanted.name, &args).await?;
        Ok(told(&visitor, "done_script_run", &wanted.name, &done))
    };
    let runs = format::in_query(&runs_of(&wanted.name));
    visitor.done(&site, &format!("/job?name={runs}"), does.await)
}

impl Visitor {
    fn asking(&self) -> &'static str {
        if self.part { "part/ask.html" } else { "ask.html" }
    }

    /// Reports the result: directly to the page's script, to others through a redirect back to the page.
    fn done(&self, site: &AppState, back: &str, came: Result<String, ApiError>) -> Response {
        let done = match came {
            Ok(done) => done,
            Err(problem) => return self.refuse(site, &problem),
        };
        if self.part {
            let context = context! { done, ..self.context(site) };
            return self.answer(site, "part/notice.html", Ok(context));
        }
        let mut answer = Redirect::to(back).into_response();
        if let Some(notice) = notice::keep(&done) {
            answer.headers_mut().append(header::SET_COOKIE, notice);
        }
        answer
    }
}

/// What was done, in the reader's language.
fn told(visitor: &Visitor, what: &str, name: &str, done: &ActionResult) -> String {
    // A long recall continues after the response, so it has no count.
    let what = if what == "done_recall" && done.count.is_none() { "done_recall_goes_on" } else { what };
    let n = amount(done.count.unwrap_or_default());
    let run = done.run.clone().unwrap_or_default();
    let values = [("name", name.to_owned()), ("n", n), ("run", run)];
    let mut said = visitor.language.say(what, &values).unwrap_or_else(|| done.message.clone());
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
