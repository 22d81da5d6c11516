//! Scripts and their status.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::form_of_row;
use crate::core::utc;
use crate::forms::FormField;
use crate::ledger::ScriptRow;

/// A script and its current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScriptView {
    /// Its path below the project's folder.
    pub name: String,
    /// The active version: a hash of the script and the modules that it requires. Absent if no version was ever loaded.
    pub version: Option<String>,
    /// When the active version was loaded.
    pub loaded_at: Option<String>,
    /// Why the file failed to load, if it did.
    pub error: Option<String>,
    /// When it first failed to load.
    pub stale_since: Option<String>,
    /// The arguments that it declares, in their order. Empty if it declares none.
    pub form: Vec<FormField>,
}

impl From<&ScriptRow> for ScriptView {
    fn from(script: &ScriptRow) -> Self {
        Self {
            name: script.name.clone(),
            version: script.hash.clone(),
            loaded_at: script.loaded_at.map(utc),
            error: script.error.clone(),
            stale_since: script.stale_since.map(utc),
            form: form_of_row(script).fields,
        }
    }
}
