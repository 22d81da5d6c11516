//! Scripts and their status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::utc;
use crate::ledger::ScriptRow;

/// A script as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScriptView {
    /// Its path below the project's folder.
    pub name: String,
    /// The version in force: the hash of its bytes and of those that it requires. None where none ever was.
    pub version: Option<String>,
    /// When that was loaded.
    pub loaded_at: Option<String>,
    /// Why the file as it is now is not in force.
    pub error: Option<String>,
    /// Since when.
    pub stale_since: Option<String>,
}

impl From<&ScriptRow> for ScriptView {
    fn from(script: &ScriptRow) -> Self {
        Self {
            name: script.name.clone(),
            version: script.hash.clone(),
            loaded_at: script.loaded_at.map(utc),
            error: script.error.clone(),
            stale_since: script.stale_since.map(utc),
        }
    }
}
