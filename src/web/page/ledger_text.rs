//! Template filters for notes and reasons that the ledger stores in English: they translate them, and show their times
//! in the reader's time zone.

use std::fmt::Write as _;

use minijinja::{Environment, HtmlEscape, State, Value};

use crate::control::NeedCode;
use crate::language::translate;
use crate::schedule::run_of_id;

use super::pages::{language, time};

/// The length of a time such as `2026-06-01T08:00:00Z`.
const LENGTH: usize = 20;

/// Adds the filters.
pub(super) fn add_to(templates: &mut Environment<'_>) {
    templates
        .add_filter("told", |state: &State, text: &str| with_times(state, &translate(language(state), text)));
    templates.add_filter("said", |state: &State, text: &str| translate(language(state), text).into_owned());
    templates.add_filter("need", need);
    templates.add_filter("run_name", run_name);
}

/// The sentence of something that waits for a person.
fn need(state: &State, need: &Value) -> Option<Value> {
    let language = language(state);
    let code = need.get_attr("code").ok()?;
    let code: NeedCode = serde_json::from_value(serde_json::Value::from(code.as_str()?)).ok()?;
    let params = need.get_attr("params").ok()?;
    let mut values: Vec<(String, String)> = Vec::new();
    for name in params.try_iter().ok()? {
        let value = params.get_item(&name).ok()?.to_string();
        let value = match name.as_str()? {
            "quota" => {
                language.text(&format!("quota_{}", value.replace(' ', "_"))).map_or(value, str::to_owned)
            }
            _ => translate(language, &value).into_owned(),
        };
        values.push((name.to_string(), value));
    }
    let values: Vec<(&str, String)> =
        values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Some(with_times(state, &language.say(&code.text_name(), &values)?))
}

/// A job run by its job and its time.
fn run_name(state: &State, id: &str) -> Value {
    match (run_of_id(id), id.rsplit_once('@')) {
        (Some((job, _)), Some((_, at))) => {
            Value::from_safe_string(format!("{} {}", HtmlEscape(job), time(state, at)))
        }
        _ => Value::from(id),
    }
}

/// A text with its times as the reader sees them. The result is safe HTML.
fn with_times(state: &State, text: &str) -> Value {
    let mut html = String::new();
    let mut rest = text;
    while let Some(at) = first_time(rest) {
        let (before, from) = rest.split_at(at);
        let (timestamp, after) = from.split_at(LENGTH);
        // Writing to a string cannot fail.
        let _ = write!(html, "{}{}", HtmlEscape(before), time(state, timestamp));
        rest = after;
    }
    let _ = write!(html, "{}", HtmlEscape(rest));
    Value::from_safe_string(html)
}

/// Where the first time of a text begins.
fn first_time(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is = |index: usize, byte: u8| match index {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        19 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    };
    let fits = |window: &[u8]| window.iter().enumerate().all(|(index, byte)| is(index, *byte));
    bytes.windows(LENGTH).enumerate().position(|(at, window)| {
        // A digit before it makes it something else.
        fits(window) && !at.checked_sub(1).is_some_and(|before| bytes[before].is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_a_text_are_found() {
        assert_eq!(first_time("the run of 2026-06-01T08:00:00Z is still running"), Some(11));
        assert_eq!(first_time("运行 2026-06-01T08:00:00Z"), Some(7));
        for text in ["2026-06-01", "2026-06-01T08:00Z", "12026-06-01T08:00:00Z", ""] {
            assert_eq!(first_time(text), None, "{text}");
        }
    }
}
