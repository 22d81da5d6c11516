//! Maps a request to a call.

use std::fmt;
use std::str::FromStr;

use axum::http::Method;

use super::groups;
use super::history::FILES;
use super::refusal::{NOT_FOUND, Refusal, WRONG_METHOD};
use super::settings::SimulatorSettings;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceCall {
    /// `POST /token`
    Token,
    /// `POST /messages/chatgroups`
    Send,
    /// `POST /messages/chatgroups/users`
    Targeted,
    /// `POST /messages/users`
    Users,
    /// `POST /messages/chatrooms`
    Rooms,
    /// `POST /messages`, the old call for all recipients
    Messages,
    /// `POST /messages/broadcast`
    AnnounceAll,
    /// `POST /messages/users/broadcast`
    AnnounceOnline,
    /// `POST /chatfiles`
    Upload,
    /// `GET /chatfiles/{uuid}`
    Download,
    /// `GET /chatgroups`
    Groups,
    /// `GET /chatgroups/{id}/users`
    Members,
    /// `GET /chatgroups/{ids}`
    GroupDetails,
    /// A call that creates or changes a group, or reads its announcement.
    GroupChange,
    /// `POST /messages/batch_recall`
    Recall,
    /// `PUT /messages/rewrite/{msg_id}`
    Rewrite,
    /// `GET /chatmessages/{hour}`
    History,
    /// The history file that [`Self::History`] names. It is outside the app's prefix and takes no token.
    HistoryFile,
    /// A callback. The service makes this call, to the app's own server.
    Callback,
}

impl ServiceCall {
    pub const ALL: [Self; 19] = [
        Self::Token,
        Self::Send,
        Self::Targeted,
        Self::Users,
        Self::Rooms,
        Self::Messages,
        Self::AnnounceAll,
        Self::AnnounceOnline,
        Self::Upload,
        Self::Download,
        Self::Groups,
        Self::Members,
        Self::GroupDetails,
        Self::GroupChange,
        Self::Recall,
        Self::Rewrite,
        Self::History,
        Self::HistoryFile,
        Self::Callback,
    ];

    /// Returns the call's name in fault rules and in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Messages => "messages",
            Self::Send => "send",
            Self::Targeted => "targeted",
            Self::Users => "users",
            Self::Rooms => "rooms",
            Self::AnnounceAll => "announce-all",
            Self::AnnounceOnline => "announce-online",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Groups => "groups",
            Self::Members => "members",
            Self::GroupDetails => "group-details",
            Self::GroupChange => "group-change",
            Self::Recall => "recall",
            Self::Rewrite => "rewrite",
            Self::History => "history",
            Self::HistoryFile => "history-file",
            Self::Callback => "callback",
        }
    }
}

impl fmt::Display for ServiceCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for ServiceCall {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|call| call.name() == name).ok_or(())
    }
}

/// A call with the id in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) call: ServiceCall,
    /// The id of the file, group or message, the ids of groups, the hour, the name of the history file, or the path below
    /// `/chatgroups` of a change. `msg_recall` for the recall of a single message. Empty for other paths without an id.
    pub(super) id: &'a str,
}

/// Returns the call of a path behind the prefix, or of a history file's path.
pub(super) fn route<'a>(
    settings: &SimulatorSettings,
    method: &Method,
    path: &'a str,
) -> Result<Route<'a>, Refusal> {
    if let Some(name) = path.strip_prefix(FILES) {
        let call = ServiceCall::HistoryFile;
        return if *method == Method::GET { Ok(Route { call, id: name }) } else { Err(WRONG_METHOD) };
    }
    let rest = settings.behind_prefix(path).and_then(|rest| rest.strip_prefix('/')).ok_or(NOT_FOUND)?;
    // Older clients end the paths of lists with a slash.
    let rest = if settings.strict { rest } else { rest.strip_suffix('/').unwrap_or(rest) };
    let parts: Vec<&str> = rest.split('/').collect();
    if let ["chatgroups", below @ ..] = &parts[..]
        && let Some(call) = groups::call(method, below)
    {
        let id = rest.strip_prefix("chatgroups").unwrap_or_default();
        return Ok(Route { call, id: id.strip_prefix('/').unwrap_or(id) });
    }
    let (call, right_method, id) = match parts[..] {
        ["token"] => (ServiceCall::Token, Method::POST, ""),
        ["messages"] if !settings.strict => (ServiceCall::Messages, Method::POST, ""),
        ["messages", "chatgroups"] => (ServiceCall::Send, Method::POST, ""),
        ["messages", "chatgroups", "users"] => (ServiceCall::Targeted, Method::POST, ""),
        ["messages", "users"] => (ServiceCall::Users, Method::POST, ""),
        ["messages", "chatrooms"] => (ServiceCall::Rooms, Method::POST, ""),
        ["messages", "msg_recall"] if !settings.strict => (ServiceCall::Recall, Method::POST, "msg_recall"),
        ["messages", "broadcast"] => (ServiceCall::AnnounceAll, Method::POST, ""),
        ["messages", "users", "broadcast"] => (ServiceCall::AnnounceOnline, Method::POST, ""),
        ["messages", "batch_recall"] => (ServiceCall::Recall, Method::POST, ""),
        ["messages", "rewrite", id] => (ServiceCall::Rewrite, Method::PUT, id),
        ["chatmessages", hour] => (ServiceCall::History, Method::GET, hour),
        ["chatfiles"] => (ServiceCall::Upload, Method::POST, ""),
        ["chatfiles", uuid] => (ServiceCall::Download, Method::GET, uuid),
        ["chatgroups"] => (ServiceCall::Groups, Method::GET, ""),
        ["chatgroups", id, "users"] => (ServiceCall::Members, Method::GET, id),
        _ => return Err(NOT_FOUND),
    };
    if *method == right_method { Ok(Route { call, id }) } else { Err(WRONG_METHOD) }
}
