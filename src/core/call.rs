//! The calls of the service that send or change messages.

use std::time::Duration;

words! {
    /// The service's calls for one message.
    Call {
        /// `POST /messages/chatgroups`: to every member of up to three groups.
        Group, "group";
        /// `POST /messages/chatgroups/users`: to chosen members of one group.
        Targeted, "targeted";
        /// `PUT /messages/rewrite/{msg_id}`: changes a message that was sent.
        Edit, "edit";
        /// `POST /messages/users`: to up to 600 users, each as a message of its own.
        User, "user";
        /// `POST /messages/chatrooms`: to everyone in up to ten chat rooms.
        Room, "room";
        /// `POST /messages/broadcast` or `POST /messages/users/broadcast`: to all users of the app, or to those online.
        Announce, "announce";
    }
}

words! {
    /// The users that an announcement goes to.
    UserScope {
        /// All users of the app. Those who are offline get it later.
        All, "all";
        /// The users who are online at that moment.
        Online, "online";
    }
}

impl UserScope {
    /// The shortest time between two announcements (contract). The service raises it for no one.
    pub const fn interval(self) -> Duration {
        match self {
            Self::All => Duration::from_mins(30),
            Self::Online => Duration::from_mins(1),
        }
    }

    /// The users in words: `all users`, `the users who are online`.
    pub const fn users(self) -> &'static str {
        match self {
            Self::All => "all users",
            Self::Online => "the users who are online",
        }
    }
}

impl Call {
    /// The function that sends such a message.
    pub const fn function(self) -> &'static str {
        match self {
            Self::Group => "im.group_send",
            Self::Targeted => "im.targeted_send",
            Self::Edit => "im.edit",
            Self::User => "im.user_send",
            Self::Room => "im.room_send",
            Self::Announce => "im.announce",
        }
    }

    /// The noun for one of its recipients. A targeted message and an edit have a group as well.
    pub const fn recipient(self) -> &'static str {
        match self {
            Self::Group | Self::Targeted | Self::Edit => "group",
            Self::User => "user",
            Self::Room => "room",
            Self::Announce => "announcement",
        }
    }

    /// The name of the field or column with a recipient's id.
    pub const fn id_field(self) -> &'static str {
        match self {
            Self::Group | Self::Targeted | Self::Edit => "group_id",
            Self::User | Self::Announce => "user_id",
            Self::Room => "room_id",
        }
    }
}
