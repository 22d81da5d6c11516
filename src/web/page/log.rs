//! `GET /log`: the lines of the log, the newest first, with filters.

use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};

use crate::ledger::BroadcastId;
use crate::web::answer::ApiError;
use crate::web::api::ApiQuery;
use crate::web::log_filter::{LEVELS, LogFilter, level};
use crate::web::{AppState, LogLineView};

use super::format::in_query;
use super::page_context::PageContext;

/// The parts that are updated live.
pub(super) const PARTS: &[&str] = &["lines"];

/// The number of lines on a page.
const PAGE: usize = 200;

/// The levels that can be chosen.
const CHOICES: [&str; 3] = ["info", "warn", "error"];

/// The most characters of a wrong value that are shown.
const SHOWN: usize = 60;

/// The query: which lines to show. An empty field is none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogPageQuery {
    /// The least severe level.
    #[serde(alias = "only")]
    level: String,
    /// The job or the script.
    about: String,
    /// The broadcast: its number, NAME/RUN or NAME.
    broadcast: String,
    text: String,
    /// Times of the reader's time zone, as a browser's form sends them.
    from: String,
    to: String,
    before: String,
}

/// What is wrong with the fields of the query.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct LogPageProblems {
    level: Option<String>,
    from: Option<String>,
    to: Option<String>,
    before: Option<String>,
}

/// The lines that a live page shows.
#[derive(Debug, Default)]
pub(super) struct FollowedLog {
    lines: Option<Vec<LogLineView>>,
    /// The number of the newest line that was looked at.
    last: u64,
}

pub(super) async fn show(
    State(state): State<AppState>,
    page_context: PageContext,
    ApiQuery(which): ApiQuery<LogPageQuery>,
) -> Response {
    let came = context(&state, &page_context, &which, &mut FollowedLog::default()).await;
    let wrong = came.as_ref().is_ok_and(|context| context.get_attr("wrong").is_ok_and(|it| it.is_true()));
    let mut answer = page_context.answer(&state, "log.html", came);
    if wrong {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
    }
    answer
}

/// The context of the templates. `followed` has the lines that were shown before.
pub(super) async fn context(
    state: &AppState,
    page_context: &PageContext,
    which: &LogPageQuery,
    followed: &mut FollowedLog,
) -> Result<Value, ApiError> {
    let mut problems = LogPageProblems::default();
    let before = which.before(page_context, &mut problems);
    let filter = which.filter(state, page_context, &mut problems).await;
    let wrong = problems != LogPageProblems::default();
    let lines = match followed.go_on(state, &filter).filter(|_| !wrong) {
        Some(lines) => lines,
        None if wrong => Vec::new(),
        None => followed.begin(state, filter, before).await?,
    };
    let more = lines.len() > PAGE;
    let shown: Vec<&LogLineView> = lines.iter().take(PAGE).collect();
    let query = which.query();
    Ok(context! {
        live => before.is_none() && !wrong,
        events => format!("/events?log={}", in_query(&query)),
        level => which.chosen(),
        levels => CHOICES,
        about => which.about.trim(),
        of => which.broadcast.trim(),
        text => which.text.trim(),
        from => which.from.trim(),
        to => which.to.trim(),
        filtered => wrong || which.is_filtered(),
        wrong,
        problems => Serde(&problems),
        query => query,
        before => before,
        next => shown.last().filter(|_| more).map(|line| line.number),
        lines => Serde(&shown),
        ..page_context.context(state)
    })
}

impl FollowedLog {
    /// The lines with those that came since. `None` if they must be read anew.
    fn go_on(&mut self, state: &AppState, filter: &LogFilter) -> Option<Vec<LogLineView>> {
        let lines = self.lines.as_mut()?;
        let mut new = state.log.since(self.last)?;
        self.last = new.first().map_or(self.last, |line| line.number);
        new.retain(|line| filter.wants(line));
        new.append(lines);
        new.truncate(PAGE + 1);
        lines.clone_from(&new);
        Some(new)
    }

    async fn begin(
        &mut self,
        state: &AppState,
        filter: LogFilter,
        before: Option<u64>,
    ) -> Result<Vec<LogLineView>, ApiError> {
        self.last = state.log.newest(1).first().map_or(0, |line| line.number);
        let lines = state.search_log(filter, before, PAGE + 1).await?;
        // The search sees lines that came since.
        self.last = self.last.max(lines.first().map_or(0, |line| line.number));
        self.lines = before.is_none().then(|| lines.clone());
        Ok(lines)
    }
}

