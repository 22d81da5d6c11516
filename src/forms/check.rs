//! Checks a value against the type of its argument.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use super::UPLOAD;
use super::field::{ArgumentType, FormField};

/// The largest whole number that Lua and JSON keep exactly.
const MAX_INTEGER: i64 = 1 << 53;

/// The most bytes of a value.
pub(super) const MAX_VALUE: usize = 32 * 1024;

/// The most bytes of a file's name without its folders.
const MAX_NAME: usize = 255;

/// The most bytes of the id of a group.
const MAX_ID: usize = 64;

/// Why a value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ValueProblem {
    #[error("a value is needed")]
    Missing,
    #[error("must be a whole number, such as 12, of at most 2^53")]
    Integer,
    #[error("must be a number, such as 12 or 1.5")]
    Number,
    #[error("must be `true` or `false`")]
    Boolean,
    #[error("must be a date that exists, such as 2026-12-01")]
    Date,
    #[error("must be a time of the day from 00:00 to 23:59, such as 09:30")]
    Time,
    #[error("must be a date and a time with the offset from UTC, such as 2026-12-01T09:00+08:00")]
    Datetime,
    #[error("must be one of: {allowed}")]
    Choice { allowed: String },
    #[error("must be the id of a group: letters, digits, `-`, `_`")]
    Group,
    #[error("must be the name of a file that ends with {allowed}")]
    Suffix { allowed: String },
    #[error(
        "must be the name of a file without folders, `\\`, `:`, control characters or a dot at its begin, of at most 60 characters"
    )]
    FileName,
    #[error("has a line end or another control character; it must be one line of text")]
    Line,
    #[error("has a control character")]
    Control,
    #[error("has more than {MAX_VALUE} bytes")]
    Long,
    #[error("is empty; a list needs at least one line")]
    EmptyFile,
    #[error("must be uploaded: {UPLOAD}SHA256/NAME, as the upload's answer names it")]
    NotUploaded,
    #[error("is not kept any more; upload it again")]
    Gone,
    #[error("has more than {bytes} bytes")]
    Large { bytes: usize },
    #[error(
        "cannot be kept, because all uploaded files have {bytes} bytes together; delete old runs with `mooncast runs prune`"
    )]
    Full { bytes: u64 },
}

pub(super) fn value(field: &FormField, value: &str) -> Result<(), ValueProblem> {
    if value.len() > MAX_VALUE {
        return Err(ValueProblem::Long);
    }
    let fits = |fits: bool, problem| if fits { Ok(()) } else { Err(problem) };
    match field.kind {
        ArgumentType::String => fits(!value.contains(char::is_control), ValueProblem::Line),
        ArgumentType::Text => {
            let bad = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
            fits(!value.contains(bad), ValueProblem::Control)
        }
        ArgumentType::Integer => fits(integer(value).is_some(), ValueProblem::Integer),
        ArgumentType::Number => fits(number(value).is_some(), ValueProblem::Number),
        ArgumentType::Boolean => fits(matches!(value, "true" | "false"), ValueProblem::Boolean),
        ArgumentType::Date => fits(is_date(value), ValueProblem::Date),
        ArgumentType::Time => fits(is_time(value), ValueProblem::Time),
        ArgumentType::Datetime => fits(is_datetime(value), ValueProblem::Datetime),
        ArgumentType::Choice => {
            let known = field.allowed.iter().any(|word| word == value);
            fits(known, ValueProblem::Choice { allowed: field.allowed.join(", ") })
        }
        ArgumentType::Group => fits(is_group(value), ValueProblem::Group),
        ArgumentType::File => file(field, value),
    }
}

/// Reads a whole number: digits, with a sign before them if it is negative.
pub(super) fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number = text.parse::<i64>().ok().filter(|number| number.abs() <= MAX_INTEGER);
    number.filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|letter| letter.is_ascii_digit() || matches!(letter, b'-' | b'.'));
    let framed = text.ends_with(|last: char| last.is_ascii_digit()) && !text.starts_with('.');
    text.parse::<f64>().ok().filter(|number| plain && framed && number.is_finite())
}

fn is_date(text: &str) -> bool {
    // There was no year 0.
    shaped(text, "0000-00-00") && !text.starts_with("0000") && text.parse::<Date>().is_ok()
}

fn is_time(text: &str) -> bool {
    shaped(text, "00:00") && text.parse::<Time>().is_ok()
}

fn is_datetime(text: &str) -> bool {
    let (Some(day), Some(rest)) = (text.get(..10), text.get(10..)) else { return false };
    let Some(clock) = rest.strip_prefix('T') else { return false };
    let (time, offset) = clock.split_at(clock.find(['Z', '+', '-']).unwrap_or(clock.len()));
    let known = is_time(time) || (shaped(time, "00:00:00") && !time.ends_with(":60"));
    is_date(day) && known && is_offset(offset) && text.parse::<Timestamp>().is_ok()
}

/// Whether a text is an offset from UTC that a place on earth has.
fn is_offset(text: &str) -> bool {
    let west = text.starts_with('-');
    let most = if west { "12:00" } else { "14:00" };
    let span = text.strip_prefix(['+', '-']).filter(|span| shaped(span, "00:00"));
    // Texts of this shape are ordered as their times are.
    text == "Z" || span.is_some_and(|span| is_time(span) && span <= most)
}

/// Whether a text has digits where the pattern has `0`, and else the same letters.
fn shaped(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(letter, like)| match like {
            b'0' => letter.is_ascii_digit(),
            like => letter == like,
        })
}

fn is_group(text: &str) -> bool {
    text.len() <= MAX_ID
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_'))
}

/// Checks the name of a file: the part after its folders.
fn file(field: &FormField, value: &str) -> Result<(), ValueProblem> {
    let name = value.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name.len() > MAX_NAME || value.contains(char::is_control) {
        return Err(ValueProblem::FileName);
    }
    let lower = name.to_lowercase();
    let fits = |suffix: &String| lower.len() > suffix.len() && lower.ends_with(suffix.as_str());
    if field.allowed.iter().any(fits) {
        return Ok(());
    }
    Err(ValueProblem::Suffix { allowed: field.allowed.join(" or ") })
}
