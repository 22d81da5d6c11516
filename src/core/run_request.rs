//! The arguments and conditions of a requested run of a script.

use serde::{Deserialize, Serialize};

/// The arguments of a requested run, and the limits on what it may send.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "StoredRunRequest", into = "StoredRunRequest")]
pub struct RunRequest {
    pub args: Vec<String>,
    /// The plan of the rehearsal that the run must follow.
    pub plan: Option<String>,
    /// Whether only the test messages of campaigns are sent.
    pub test_only: bool,
}

/// The form in the ledger. An older program cannot read `Held`, so it does not start such a run, and cannot
/// send more than the request allows.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum StoredRunRequest {
    Plain(Vec<String>),
    Held { args: Vec<String>, plan: Option<String>, test_only: bool },
}

impl RunRequest {
    /// A run with these arguments that may send anything.
    pub fn of(args: &[String]) -> Self {
        Self { args: args.to_vec(), ..Self::default() }
    }
}

impl From<StoredRunRequest> for RunRequest {
    fn from(stored: StoredRunRequest) -> Self {
        match stored {
            StoredRunRequest::Plain(args) => Self { args, ..Self::default() },
            StoredRunRequest::Held { args, plan, test_only } => Self { args, plan, test_only },
        }
    }
}

impl From<RunRequest> for StoredRunRequest {
    fn from(RunRequest { args, plan, test_only }: RunRequest) -> Self {
        if plan.is_none() && !test_only { Self::Plain(args) } else { Self::Held { args, plan, test_only } }
    }
}
