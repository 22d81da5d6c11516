//! The templates and their functions. All values are escaped.

#[cfg(test)]
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::StatusCode;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, State, UndefinedBehavior, Value, context};
use rust_embed::Embed;
use tokio::sync::Semaphore;

use crate::config::EnvName;
use crate::control::{amount, rate_text};
use crate::web::answer::ApiError;

use super::{assets, format, ledger_text};
use crate::web::words::Language;

/// The maximum number of concurrent event streams.
const STREAMS: usize = 32;

/// The step limit of a template, far more than the longest page needs.
const FUEL: u64 = 5_000_000;

#[derive(Embed)]
#[folder = "src/web/page/templates"]
struct Templates;

/// The templates and the state they share.
#[derive(Clone)]
pub(in crate::web) struct Pages {
    templates: Arc<Environment<'static>>,
    globals: Value,
    /// Limits the concurrent event streams.
    pub(super) streams: Arc<Semaphore>,
}

impl Pages {
    /// Reads the templates.
    pub(in crate::web) fn new(project: &str, env: Option<&EnvName>, simulator: bool) -> Result<Self, Error> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        templates.set_fuel(Some(FUEL));
        for name in Templates::iter() {
            let file = Templates::get(&name).map(|file| file.data.into_owned()).unwrap_or_default();
            let source = String::from_utf8(file).map_err(|error| problem(error.to_string()))?;
            templates.add_template_owned(name.into_owned(), source)?;
        }
        templates.add_function("t", t);
        templates.add_filter("number", amount);
        templates.add_filter("rate", rate_text);
        templates.add_filter("bytes", |bytes: u64| format::bytes(bytes));
        templates.add_filter("span", |state: &State, seconds: f64| format::span(language(state), seconds));
        templates.add_filter("time", time);
        templates.add_filter("relative", relative);
        templates.add_filter("short", short);
        ledger_text::add_to(&mut templates);
        templates.add_filter("code", code);
        let built = assets::version("page.js").unwrap_or_default();
        let globals = context! {
            project => project,
            env => env.map(EnvName::as_str),
            colour => env.map(EnvName::colour),
            simulator => simulator,
            version => env!("CARGO_PKG_VERSION"),
            css => assets::address("page.css"),
            js => assets::address("page.js"),
            icon => assets::address("icon.svg"),
            build => format!("{}-{built}", assets::version("page.css").unwrap_or_default()),
        };
        Ok(Self { templates: Arc::new(templates), globals, streams: Arc::new(Semaphore::new(STREAMS)) })
    }

    /// The context that never changes.
    pub(super) fn globals(&self) -> Value {
        self.globals.clone()
    }

    /// The versions of the style and the script.
    pub(super) fn build(&self) -> String {
        self.globals.get_attr("build").map(|build| build.to_string()).unwrap_or_default()
    }

    pub(super) fn render(&self, template: &str, context: &Value) -> Result<String, ApiError> {
        let rendered = self.templates.get_template(template).and_then(|found| found.render(context));
        rendered.map_err(|error| {
            tracing::error!(template, "cannot render a page: {error:#}");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot render this page: {error:#}"))
        })
    }
}

/// `{{ t('name', n=3) }}`: a text of the page.
#[expect(clippy::needless_pass_by_value, reason = "minijinja gives it away")]
fn t(state: &State, name: &str, kwargs: Kwargs) -> Result<String, Error> {
    let mut values = Vec::new();
    for key in kwargs.args() {
        let value: Value = kwargs.get(key)?;
        let count = value.is_number().then(|| u64::try_from(value.clone()).ok()).flatten();
        values.push((key, count.map_or_else(|| value.to_string(), amount)));
    }
    let said = language(state).say(name, &values);
    said.ok_or_else(|| problem(format!("there is no text `{name}` that tells {values:?}")))
}

/// The reader's language.
pub(super) fn language(state: &State) -> Language {
    let tag = state.lookup("lang");
    tag.and_then(|tag| Language::of(tag.as_str()?)).unwrap_or(Language::English)
}

fn now(state: &State) -> i64 {
    state.lookup("now").and_then(|now| i64::try_from(now).ok()).unwrap_or_default()
}

/// A time in the reader's time zone.
pub(super) fn time(state: &State, at: &str) -> Value {
    let zone = state.lookup("zone");
    let zone = zone.as_ref().and_then(Value::as_str).unwrap_or("UTC");
    // The reader sees whose time it is, unless it is the reader's own.
    let named = state.lookup("zone_known").is_some_and(|known| !known.is_true());
    format::time(language(state), zone, named, now(state), at)
        .map_or_else(|| Value::from(at), Value::from_safe_string)
}

/// How long ago or ahead a time is.
fn relative(state: &State, at: &str) -> String {
    format::relative(language(state), now(state), at).unwrap_or_else(|| at.to_owned())
}

/// The beginning of a text that may be long.
fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

/// A text of the page, with the parts between backticks as code.
fn code(text: &str) -> Value {
    let mut html = String::new();
    for (index, piece) in text.split('`').enumerate() {
        let piece = HtmlEscape(piece);
        if index % 2 == 1 {
            let _ = write!(html, "<code>{piece}</code>");
        } else {
            let _ = write!(html, "{piece}");
        }
    }
    Value::from_safe_string(html)
}

fn problem(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

/// All templates, for the tests.
#[cfg(test)]
pub(super) fn sources() -> BTreeMap<String, String> {
    let source = |name: &str| String::from_utf8(Templates::get(name).unwrap().data.into_owned()).unwrap();
    Templates::iter().map(|name| (name.to_string(), source(&name))).collect()
}
