//! A message's `body`: one variant for each type, with the fields of the vendor's page.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::MessageKind;

/// The content of a message. Serialises to the `body` of the vendor's page and leaves out fields that were not given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum MessageBody {
    Txt {
        /// The text; may be empty.
        msg: String,
    },
    /// An image.
    Img {
        url: String,
        /// The share-secret that opens the file, if its access is restricted.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<ShareSecret>,
        /// The name that clients show.
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<ImageSize>,
        /// The file's size in bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        file_length: Option<u64>,
    },
    /// A voice message.
    Audio {
        url: String,
        /// The share-secret that opens the file, if its access is restricted.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<ShareSecret>,
        /// The name that clients show.
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        /// Duration in seconds. The vendor's table writes `Length` and its example `length`; `length` is sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
        /// The file's size in bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        file_length: Option<u64>,
    },
    Video {
        url: String,
        /// The share-secret that opens the file, if its access is restricted.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<ShareSecret>,
        /// The name that clients show.
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        /// Duration in seconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
        /// The file's size in bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        file_length: Option<u64>,
        /// The URL of the thumbnail.
        #[serde(skip_serializing_if = "Option::is_none")]
        thumb: Option<String>,
        /// The share-secret that opens the thumbnail, if its access is restricted.
        #[serde(skip_serializing_if = "Option::is_none")]
        thumb_secret: Option<ShareSecret>,
    },
    /// Any other file.
    File {
        url: String,
        /// The share-secret that opens the file, if its access is restricted.
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<ShareSecret>,
        /// The name that clients show.
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<String>,
        /// The file's size in bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        file_length: Option<u64>,
    },
    /// A location.
    Loc {
        /// Latitude in degrees.
        lat: String,
        /// Longitude in degrees.
        lng: String,
        /// The address in words.
        addr: String,
    },
    /// A command for the members' clients, which do not show it.
    Cmd {
        /// The command.
        action: String,
        /// The command's own fields.
        #[serde(skip_serializing_if = "Option::is_none")]
        param: Option<Map<String, Value>>,
    },
    /// An event that the app defines itself.
    Custom {
        /// The app's name for the event, `[a-zA-Z0-9-_/\.]{1,32}`.
        #[serde(rename = "customEvent", skip_serializing_if = "Option::is_none")]
        event: Option<String>,
        /// The event's properties, 16 at most.
        #[serde(rename = "customExts", skip_serializing_if = "Option::is_none")]
        exts: Option<BTreeMap<String, String>>,
    },
}

impl MessageBody {
    /// Returns the type of message that has this body.
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Txt { .. } => MessageKind::Txt,
            Self::Img { .. } => MessageKind::Img,
            Self::Audio { .. } => MessageKind::Audio,
            Self::Video { .. } => MessageKind::Video,
            Self::File { .. } => MessageKind::File,
            Self::Loc { .. } => MessageKind::Loc,
            Self::Cmd { .. } => MessageKind::Cmd,
            Self::Custom { .. } => MessageKind::Custom,
        }
    }
}

/// An image's size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImageSize {
    /// Width in pixels.
    pub width: u64,
    /// Height in pixels.
    pub height: u64,
}

/// The secret that opens a file of restricted access. It is sent with its message and never shown.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ShareSecret(String);

impl ShareSecret {
    pub(super) fn new(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for ShareSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ShareSecret(hidden)")
    }
}
