//! Classifies failed calls: the contract's table of errors as one pure function.

/// What a failure means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The service refused the call and will refuse it again. Nothing was sent.
    ///
    /// Rows: any 3xx, any 4xx that is not named below, 403 of any other kind, 401 `message_rewrite_error`
    /// (the token was accepted, and the message cannot be edited), 429 `resource_limited`, 501, and 500
    /// `unsupported_service_operation`, `web_application`, `no_full_text_index`.
    Permanent,
    /// The service does not accept the credentials, and will not accept them later. Nothing was sent.
    ///
    /// Rows: a 401 for a fixed token, a 401 for a refreshed token that never worked, and `/token` refusing the client
    /// id or secret (400 `invalid_grant`, 401).
    Auth,
    /// Nothing was sent. The caller must slow down, and may then repeat the call.
    ///
    /// Rows: 403 `message_send_error` "message send reach limit", 403 "broadcast message limit exceeded" of an
    /// announcement, and 429 except `resource_limited`.
    Throttled,
    /// A send that may or may not have been delivered. The caller must not repeat it silently and must keep a record of
    /// it.
    ///
    /// Rows, for a send: 408, any other 5xx, and a reset, a timeout or an unreadable answer after the request was
    /// written.
    InDoubt,
    /// The request was not written, or it was refused and the reason is not known. It is safe to repeat.
    ///
    /// Rows: connection refused, DNS or TLS failure, a reset before the request was written, a token that could not
    /// be fetched now, because a call without a token is not made, and a 403 whose body did not arrive, because it may
    /// say that the rate limit is reached.
    NothingSent,
    /// The call may have reached the service, and repeating it does no harm.
    ///
    /// Rows: those of [`FailureClass::InDoubt`], for every call that is not a send, and 409
    /// `concurrent_operation_error` for an edit.
    Repeat,
}

/// Whether a call is safe to repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idempotency {
    /// A message to groups, members, users or rooms, an announcement, or a call of `im.request` that changes
    /// something and is not declared idempotent. If it may have taken effect, it must not be repeated.
    Send,
    /// Any other call: a list, a token, an upload, a recall or an edit. Making it twice has the effect of
    /// making it once.
    Repeatable,
}

/// How an unsuccessful call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureCause<'a> {
    /// An answer, with its `error` and `error_description` if it has them.
    Answer { status: u16, error: Option<&'a str>, description: Option<&'a str> },
    /// The status of an unsuccessful answer whose body did not arrive.
    StatusOnly(u16),
    /// No usable answer: a reset, a timeout, or a success that could not be read.
    Broken {
        /// Whether any part of the request may have been written.
        written: bool,
    },
}

/// The class of an unsuccessful call.
pub(super) fn classify(idempotency: Idempotency, outcome: FailureCause<'_>) -> FailureClass {
    match outcome {
        FailureCause::Broken { written: false } | FailureCause::StatusOnly(403) => FailureClass::NothingSent,
        FailureCause::Broken { written: true } => unknown_outcome(idempotency),
        FailureCause::StatusOnly(status) => {
            classify(idempotency, FailureCause::Answer { status, error: None, description: None })
        }
        FailureCause::Answer { status, error, description } => match (status, error) {
            // A 401 that is not about the token: the message cannot be edited.
            (401, Some("message_rewrite_error")) | (429, Some("resource_limited")) => FailureClass::Permanent,
            (401, _) => FailureClass::Auth,
            (409, Some("concurrent_operation_error")) if idempotency == Idempotency::Repeatable => {
                FailureClass::Repeat
            }
            (403, Some("message_send_error")) if says_reach_limit(description) => FailureClass::Throttled,
            (403, _) if says_announced_enough(description) => FailureClass::Throttled,
            (429, _) => FailureClass::Throttled,
            (408, _) => unknown_outcome(idempotency),
            (500, Some("unsupported_service_operation" | "web_application" | "no_full_text_index")) => {
                FailureClass::Permanent
            }
            (300..=499 | 501, _) => FailureClass::Permanent,
            // A status outside the table does not say whether the call had an effect.
            _ => unknown_outcome(idempotency),
        },
    }
}

fn unknown_outcome(idempotency: Idempotency) -> FailureClass {
    match idempotency {
        Idempotency::Send => FailureClass::InDoubt,
        Idempotency::Repeatable => FailureClass::Repeat,
    }
}

/// Whether the description says that the rate limit is reached. The service's documentation writes the phrase with
/// stray spaces and capitals.
fn says_reach_limit(description: Option<&str>) -> bool {
    description.is_some_and(|text| text.to_lowercase().contains("message send reach limit"))
}

