//! Maps a request to a call.

use std::fmt;
use std::str::FromStr;

use axum::http::Method;

use super::refusal::{NOT_FOUND, Refusal, WRONG_METHOD};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceCall {
    /// `POST /token`
    Token,
    /// `POST /messages/chatgroups`
    Send,
    /// `POST /messages/chatgroups/users`
    Targeted,
    /// `POST /chatfiles`
    Upload,
    /// `GET /chatfiles/{uuid}`
    Download,
    /// `GET /chatgroups`
    Groups,
    /// `GET /chatgroups/{id}/users`
    Members,
    /// `POST /messages/batch_recall`
    Recall,
}

impl ServiceCall {
    pub const ALL: [Self; 8] = [
        Self::Token,
        Self::Send,
        Self::Targeted,
        Self::Upload,
        Self::Download,
        Self::Groups,
        Self::Members,
        Self::Recall,
    ];

    /// Returns the call's name in fault rules and in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Send => "send",
            Self::Targeted => "targeted",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Groups => "groups",
            Self::Members => "members",
            Self::Recall => "recall",
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
    /// The file's uuid or the group's id. Empty for a path without an id.
    pub(super) id: &'a str,
}

/// Returns the call of a path behind the prefix.
pub(super) fn route<'a>(prefix: &str, method: &Method, path: &'a str) -> Result<Route<'a>, Refusal> {
    let rest = path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).ok_or(NOT_FOUND)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let (call, right_method, id) = match parts[..] {
        ["token"] => (ServiceCall::Token, Method::POST, ""),
        ["messages", "chatgroups"] => (ServiceCall::Send, Method::POST, ""),
        ["messages", "chatgroups", "users"] => (ServiceCall::Targeted, Method::POST, ""),
        ["messages", "batch_recall"] => (ServiceCall::Recall, Method::POST, ""),
        ["chatfiles"] => (ServiceCall::Upload, Method::POST, ""),
        ["chatfiles", uuid] => (ServiceCall::Download, Method::GET, uuid),
        ["chatgroups"] => (ServiceCall::Groups, Method::GET, ""),
        ["chatgroups", id, "users"] => (ServiceCall::Members, Method::GET, id),
        _ => return Err(NOT_FOUND),
    };
    if *method == right_method { Ok(Route { call, id }) } else { Err(WRONG_METHOD) }
}
