//! The error of a failed call, in a form that is safe to show and log. It never holds a secret.

use std::fmt;
use std::time::Duration;

use super::class::FailureClass;
use super::scrub::SanitizedText;

/// The call that failed: its method, and its path after the app's prefix, with `{id}` for variable parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallName {
    /// The HTTP method.
    pub method: &'static str,
    /// The path's pattern, such as `/chatgroups/{id}/users`.
    pub path: &'static str,
}

impl fmt::Display for CallName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

/// Why a call failed, and what the caller may do. Every text is escaped, has at most 300 characters, and holds no token
/// and no secret, even if the service repeats one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// The meaning of the failure for the caller.
    pub class: FailureClass,
    /// The call that failed: the requested one, or `POST /token`. While all calls fail because new tokens are refused
    /// too, it is the call that found this out.
    pub call: CallName,
    /// The HTTP status; `None` if no answer came.
    pub status: Option<u16>,
    /// The answer's `error`; `None` if it had none.
    pub error: Option<Box<str>>,
    /// The answer's `error_code`; `None` if it had none.
    pub code: Option<i64>,
    /// The answer's `error_description`; `None` if it had none.
    pub description: Option<Box<str>>,
    /// How long to wait before a repeat; `None` if unknown.
    pub retry_after: Option<Duration>,
    /// What happened, if the answer's own fields do not say it; empty otherwise.
    pub detail: Box<str>,
}

impl CallError {
    /// Whether the service refused the token, so that nothing was sent and another token may help.
    pub fn refuses_token(&self) -> bool {
        self.status == Some(401) && self.class == FailureClass::Auth
    }

    /// An error without texts of the service.
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
