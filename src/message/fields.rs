//! The names of a message's fields, and the meaning of an empty table in each.

use super::MessageKind;
use crate::core::Call;

/// The JSON that an empty Lua table becomes in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableShape {
    Object,
    List,
}

/// Returns the fields of a message for `call`, in the order of the vendor's page. The last one, `allow_empty`, is not
/// sent: it permits a text without visible characters.
pub const fn fields(call: Call) -> &'static [&'static str] {
    match call {
        Call::Group => &[
            "from",
            "to",
            "type",
            "need_group_ack",
            "body",
            "roam_ignore_users",
            "routetype",
            "ext",
            "env",
            "sync_device",
            "allow_empty",
        ],
        Call::Targeted => {
            &["from", "to", "type", "body", "ext", "users", "env", "sync_device", "allow_empty"]
        }
        Call::Edit => &["from", "type", "body", "ext", "allow_empty"],
        Call::Announce => &["from", "to", "type", "body", "ext", "allow_empty"],
        Call::User => &[
            "from",
            "to",
            "type",
            "body",
            "roam_ignore_users",
            "routetype",
            "sync_device",
            "ext",
            "env",
            "allow_empty",
        ],
        Call::Room => &[
            "from",
            "to",
            "type",
            "chatroom_msg_level",
            "body",
            "roam_ignore_users",
            "routetype",
            "sync_device",
            "ext",
            "env",
            "allow_empty",
        ],
    }
}

/// Whether a message for some call has a field of this name.
pub fn is_field(name: &str) -> bool {
    Call::ALL.iter().any(|&call| fields(call).contains(&name))
}

/// Returns the fields that scripts may give in the `body` of a `kind` message: those of the vendor's page, those
/// that only the vendor's own libraries send (`param`, and `file_length` except of videos), and `file` (a value from
/// `im.upload`) for the types that carry a file.
pub const fn body_fields(kind: MessageKind) -> &'static [&'static str] {
    match kind {
        MessageKind::Txt => &["msg"],
        MessageKind::Img => &["url", "secret", "filename", "size", "file_length", "file"],
        MessageKind::Audio => &["url", "secret", "filename", "length", "Length", "file_length", "file"],
        MessageKind::Video => {
            &["url", "secret", "filename", "length", "file_length", "thumb", "thumb_secret", "file"]
        }
        MessageKind::File => &["url", "secret", "filename", "file_length", "file"],
        MessageKind::Loc => &["lat", "lng", "addr"],
        MessageKind::Cmd => &["action", "param"],
        MessageKind::Custom => &["customEvent", "customExts"],
    }
}

/// Returns the meaning of an empty table at `path` of a message (`["body", "size"]`). Returns None where the message
/// does not define one, as inside `ext`, and where no table belongs.
pub fn shape(path: &[&str]) -> Option<TableShape> {
    match path {
        ["to" | "users" | "roam_ignore_users"] => Some(TableShape::List),
        [] | ["body" | "ext"] | ["body", "size" | "customExts" | "file" | "param" | "thumb"] => {
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
