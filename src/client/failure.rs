//! A call that failed, in words that can be shown and logged: no secret ever gets in here.

use std::fmt;
use std::time::Duration;

use super::class::FailureClass;
use super::scrub::SanitizedText;

/// Which call it was: its method, and its path behind the app's prefix with `{id}` for what varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallName {
    /// The HTTP method.
    pub method: &'static str,
    /// The path's pattern.
    pub path: &'static str,
}

impl fmt::Display for CallName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

/// Why a call failed, and what that means. Every text in it is escaped, at most 300 characters long, and holds no
/// token and no secret, even where the service repeats one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// What the caller may do now.
    pub class: FailureClass,
    /// The call that failed: the asked one, or `POST /token`, or, while everybody is told that new tokens are refused
    /// too, the one that found it out.
    pub call: CallName,
    /// The HTTP status, when an answer came.
    pub status: Option<u16>,
    /// The answer's `error`.
    pub error: Option<Box<str>>,
    /// The answer's `error_code`.
    pub code: Option<i64>,
    /// The answer's `error_description`.
    pub description: Option<Box<str>>,
    /// How long to wait before a repeat, when it is known.
    pub retry_after: Option<Duration>,
    /// What happened, where the answer's own fields do not say it; empty otherwise.
    pub detail: Box<str>,
}

impl CallError {
    /// A failure without an answer of the service's own words.
    pub(super) fn plain(class: FailureClass, call: CallName, detail: &SanitizedText) -> Self {
        Self {
            class,
            call,
            status: None,
            error: None,
            code: None,
            description: None,
            retry_after: None,
            detail: detail.as_str().into(),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.class {
            FailureClass::Permanent => "refused",
            FailureClass::Auth => "not authorised",
            FailureClass::Throttled => "throttled, nothing was sent",
            FailureClass::InDoubt => "in doubt, it may have been sent",
            FailureClass::NothingSent => "nothing was sent",
            FailureClass::Repeat => "failed, safe to repeat",
        };
        write!(formatter, "{}: {meaning}", self.call)?;
        if let Some(status) = self.status {
            write!(formatter, ": status {status}")?;
        }
        if let Some(error) = &self.error {
            write!(formatter, " {error}")?;
        }
        if let Some(code) = self.code {
            write!(formatter, " ({code})")?;
        }
        if let Some(description) = &self.description {
            write!(formatter, ": {description}")?;
        }
        if !self.detail.is_empty() {
            write!(formatter, ": {}", self.detail)?;
        }
        if let Some(wait) = self.retry_after {
            write!(formatter, " (repeat after {} s)", wait.as_secs_f64().ceil())?;
        }
        Ok(())
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_what_happened_where() {
        let mut failure = CallError::plain(
            FailureClass::Throttled,
            CallName { method: "POST", path: "/messages/chatgroups" },
            &SanitizedText::new("", &[]),
        );
        failure.status = Some(429);
        failure.error = Some("reach_limit".into());
        failure.code = Some(7);
        failure.description = Some("This request has reached api limit".into());
        failure.retry_after = Some(Duration::from_millis(1500));
        assert_eq!(
            failure.to_string(),
            "POST /messages/chatgroups: throttled, nothing was sent: status 429 reach_limit (7): \
             This request has reached api limit (repeat after 2 s)"
        );
    }
}
