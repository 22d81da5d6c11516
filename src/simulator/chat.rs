//! What the recipients of a message are.

/// What the recipients of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
pub(super) enum ChatKind {
    #[default]
    #[serde(rename = "groupchat")]
    Group,
    #[serde(rename = "chat")]
    User,
    #[serde(rename = "chatroom")]
    Room,
    /// All users of the app, or those online.
    #[serde(rename = "announcement")]
    Announcement,
}

impl ChatKind {
    /// Returns the service's word for it, `chat_type`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Group => "groupchat",
            Self::User => "chat",
            Self::Room => "chatroom",
            Self::Announcement => "announcement",
        }
    }

    /// Returns the key of a recipient in what the simulator reports: the id of a group, `user:ID`, `room:ID`,
    /// `announcement:all` or `announcement:online`.
    pub(super) fn key(self, id: &str) -> String {
        match self {
            Self::Group => id.to_owned(),
            Self::User => format!("user:{id}"),
            Self::Room => format!("room:{id}"),
            Self::Announcement => format!("announcement:{id}"),
        }
    }
}
