//! Who started a run on the command line.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who started a run on the command line, and what it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandLineStart {
    /// The user of the system.
    pub user: String,
    /// The name of the machine.
    pub host: String,
    /// The job of the script, if it runs only this job.
    #[serde(default)]
    pub job: Option<String>,
}
