//! `/script/run`: the form of a script, and what was filled in. It rehearses the script, or runs it.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, RequestExt};
use bytes::Bytes;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Deserialize;

use crate::control::{ControlError, find_rehearsal, find_script, form_of_row, rehearsals_of, run_file_of};
use crate::forms::{ArgumentProblem, ArgumentProblems, ArgumentType, FormField, ScriptForm, ValueProblem};
use crate::ledger::{RunRequest, ScriptRow};
use crate::schedule::runs_of;
use crate::web::AppState;
use crate::web::answer::ApiError;
use crate::web::api::ApiQuery;

use super::ask::result_message;
use super::format;
use super::page_context::PageContext;

/// The prefix of the names of the form's fields.
const FIELD: &str = "arg.";

/// The prefix of the hidden fields with the files that were uploaded before.
const KEPT: &str = "kept.";

#[derive(Debug, Deserialize)]
pub(super) struct ScriptQuery {
    name: String,
    /// The rehearsal whose arguments fill the form.
    from: Option<i64>,
}

/// What was filled in.
#[derive(Debug, Default)]
struct Filled {
    fields: BTreeMap<String, String>,
    /// The name and the content of each uploaded file, by its field.
    files: BTreeMap<String, (String, Bytes)>,
}

/// `GET /script/run?name=…`
pub(super) async fn ask(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<ScriptQuery>,
) -> Response {
    let asks = async {
        let script = find_script(&state.ledger, &which.name).await?;
        let mut values = BTreeMap::new();
        let mut args = Vec::new();
        if let Some(id) = which.from {
            let before = find_rehearsal(&state.ledger, id, state.clock.unix_time()).await?;
            if before.script == script.name {
                args = before.args;
                values = by_name(&args);
            }
        }
        page(&state, &page_context, &script, &values, &args, &ArgumentProblems::default()).await
    };
    let template = if page_context.part { "part/ask_script.html" } else { "script.html" };
    page_context.answer(&state, template, asks.await)
}

/// `POST /script/run`
pub(super) async fn submit(
    State(state): State<AppState>,
    page_context: PageContext,
    request: Request,
) -> Response {
    let filled = match Filled::read(request, &state).await {
        Ok(filled) => filled,
        Err(problem) => return page_context.refuse(&state, &problem),
    };
    match submitted(&state, &page_context, filled).await {
        Ok(response) => response,
        Err(problem) => page_context.refuse(&state, &problem),
    }
}

async fn submitted(
    state: &AppState,
    page_context: &PageContext,
    mut filled: Filled,
) -> Result<Response, ApiError> {
    let script = find_script(&state.ledger, filled.text("name")).await?;
    let form = form_of_row(&script);
    let args = if form.is_empty() {
        filled.text("args").lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
    } else {
        let (args, mut problems) = filled.arguments(state, page_context, &form).await?;
        if let Err(ArgumentProblems(more)) = form.read(&args) {
            let known: Vec<Option<String>> = problems.iter().map(|one| one.name.clone()).collect();
            problems.extend(more.into_iter().filter(|one| !known.contains(&one.name)));
        }
        if !problems.is_empty() {
            let values = filled.shown(&form);
            let problems = ArgumentProblems(problems);
            let context = page(state, page_context, &script, &values, &[], &problems).await?;
            let mut answer = page_context.page(state, "script.html", &context);
            *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(answer);
        }
        args
    };
    match filled.text("do") {
        "rehearse" => {
            let id = state.rehearse(page_context.caller(), &script.name, &args).await?;
            Ok(Redirect::to(&format!("/rehearsals/{id}")).into_response())
        }
        "run" => {
            let done = state.run_script(page_context.caller(), &script.name, &RunRequest::of(&args)).await?;
            let runs = format::in_query(&runs_of(&script.name));
            let done = result_message(page_context, "done_script_run", &script.name, &done);
            Ok(page_context.done(state, &format!("/job?name={runs}"), Ok(done)))
        }
        other => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            format!("the field `do` is {other:?}; it must be `rehearse` or `run`"),
        )),
    }
}

/// The context of the script's page.
async fn page(
    state: &AppState,
    page_context: &PageContext,
    script: &ScriptRow,
    values: &BTreeMap<String, String>,
    args: &[String],
    problems: &ArgumentProblems,
) -> Result<Value, ApiError> {
    let form = form_of_row(script);
    let problems = problems.0.as_slice();
    let fields: Vec<Value> = form
        .fields
        .iter()
        .map(|field| {
            let given = values.get(&field.name).cloned();
            let problem = problems.iter().find(|one| one.name.as_deref() == Some(&field.name));
            let given = given.or_else(|| field.default.clone()).unwrap_or_default();
            let kept = run_file_of(&given).map(|(_, name)| name.to_owned());
            context! {
                kept,
                value => if field.kind == ArgumentType::Datetime { local(&given, page_context.zone(state)) } else { given },
                problem => problem.map(|problem| say(page_context, problem)),
                ..Value::from(Serde(field))
            }
        })
        .collect();
    let others: Vec<String> =
        problems.iter().filter(|one| one.name.is_none()).map(|one| one.message.clone()).collect();
    let before = rehearsals_of(&state.ledger, &script.name, state.clock.unix_time()).await?;
    Ok(context! {
        script => script.name.as_str(),
        version => script.hash.as_deref(),
        fields,
        others,
        wrong => problems.len(),
        args => args.join("\n"),
        before => Serde(&before),
        ..page_context.context(state)
    })
}

