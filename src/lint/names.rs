//! The field names of messages and broadcasts.

use crate::message::MessageKind;

pub(super) use crate::core::{BROADCAST_FIELDS, Call, nearest};
pub(super) use crate::message::{USERS_PER_CALL, fields, or_newer, types};

/// The only value of `routetype` (vendor's page, request body).
pub(super) const ROUTE_ONLINE: &str = "ROUTE_ONLINE";

/// The fields of the `body` of a message type. `None` if there is no such type.
pub(super) fn body_fields(kind: &str) -> Option<&'static [&'static str]> {
    MessageKind::from_name(kind).map(crate::message::body_fields)
}
