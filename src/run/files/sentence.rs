//! The failures of file operations, as sentences that say what would help.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::io::Errno;

use crate::protocol::{FailureKind, RequestFailure};

use super::access::Access;

/// The most characters of a path that are shown.
const SHOWN: usize = 200;

/// Shortens a path for an error.
pub(super) fn shown(path: &str) -> String {
    if path.chars().count() <= SHOWN {
        return path.to_owned();
    }
    path.chars().take(SHOWN).chain(['…']).collect()
}

/// The failure of a malformed path, or of a path that leads to the wrong kind of file.
pub(super) fn invalid(path: &str, what: &str) -> RequestFailure {
    RequestFailure::invalid("path", format!("`{}` {what}", shown(path)))
}

/// The failure of a path outside all grants. `real` is the path to grant.
pub(super) fn outside(path: &str, real: &Path, access: Access) -> RequestFailure {
    let (doing, word) = match access {
        Access::Read => ("is outside the project", "read"),
        Access::Write => ("may not be written: scripts write in data/", "write"),
    };
    let real = shown(&real.display().to_string());
    denied(
        path,
        &format!("{doing}; to grant it: `[permissions] {word} = [\"{real}\"]` or --allow-{word}={real}"),
    )
}

/// The failure of a link whose target does not exist.
pub(super) fn nowhere(path: &str) -> RequestFailure {
    invalid(path, "is a link to a file that does not exist")
}

/// The failure of a link that leads out of the granted folder.
pub(super) fn escapes(path: &str, access: Access) -> RequestFailure {
    let word = match access {
        Access::Read => "read",
        Access::Write => "write",
    };
    denied(
        path,
        &format!(
            "leads out of the granted paths; use the real path, and grant it: `[permissions] {word}` or \
             --allow-{word}=PATH"
        ),
    )
}

/// The failure of a path that no permission opens.
pub(super) fn denied(path: &str, what: &str) -> RequestFailure {
    RequestFailure {
        field: Some("path".into()),
        ..RequestFailure::denied(format!("`{}` {what}", shown(path)))
    }
}

/// The failure that the system reported for an allowed path.
pub(super) fn of_system(path: &str, error: &io::Error) -> RequestFailure {
    match error.kind() {
        ErrorKind::NotFound => invalid(path, "is not there"),
        ErrorKind::NotADirectory => invalid(path, "leads through something that is not a folder"),
        ErrorKind::IsADirectory => invalid(path, "is a folder"),
        ErrorKind::AlreadyExists => invalid(path, "is there already"),
        ErrorKind::DirectoryNotEmpty => invalid(path, "is a folder that is not empty"),
        ErrorKind::InvalidFilename => invalid(path, "has a name that is too long"),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => nowhere(path),
        ErrorKind::PermissionDenied => denied(path, "is not accessible to the user that Mooncast runs as"),
        _ => RequestFailure {
            field: Some("path".into()),
            ..RequestFailure::new(FailureKind::Rejected, format!("`{}`: {error}", shown(path)))
        },
    }
}
