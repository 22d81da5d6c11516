//! The names that messages and options are made of.

use strsim::osa_distance;

/// Which of the two sending calls a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Group,
    Targeted,
}

impl Call {
    pub(super) const fn max_groups(self) -> usize {
        match self {
            Self::Group => 3,
            Self::Targeted => 1,
        }
    }
}

/// Members that one targeted call may name.
pub(super) const USERS_PER_CALL: usize = 20;

/// The only value of `routetype`.
pub(super) const ROUTE_ONLINE: &str = "ROUTE_ONLINE";

/// What the second argument of the sending calls can say.
pub(super) const SEND_OPTIONS: [&str; 2] = ["priority", "timeout"];

/// What the second argument of `im.upload` can say.
pub(super) const UPLOAD_OPTIONS: [&str; 4] = ["filename", "priority", "restrict_access", "thumbnail"];

/// What the second argument of `im.recall` can say.
pub(super) const RECALL_OPTIONS: [&str; 2] = ["force", "from"];

/// The fields of a message for `call`.
pub(super) const fn fields(call: Call) -> &'static [&'static str] {
    match call {
        Call::Group => {
            &["from", "to", "type", "need_group_ack", "body", "roam_ignore_users", "routetype", "ext"]
        }
        Call::Targeted => &["from", "to", "type", "body", "ext", "users"],
    }
}

/// The types of message, each with the fields of its `body`.
pub(super) const BODIES: [(&str, &[&str]); 8] = [
    ("txt", &["msg"]),
    ("img", &["url", "secret", "filename", "size", "file"]),
    ("audio", &["url", "secret", "filename", "length", "Length", "file"]),
    ("video", &["url", "secret", "filename", "length", "file_length", "thumb", "thumb_secret", "file"]),
    ("file", &["url", "secret", "filename", "file"]),
    ("loc", &["lat", "lng", "addr"]),
    ("cmd", &["action"]),
    ("custom", &["customEvent", "customExts"]),
];

/// The fields of the `body` of a type; none where there is no such type.
pub(super) fn body_fields(kind: &str) -> Option<&'static [&'static str]> {
    BODIES.iter().find(|(name, _)| *name == kind).map(|(_, fields)| *fields)
}

/// The names of the types.
pub(super) fn types() -> impl Iterator<Item = &'static str> {
    BODIES.iter().map(|(name, _)| *name)
}

/// The known name nearest to `name`, if any is near: one slip for each three letters.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > 64 {
        return None;
    }
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter_map(|known| {
            let slips = osa_distance(&name, &known.to_lowercase());
            let allowed = (length.max(known.chars().count()) / 3).max(1);
            (slips <= allowed && slips < length).then_some((slips, known))
        })
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}
