//! The service's errors, word for word.
//!
//! The vendor's page gives status, `error` and `error_description`. For exceptions and codes it shows one example
//! (`MessageSendException`, 14007). The names of the other exceptions are made in the same way.

use std::borrow::Cow;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::time::ClockReading;

/// A call that the service refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) error: Cow<'static, str>,
    pub(super) exception: &'static str,
    pub(super) code: Option<u32>,
    pub(super) description: Cow<'static, str>,
}

const SECURITY: &str = "org.apache.usergrid.rest.exceptions.SecurityException";
const SEND: &str = "MessageSendException";
const SEND_ERROR: &str = "message_send_error";

const fn row(
    status: StatusCode,
    error: &'static str,
    exception: &'static str,
    description: &'static str,
) -> Refusal {
    Refusal {
        status,
        error: Cow::Borrowed(error),
        exception,
        code: None,
        description: Cow::Borrowed(description),
    }
}

const fn send(description: &'static str) -> Refusal {
    row(StatusCode::BAD_REQUEST, SEND_ERROR, SEND, description)
}

// The two error tables of the vendor's page, in their order.
pub(super) const INVALID_BODY: Refusal = row(
    StatusCode::BAD_REQUEST,
    "invalid_request_body",
    "InvalidRequestBodyException",
    "Request body is invalid. Please check body is correct.",
);
pub(super) const FROM_EMPTY: Refusal = send("param from can't be empty");
pub(super) const TO_EMPTY: Refusal = send("param to can't be empty");
pub(super) const TYPE_EMPTY: Refusal = send("param type can't be empty");
pub(super) const BODY_EMPTY: Refusal = send("param body can't be empty");
pub(super) const EXT_NOT_OBJECT: Refusal = send("param ext must be JSONObject");
pub(super) const USERS_EMPTY: Refusal = send("param users can't be empty");
pub(super) const TOO_LARGE: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    error: Cow::Borrowed(SEND_ERROR),
    exception: SEND,
    code: Some(14007),
    description: Cow::Borrowed("message is too large"),
};
pub(super) const SEND_REACH_LIMIT: Refusal =
    row(StatusCode::FORBIDDEN, SEND_ERROR, SEND, "message send reach limit");

// The errors of every call.
pub(super) const REACH_LIMIT: Refusal = row(
    StatusCode::TOO_MANY_REQUESTS,
    "reach_limit",
    "ReachLimitException",
    "This request has reached api limit",
);
pub(super) const RESOURCE_LIMITED: Refusal = row(
    StatusCode::TOO_MANY_REQUESTS,
    "resource_limited",
    "ResourceLimitedException",
    "You have exceeded the limit of the Free edition. Please upgrade to higher edition.",
);
pub(super) const NO_TOKEN: Refusal = row(
    StatusCode::UNAUTHORIZED,
    "unauthorized",
    SECURITY,
    "Unable to authenticate due to expired access token",
);
pub(super) const CORRUPT_TOKEN: Refusal = row(
    StatusCode::UNAUTHORIZED,
    "auth_bad_access_token",
    SECURITY,
    "Unable to authenticate due to corrupt access token",
);
pub(super) const UNKNOWN_TOKEN: Refusal =
    row(StatusCode::UNAUTHORIZED, "auth_bad_access_token", SECURITY, "Unable to authenticate");
pub(super) const NOT_FOUND: Refusal = row(
    StatusCode::NOT_FOUND,
    "service_resource_not_found",
    "ServiceResourceNotFoundException",
    "Service resource not found",
);
pub(super) const WRONG_METHOD: Refusal = row(
    StatusCode::METHOD_NOT_ALLOWED,
    "method_not_allowed",
    "MethodNotAllowedException",
    "Method Not Allowed",
);
pub(super) const BODY_TOO_LARGE: Refusal = row(
    StatusCode::PAYLOAD_TOO_LARGE,
    "Request Entity Too Large",
    "RequestEntityTooLargeException",
    "Request Entity Too Large",
);
pub(super) const WRONG_MEDIA_TYPE: Refusal = row(
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "web_application",
    "javax.ws.rs.WebApplicationException",
    "Unsupported Media Type",
);