/// A problem in the reader's language.
fn say(page_context: &PageContext, problem: &ArgumentProblem) -> String {
    let Some(why) = &problem.problem else { return problem.message.clone() };
    let json = serde_json::to_value(why).unwrap_or_default();
    let code = json["code"].as_str().unwrap_or_default();
    let text = |name: &str| match &json[name] {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    let values = [("allowed", text("allowed"))];
    let said = page_context.language.say(&format!("problem_{code}"), &values);
    said.unwrap_or_else(|| why.to_string())
}

/// The arguments `NAME=VALUE` by their names.
fn by_name(args: &[String]) -> BTreeMap<String, String> {
    let pairs = args.iter().filter_map(|arg| arg.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Filled {
    async fn read(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let wrong =
            |why: String| ApiError::new(StatusCode::BAD_REQUEST, format!("the form cannot be read: {why}"));
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
            let form: Result<Form<Vec<(String, String)>>, _> = request.extract().await;
            let Form(pairs) = form.map_err(|refused| wrong(refused.body_text()))?;
            return Ok(Self { fields: pairs.into_iter().collect(), files: BTreeMap::new() });
        }
        let multipart = Multipart::from_request(request, state).await;
        let mut multipart = multipart.map_err(|refused| wrong(refused.body_text()))?;
        let mut filled = Self::default();
        loop {
            let part = multipart.next_field().await.map_err(|refused| wrong(refused.body_text()))?;
            let Some(part) = part else { return Ok(filled) };
            let name = part.name().unwrap_or_default().to_owned();
            let file = part.file_name().map(str::to_owned);
            let content = part.bytes().await.map_err(|refused| wrong(refused.body_text()))?;
            match file {
                // A browser sends a file without a name and content if none was chosen.
                Some(file) if file.is_empty() && content.is_empty() => {}
                Some(file) => {
                    filled.files.insert(name, (file, content));
                }
                None => {
                    let text = String::from_utf8(content.to_vec());
                    let text = text.map_err(|_| wrong(format!("the field `{name}` is not UTF-8 text")))?;
                    filled.fields.insert(name, text);
                }
            }
        }
    }

    fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The arguments that the form was filled with. Keeps the uploaded files. The problems are those that
    /// [`ScriptForm::read`] cannot see.
    async fn arguments(
        &mut self,
        state: &AppState,
        page_context: &PageContext,
        form: &ScriptForm,
    ) -> Result<(Vec<String>, Vec<ArgumentProblem>), ApiError> {
        let (mut args, mut problems) = (Vec::new(), Vec::new());
        for field in &form.fields {
            let given = match self.value(state, page_context, field).await {
                Ok(given) => given,
                Err(ControlError::Arguments(ArgumentProblems(more))) => {
                    problems.extend(more);
                    continue;
                }
                Err(other) => return Err(other.into()),
            };
            if !given.is_empty() || field.default.is_some() {
                args.push(format!("{}={given}", field.name));
            }
        }
        Ok((args, problems))
    }

    /// The text of one argument, as the form reads it.
    async fn value(
        &mut self,
        state: &AppState,
        page_context: &PageContext,
        field: &FormField,
    ) -> Result<String, ControlError> {
        let name = format!("{FIELD}{}", field.name);
        let text = self.text(&name).replace("\r\n", "\n");
        Ok(match field.kind {
            ArgumentType::File => {
                if let Some((file, content)) = self.files.remove(&name) {
                    let kept =
                        state.keep_run_file(page_context.caller(), Some(field), &file, &content).await?;
                    self.fields.insert(format!("{KEPT}{}", field.name), kept);
                }
                self.text(&format!("{KEPT}{}", field.name)).to_owned()
            }
            ArgumentType::Boolean if text.is_empty() => "false".to_owned(),
            ArgumentType::Datetime if !text.is_empty() => zoned(text.trim(), page_context.zone(state))
                .ok_or_else(|| {
                    let problem = ArgumentProblem::of(&field.name, &text, ValueProblem::Datetime);
                    ControlError::Arguments(ArgumentProblems(vec![problem]))
                })?,
            ArgumentType::Text => text,
            _ => text.trim().to_owned(),
        })
    }

    /// The values to show again.
    fn shown(&self, form: &ScriptForm) -> BTreeMap<String, String> {
        let value = |field: &FormField| {
            let prefix = if field.kind == ArgumentType::File { KEPT } else { FIELD };
            let missing = if field.kind == ArgumentType::Boolean { "false" } else { "" };
            let given = self.fields.get(&format!("{prefix}{}", field.name));
            (field.name.clone(), given.map_or_else(|| missing.to_owned(), Clone::clone))
        };
        form.fields.iter().map(value).collect()
    }
}

/// A date and a time in the reader's zone, with its offset. `None` if there is no such time, or two.
fn zoned(text: &str, zone: &str) -> Option<String> {
    if text.parse::<Timestamp>().is_ok() {
        return Some(text.to_owned());
    }
    let there: DateTime = text.parse().ok()?;
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let at: Zoned = zone.to_ambiguous_zoned(there).unambiguous().ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M%:z").to_string())
}

/// A date and time with its offset as the reader's own time.
fn local(text: &str, zone: &str) -> String {
    let Ok(at) = text.parse::<Timestamp>() else { return text.to_owned() };
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_readers_zone() {
        let there = zoned("2026-12-01T09:00", "Asia/Shanghai");
        assert_eq!(there.as_deref(), Some("2026-12-01T09:00+08:00"));
        assert_eq!(local("2026-12-01T09:00+08:00", "Europe/Berlin"), "2026-12-01T02:00");
        // In Berlin this hour is there twice, and this one never.
        assert_eq!(zoned("2026-10-25T02:30", "Europe/Berlin"), None);
        assert_eq!(zoned("2026-03-29T02:30", "Europe/Berlin"), None);
        assert_eq!(zoned("tomorrow", "Europe/Berlin"), None);
    }
}
