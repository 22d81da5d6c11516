//! The names of a message's fields, and what an empty table means in each.

use super::{MessageCall, MessageKind};

/// What an empty Lua table stands for in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableShape {
    /// `{}`
    Object,
    /// `[]`
    List,
}

/// The fields of a message for `call`, in the seed's order. The last one, `allow_empty`, is not sent: it lets a text
/// go out that shows nothing.
#[must_use]
pub const fn fields(call: MessageCall) -> &'static [&'static str] {
    match call {
        MessageCall::Group => &[
            "from",
            "to",
            "type",
            "need_group_ack",
            "body",
            "roam_ignore_users",
            "routetype",
            "ext",
            "allow_empty",
        ],
        MessageCall::Targeted => &["from", "to", "type", "body", "ext", "users", "allow_empty"],
    }
}

/// The fields that scripts may give in the `body` of a `kind` message: the seed's, and `file` (a value from
/// `im.upload`) for those that carry one.
#[must_use]
pub const fn body_fields(kind: MessageKind) -> &'static [&'static str] {
    match kind {
        MessageKind::Txt => &["msg"],
        MessageKind::Img => &["url", "secret", "filename", "size", "file"],
        MessageKind::Audio => &["url", "secret", "filename", "length", "Length", "file"],
        MessageKind::Video => {
            &["url", "secret", "filename", "length", "file_length", "thumb", "thumb_secret", "file"]
        }
        MessageKind::File => &["url", "secret", "filename", "file"],
        MessageKind::Loc => &["lat", "lng", "addr"],
        MessageKind::Cmd => &["action"],
        MessageKind::Custom => &["customEvent", "customExts"],
    }
}

/// What an empty table means at `path` of a message (`["body", "size"]`); none where the message does not say,
/// as inside `ext`, or where no table belongs.
#[must_use]
pub fn shape(path: &[&str]) -> Option<TableShape> {
    match path {
        ["to" | "users" | "roam_ignore_users"] => Some(TableShape::List),
        [] | ["body" | "ext"] | ["body", "size" | "customExts" | "file" | "thumb"] => {
            Some(TableShape::Object)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{TableShape, shape};

    #[test]
    fn an_empty_table_is_what_its_field_holds() {
        assert_eq!(shape(&["to"]), Some(TableShape::List));
        assert_eq!(shape(&["users"]), Some(TableShape::List));
        assert_eq!(shape(&["roam_ignore_users"]), Some(TableShape::List));
        assert_eq!(shape(&[]), Some(TableShape::Object));
        assert_eq!(shape(&["ext"]), Some(TableShape::Object));
        assert_eq!(shape(&["body", "customExts"]), Some(TableShape::Object));
        assert_eq!(shape(&["ext", "to"]), None);
        assert_eq!(shape(&["body", "msg"]), None);
        assert_eq!(shape(&["size"]), None);
    }
}