pub(super) const NOT_ACCEPTABLE: Refusal = row(
    StatusCode::NOT_ACCEPTABLE,
    "web_application",
    "javax.ws.rs.WebApplicationException",
    "Not Acceptable",
);

// The errors of tokens, files, lists and recalls.
pub(super) const NOT_JSON: Refusal = row(
    StatusCode::BAD_REQUEST,
    "json_parse",
    "JsonParseException",
    "Unexpected character in the request body",
);
pub(super) const WRONG_CLIENT_ID: Refusal =
    row(StatusCode::BAD_REQUEST, "invalid_grant", "OAuthProblemException", "client_id does not match");
pub(super) const WRONG_CLIENT_SECRET: Refusal =
    row(StatusCode::BAD_REQUEST, "invalid_grant", "OAuthProblemException", "client_secret does not match");
pub(super) const NO_FILE: Refusal =
    row(StatusCode::NOT_FOUND, "entity_not_found", "EntityNotFoundException", "file may not exists");
pub(super) const WRONG_SECRET: Refusal = row(
    StatusCode::FORBIDDEN,
    "forbidden_op",
    "EasemobForbiddenOpException",
    "share-secret is missing or does not match",
);
const RECALL_ERROR: &str = "message_recall_error";
const RECALL: &str = "MessageRecallException";
pub(super) const RECALL_TOO_LATE: Refusal =
    row(StatusCode::FORBIDDEN, RECALL_ERROR, RECALL, "exceed recall time limit");
pub(super) const RECALL_UNKNOWN: Refusal = row(StatusCode::FORBIDDEN, RECALL_ERROR, RECALL, "not_found msg");
pub(super) const RECALL_COMMAND: Refusal =
    row(StatusCode::FORBIDDEN, RECALL_ERROR, RECALL, "can't recall a msg of type cmd");
pub(super) const RECALL_CLOSED: Refusal = row(
    StatusCode::FORBIDDEN,
    "forbidden_op",
    "EasemobForbiddenOpException",
    "message recall service is unopened",
);

// The errors of edits and of history files.
const REWRITE_ERROR: &str = "message_rewrite_error";
const REWRITE: &str = "MessageRewriteException";
pub(super) const REWRITE_CLOSED: Refusal =
    row(StatusCode::FORBIDDEN, REWRITE_ERROR, REWRITE, "The rewrite message feature is not open.");
pub(super) const REWRITE_LIMIT: Refusal = row(
    StatusCode::FORBIDDEN,
    REWRITE_ERROR,
    REWRITE,
    "The message has reached its edit limit and cannot be modified further.",
);
pub(super) const REWRITE_BAD_ID: Refusal = row(
    StatusCode::BAD_REQUEST,
    "InvalidMessageIdException",
    "InvalidMessageIdException",
    "The provided message ID is not a valid number.",
);
pub(super) const REWRITE_UNKNOWN: Refusal =
    row(StatusCode::NOT_FOUND, REWRITE_ERROR, REWRITE, "The message is unavailable or has expired.");
pub(super) const REWRITE_WRONG_TYPE: Refusal = row(
    StatusCode::BAD_REQUEST,
    REWRITE_ERROR,
    REWRITE,
    "The message is of a type that is currently not supported for modification.",
);
const ANNOUNCE: &str = "EasemobForbiddenOpException";
pub(super) const ANNOUNCED_ENOUGH: Refusal =
    row(StatusCode::FORBIDDEN, "forbidden_op", ANNOUNCE, "broadcast message limit exceeded");
pub(super) const ONLINE_ANNOUNCED_ENOUGH: Refusal =
    row(StatusCode::FORBIDDEN, "forbidden_op", ANNOUNCE, "online user broadcast limit exceeded");
const REWRITE_CONFLICT: Refusal = row(
    StatusCode::CONFLICT,
    "concurrent_operation_error",
    "ConcurrentOperationException",
    "another operation on the message is running",
);