impl LogPageQuery {
    /// Reads the query of a live page.
    pub(super) fn of(query: &str) -> Result<Self, ApiError> {
        let wrong = |why: String| ApiError::new(StatusCode::BAD_REQUEST, why);
        let uri = format!("/log?{query}").parse::<Uri>().map_err(|error| wrong(error.to_string()))?;
        let read = Query::try_from_uri(&uri).map(|Query(which)| which);
        read.map_err(|refused| wrong(refused.body_text()))
    }

    fn chosen(&self) -> &str {
        CHOICES.iter().find(|choice| **choice == self.level).copied().unwrap_or("all")
    }

    fn is_filtered(&self) -> bool {
        [&self.about, &self.broadcast, &self.text, &self.from, &self.to]
            .iter()
            .any(|field| !field.trim().is_empty())
    }

    /// The filters as a query, without the place in the log.
    fn query(&self) -> String {
        let level = if self.chosen() == "all" { "" } else { self.chosen() };
        let fields = [
            ("level", level),
            ("about", &self.about),
            ("broadcast", &self.broadcast),
            ("text", &self.text),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let fields = fields.iter().filter(|(_, value)| !value.trim().is_empty());
        fields.map(|(name, value)| format!("{name}={}", in_query(value.trim()))).collect::<Vec<_>>().join("&")
    }

    /// The number of the line that the page ends before.
    fn before(&self, page_context: &PageContext, problems: &mut LogPageProblems) -> Option<u64> {
        let text = self.before.trim();
        let number = text.parse().ok().filter(|number| *number > 0);
        if number.is_none() && !text.is_empty() {
            problems.before = wrong(page_context, "before", text);
        }
        number
    }

    async fn filter(
        &self,
        state: &AppState,
        page_context: &PageContext,
        problems: &mut LogPageProblems,
    ) -> LogFilter {
        let some = |field: &str| Some(field.trim().to_owned()).filter(|field| !field.is_empty());
        if some(&self.level).is_some_and(|level| level != "all" && level != self.chosen()) {
            problems.level = wrong(page_context, "level", &self.level);
        }
        let zone = page_context.zone(state);
        let time = |text: &str, last| some(text).and_then(|text| parse_time(&text, zone, last));
        let (from, to) = (time(&self.from, false), time(&self.to, true));
        for (found, text, problem) in
            [(&from, &self.from, &mut problems.from), (&to, &self.to, &mut problems.to)]
        {
            if found.is_none() && some(text).is_some() {
                *problem = wrong(page_context, "time", text);
            }
        }
        if from.as_ref().zip(to.as_ref()).is_some_and(|(from, to)| from > to) {
            problems.to = wrong(page_context, "order", &self.to);
        }
        LogFilter {
            level: level(self.chosen()).filter(|_| LEVELS.contains(&self.chosen())),
            about: some(&self.about),
            broadcast: match some(&self.broadcast) {
                Some(name) => names(state, name).await,
                None => Vec::new(),
            },
            text: some(&self.text).map(|text| text.to_lowercase()),
            from: from.map(|at| at.to_string()),
            to: to.map(|at| at.to_string()),
            ..LogFilter::default()
        }
    }
}

/// What is wrong with a value, in the reader's language.
fn wrong(page_context: &PageContext, what: &str, value: &str) -> Option<String> {
    let value: String = value.trim().chars().take(SHOWN).collect();
    page_context.language.say(&format!("log_wrong_{what}"), &[("value", value.escape_debug().to_string())])
}

/// The names under which lines know a broadcast.
async fn names(state: &AppState, name: String) -> Vec<String> {
    let known = match name.parse() {
        Ok(id) => state.ledger.show(BroadcastId(id)).await.ok(),
        Err(_) => None,
    };
    known.map(|known| known.full_name()).into_iter().chain([name]).collect()
}

/// A time of a form. `last` is the last second of a minute without seconds.
fn parse_time(text: &str, zone: &str, last: bool) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let at = text.parse::<DateTime>().ok()?;
    let seconds = if last && at.second() == 0 { 59 } else { 0 };
    let at = at.to_zoned(zone).ok()?.timestamp().as_second() + seconds;
    Timestamp::from_second(at).ok()
}
