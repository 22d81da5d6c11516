//! What was asked for with a run of a script.

use serde::{Deserialize, Serialize};

/// The arguments of a requested run, and how it is held.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "StoredRunRequest", into = "StoredRunRequest")]
pub struct RunRequest {
    pub args: Vec<String>,
    /// The plan of the rehearsal that the run must follow.
    pub plan: Option<String>,
    /// Whether only the test messages of campaigns are sent.
    pub test_only: bool,
}

/// The form in the ledger. A program that does not know the second one cannot take such a run, and so cannot send more than
/// was asked for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum StoredRunRequest {
    Plain(Vec<String>),
    Held { args: Vec<String>, plan: Option<String>, test_only: bool },
}

impl RunRequest {
    /// A run with these arguments, which is not held.
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