impl Refusal {
    /// Returns the refusal of too many recipients.
    pub(super) fn to_over_limit(most: usize) -> Self {
        Self { description: format!("params to's size can't exceed limit {most}").into(), ..send("") }
    }

    /// Returns the refusal of a recall that lacks a field.
    pub(super) fn recall_without(field: &str) -> Self {
        let description = format!("param {field} can't be empty").into();
        Self { description, ..row(StatusCode::BAD_REQUEST, RECALL_ERROR, RECALL, "") }
    }

    /// Returns the refusal of an hour that has no history file.
    pub(super) fn without_history(description: String) -> Self {
        let missing =
            row(StatusCode::NOT_FOUND, "storage_object_not_found", "StorageObjectNotFoundException", "");
        Self { description: description.into(), ..missing }
    }

    /// Returns a 400 `illegal_argument`.
    pub(super) fn illegal_argument(description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        Self {
            description,
            ..row(StatusCode::BAD_REQUEST, "illegal_argument", "IllegalArgumentException", "")
        }
    }

    /// Returns the error of a message that cannot be written to the simulator's log.
    pub(super) fn unlogged(error: &std::io::Error) -> Self {
        tracing::error!(%error, "the simulator cannot write its log");
        Self::of_fault(StatusCode::INTERNAL_SERVER_ERROR, None)
    }

    /// Returns a 404 for a named thing.
    pub(super) fn missing(error: &'static str, description: String) -> Self {
        let missing = row(StatusCode::NOT_FOUND, error, "ResourceNotFoundException", "");
        Self { description: description.into(), ..missing }
    }

    /// Returns the error of a fault: a known row with its status and `error`, or a new one.
    pub(super) fn of_fault(status: StatusCode, error: Option<&str>) -> Self {
        let known = [
            SEND_REACH_LIMIT,
            REACH_LIMIT,
            RESOURCE_LIMITED,
            NO_TOKEN,
            CORRUPT_TOKEN,
            NOT_FOUND,
            WRONG_METHOD,
            BODY_TOO_LARGE,
            WRONG_MEDIA_TYPE,
            TOO_LARGE,
            INVALID_BODY,
            WRONG_CLIENT_SECRET,
            NOT_JSON,
            REWRITE_CONFLICT,
            row(
                StatusCode::INTERNAL_SERVER_ERROR,
                "unsupported_service_operation",
                "UnsupportedServiceOperationException",
                "Service operation not supported",
            ),
            row(
                StatusCode::INTERNAL_SERVER_ERROR,
                "web_application",
                "javax.ws.rs.WebApplicationException",
                "javax.ws.rs.WebApplicationException",
            ),
            row(
                StatusCode::INTERNAL_SERVER_ERROR,
                "no_full_text_index",
                "NoFullTextIndexException",
                "Entity 'user' with property named 'username' is not full text indexed. You cannot use the 'contains' operand on this field",
            ),
        ];
        let reason = status.canonical_reason().unwrap_or("Unknown");
        let wanted = |row: &Refusal| {
            // Without a name, a 500 is the plain one without an error name.
            row.status == status && error.map_or(!status.is_server_error(), |error| row.error == error)
        };
        known.into_iter().find(wanted).unwrap_or_else(|| Self {
            status,
            error: error.map_or_else(|| reason.to_lowercase().replace(' ', "_"), str::to_owned).into(),
            exception: "ServiceException",
            code: None,
            description: reason.into(),
        })
    }

    /// Returns the error's JSON.
    pub(super) fn json(&self, now: ClockReading) -> Value {
        let mut json = json!({
            "error": self.error,
            "exception": self.exception,
            "timestamp": now.unix_ms(),
            "duration": 0,
            "error_description": self.description,
        });
        if let Some(code) = self.code {
            json["error_code"] = code.into();
        }
        json
    }

    /// Returns the key in the totals: `403 message_send_error: message send reach limit`.
    pub(super) fn label(&self) -> String {
        format!("{} {}: {}", self.status.as_u16(), self.error, self.description)
    }
}
