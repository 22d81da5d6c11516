//! The names that messages and options are made of: those of messages as `message` has them, those of options as
//! `protocol` has them.

use crate::message::MessageKind;

pub(super) use crate::message::{MessageCall, USERS_PER_CALL, fields, nearest, types};
pub(super) use crate::protocol::{BROADCAST_FIELDS, RECALL_OPTIONS, SEND_OPTIONS, UPLOAD_OPTIONS};

/// The only value of `routetype` (seed, request body).
pub(super) const ROUTE_ONLINE: &str = "ROUTE_ONLINE";

/// The fields of the `body` of a type; none where there is no such type.
pub(super) fn body_fields(kind: &str) -> Option<&'static [&'static str]> {
    MessageKind::from_name(kind).map(crate::message::body_fields)
}
