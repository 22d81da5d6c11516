//! The eight types of message.

use std::fmt;

/// The type of a message: the values of its `type` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    Txt,
    /// An image.
    Img,
    /// A voice message.
    Audio,
    Video,
    /// Any other file.
    File,
    /// A location.
    Loc,
    /// A command for the members' clients, which do not show it.
    Cmd,
    /// An event that the app defines itself.
    Custom,
}

impl MessageKind {
    /// Every type, in the order of the vendor's page.
    pub const ALL: [Self; 8] =
        [Self::Txt, Self::Img, Self::Audio, Self::Video, Self::File, Self::Loc, Self::Cmd, Self::Custom];

    /// Returns the service's name for this type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Img => "img",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::File => "file",
            Self::Loc => "loc",
            Self::Cmd => "cmd",
            Self::Custom => "custom",
        }
    }

    /// Returns the type with exactly this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a message of this type carries an uploaded file, so that `body.file` may fill its fields.
    pub const fn has_file(self) -> bool {
        matches!(self, Self::Img | Self::Audio | Self::Video | Self::File)
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Returns the names of the eight types, in the order of the vendor's page.
pub fn types() -> impl Iterator<Item = &'static str> {
    MessageKind::ALL.into_iter().map(MessageKind::name)
}
