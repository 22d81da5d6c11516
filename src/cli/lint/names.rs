//! The names that messages and options are made of: those of messages as `message` has them, and those of options.

use crate::message::Kind;

pub(super) use crate::message::{Call, USERS_PER_CALL, fields, nearest, types};

/// The only value of `routetype` (seed, request body).
pub(super) const ROUTE_ONLINE: &str = "ROUTE_ONLINE";

/// What the second argument of the sending calls can say.
pub(super) const SEND_OPTIONS: [&str; 3] = ["once", "priority", "timeout"];

/// The fields of `im.broadcast`.
pub(super) const BROADCAST_FIELDS: [&str; 14] = [
    "name",
    "run",
    "to",
    "message",
    "pack",
    "in_doubt",
    "rate",
    "window",
    "priority",
    "exclude",
    "stop_after_failures",
    "max_recipients",
    "on_progress",
    "skip_bad",
];

/// What the second argument of `im.upload` can say.
pub(super) const UPLOAD_OPTIONS: [&str; 4] = ["filename", "priority", "restrict_access", "thumbnail"];

/// What the second argument of `im.recall` can say.
pub(super) const RECALL_OPTIONS: [&str; 2] = ["force", "from"];

/// The fields of the `body` of a type; none where there is no such type.
pub(super) fn body_fields(kind: &str) -> Option<&'static [&'static str]> {
    Kind::from_name(kind).map(crate::message::body_fields)
}
