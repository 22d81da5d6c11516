//! The problems of a message.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shown;

/// The limit that a problem names for an absent field.
const REQUIRED: &str = "required";

/// One limit that a message breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageProblem {
    /// The field: `to`, `to[2]` (counted from 0), `body.size.width`. Empty for the message as a whole.
    pub field: String,
    /// One sentence that names the field, the limit and the value.
    pub message: String,
    /// The allowed value. None if the problem has no such limit.
    pub limit: Option<String>,
    /// The given value: escaped, and cut after 80 characters. Never a share-secret.
    pub value: Option<String>,
    /// For an unknown field, the known field that was probably meant.
    #[serde(skip)]
    pub(super) meant: Option<String>,
}

impl MessageProblem {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), limit: None, value: None, meant: None }
    }

    pub(super) fn limit(mut self, limit: &(impl ToString + ?Sized)) -> Self {
        self.limit = Some(limit.to_string());
        self
    }

    pub(super) fn value(mut self, value: &(impl ToString + ?Sized)) -> Self {
        self.value = Some(value.to_string());
        self
    }

    /// A problem for a `field` whose value is not `expected`, such as "a string".
    pub(super) fn wrong_type(field: impl Into<String>, expected: &str, value: &Value) -> Self {
        Self::wrong_value(field, expected, shown::value(value))
    }

    /// [`Self::wrong_type`] for a value that is already in a form to show.
    pub(super) fn wrong_value(field: impl Into<String>, expected: &str, shown: impl Into<String>) -> Self {
        let (field, shown) = (field.into(), shown.into());
        let message = format!("`{field}` must be {expected}, not {shown}");
        Self::new(field, message).limit(expected).value(&shown)
    }

    /// A problem for a required `field` that is absent. `what` describes its purpose.
    pub(super) fn missing(field: impl Into<String>, what: &str) -> Self {
        let field = field.into();
        let message = format!("`{field}` is missing: {what}");
        Self::new(field, message).limit(REQUIRED)
    }

    /// A problem for a `field` that must not be empty.
    pub(super) fn empty(field: impl Into<String>, what: &str) -> Self {
        let field = field.into();
        let message = format!("`{field}` is empty: {what}");
        Self::new(field, message).limit("not empty").value("empty")
    }
}

impl fmt::Display for MessageProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// All problems of one message; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageProblems {
    listed: Vec<MessageProblem>,
    unlisted: usize,
}

impl MessageProblems {
    /// A single problem, of a `field`.
    pub fn one(field: &str, message: String) -> Self {
        MessageProblem::new(field, message).into()
    }

    /// The most problems that are listed. Further ones are only counted.
    pub const MAX_LISTED: usize = 100;

    /// Returns the problems in the order of the fields; at most [`Self::MAX_LISTED`].
    pub fn iter(&self) -> std::slice::Iter<'_, MessageProblem> {
        self.listed.iter()
    }

    /// Returns the number of problems, listed or not.
    pub fn count(&self) -> usize {
        self.listed.len() + self.unlisted
    }
}

impl<'a> IntoIterator for &'a MessageProblems {
    type Item = &'a MessageProblem;
    type IntoIter = std::slice::Iter<'a, MessageProblem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<MessageProblem> for MessageProblems {
    fn from(problem: MessageProblem) -> Self {
        Self { listed: vec![problem], unlisted: 0 }
    }
}

impl fmt::Display for MessageProblems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.listed.iter().enumerate() {
            write!(formatter, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        if self.unlisted > 0 {
            write!(formatter, "; and {} more", self.unlisted)?;
        }
        Ok(())
    }
}

impl std::error::Error for MessageProblems {}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    listed: Vec<MessageProblem>,
    unlisted: usize,
}

impl Findings {
    pub(super) fn add(&mut self, problem: MessageProblem) {
        if self.listed.len() < MessageProblems::MAX_LISTED {
            self.listed.push(problem);
        } else {
            self.unlisted += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }

    /// Returns `read` if there are no problems. A reader that returns None has added a problem; the message is
    /// refused also if it has not.
    pub(super) fn verdict<T>(self, read: Option<T>) -> Result<T, MessageProblems> {
        match read {
            Some(read) if self.is_empty() => Ok(read),
            None if self.is_empty() => Err(MessageProblem::new("", "the message could not be read").into()),
            _ => Err(MessageProblems { listed: without_echoes(self.listed), unlisted: self.unlisted }),
        }
    }
}

/// Removes the problem of a missing field whose misspelt form is reported: these are one problem.
fn without_echoes(listed: Vec<MessageProblem>) -> Vec<MessageProblem> {
    let meant: Vec<String> = listed.iter().filter_map(|problem| problem.meant.clone()).collect();
    let is_echo = |problem: &MessageProblem| {
        problem.limit.as_deref() == Some(REQUIRED) && meant.contains(&problem.field)
    };
    listed.into_iter().filter(|problem| !is_echo(problem)).collect()
}