/// Whether the description says that the app's announcements of the day are used up.
fn says_announced_enough(description: Option<&str>) -> bool {
    let text = description.unwrap_or_default().to_lowercase();
    text.contains("broadcast") && text.contains("limit exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(idempotency: Idempotency, status: u16, error: &str, description: &str) -> FailureClass {
        let named = |text: &'static str| (!text.is_empty()).then_some(text);
        let (error, description) = (named(error.to_owned().leak()), named(description.to_owned().leak()));
        classify(idempotency, FailureCause::Answer { status, error, description })
    }

    #[test]
    fn rows_that_are_the_same_for_every_call() {
        let rows = [
            (301, "", "", FailureClass::Permanent),
            (302, "", "", FailureClass::Permanent),
            (307, "", "", FailureClass::Permanent),
            (400, "message_send_error", "param from can't be empty", FailureClass::Permanent),
            (400, "invalid_request_body", "", FailureClass::Permanent),
            (400, "illegal_argument", "", FailureClass::Permanent),
            (400, "json_parse", "", FailureClass::Permanent),
            (400, "invalid_grant", "", FailureClass::Permanent),
            (400, "", "", FailureClass::Permanent),
            (401, "unauthorized", "", FailureClass::Auth),
            (401, "message_rewrite_error", "the user may not edit it", FailureClass::Permanent),
            (403, "message_rewrite_error", "the message has reached its edit limit", FailureClass::Permanent),
            (403, "message_rewrite_error", "message rewrite feature is not open", FailureClass::Permanent),
            (404, "message_rewrite_error", "the message is not found", FailureClass::Permanent),
            (401, "auth_bad_access_token", "", FailureClass::Auth),
            (403, "message_send_error", "message send reach limit", FailureClass::Throttled),
            (403, "message_send_error", " Message send reach limit.", FailureClass::Throttled),
            (403, "forbidden_op", "broadcast message limit exceeded", FailureClass::Throttled),
            (403, "forbidden_op", "online user broadcast limit exceeded", FailureClass::Throttled),
            (403, "forbidden_op", "message broadcast service is unopened", FailureClass::Permanent),
            (403, "message_send_error", "group is muted", FailureClass::Permanent),
            (403, "message_send_error", "", FailureClass::Permanent),
            (403, "forbidden_op", "message send reach limit", FailureClass::Permanent),
            (403, "", "", FailureClass::Permanent),
            (404, "service_resource_not_found", "", FailureClass::Permanent),
            (405, "", "", FailureClass::Permanent),
            (413, "", "", FailureClass::Permanent),
            (415, "", "", FailureClass::Permanent),
            (422, "", "", FailureClass::Permanent),
            (429, "reach_limit", "This request has reached api limit", FailureClass::Throttled),
            (429, "", "", FailureClass::Throttled),
            (429, "resource_limited", "", FailureClass::Permanent),
            (500, "unsupported_service_operation", "", FailureClass::Permanent),
            (500, "web_application", "", FailureClass::Permanent),
            (500, "no_full_text_index", "", FailureClass::Permanent),
            (501, "", "", FailureClass::Permanent),
        ];
        for (status, error, description, class) in rows {
            for idempotency in [Idempotency::Send, Idempotency::Repeatable] {
                assert_eq!(
                    answer(idempotency, status, error, description),
                    class,
                    "{status} {error} {description}"
                );
            }
        }
    }

    #[test]
    fn rows_that_leave_a_send_in_doubt() {
        for (status, error) in
            [(408, ""), (500, ""), (500, "internal_server_error"), (502, ""), (503, ""), (504, ""), (520, "")]
        {
            assert_eq!(answer(Idempotency::Send, status, error, ""), FailureClass::InDoubt, "{status}");
            assert_eq!(answer(Idempotency::Repeatable, status, error, ""), FailureClass::Repeat, "{status}");
        }
        assert_eq!(
            classify(Idempotency::Send, FailureCause::Broken { written: true }),
            FailureClass::InDoubt
        );
        assert_eq!(
            classify(Idempotency::Repeatable, FailureCause::Broken { written: true }),
            FailureClass::Repeat
        );
    }

    #[test]
    fn a_status_alone_does_not_say_that_a_message_is_refused_for_good() {
        for idempotency in [Idempotency::Send, Idempotency::Repeatable] {
            let class = |status| classify(idempotency, FailureCause::StatusOnly(status));
            assert_eq!(class(403), FailureClass::NothingSent);
            assert_eq!(class(429), FailureClass::Throttled);
            assert_eq!(class(401), FailureClass::Auth);
            assert_eq!(class(404), FailureClass::Permanent);
            assert_eq!(class(502), unknown_outcome(idempotency));
        }
    }

    #[test]
    fn what_was_not_written_was_not_sent() {
        for idempotency in [Idempotency::Send, Idempotency::Repeatable] {
            assert_eq!(
                classify(idempotency, FailureCause::Broken { written: false }),
                FailureClass::NothingSent
            );
        }
    }

    proptest! {
        #[test]
        fn a_send_is_never_called_safe_to_repeat(status in 0..=999_u16, error in "[a-z_]{0,20}", text in ".{0,30}") {
            let class = answer(Idempotency::Send, status, &error, &text);
            prop_assert_ne!(class, FailureClass::Repeat);
            prop_assert_ne!(class, FailureClass::NothingSent);
        }

        #[test]
        fn no_5xx_but_the_named_ones_is_final_for_a_send(status in 502..=599_u16, error in "[a-z_]{0,20}") {
            prop_assert_eq!(answer(Idempotency::Send, status, &error, ""), FailureClass::InDoubt);
        }
    }
}
