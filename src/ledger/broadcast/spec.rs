//! The specification of a broadcast.

use serde::{Deserialize, Serialize};

use super::BroadcastChanges;
use crate::core::{Call, Priority};

/// The specification of a broadcast, as far as resuming it needs it. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BroadcastSpec {
    /// The call that sends its messages.
    pub call: Call,
    /// What happens to recipients in doubt.
    #[serde(default)]
    pub in_doubt: InDoubtPolicy,
    /// The number of groups in one call, 1 to 3.
    pub pack: u8,
    /// Its priority in a quota that it shares.
    #[serde(default)]
    pub priority: Priority,
    /// Its own rate limit in messages a second; `None` for no limit of its own.
    #[serde(default)]
    pub rate: Option<f64>,
    /// The sending window in the broadcast's own form. The broadcast waits outside of it.
    #[serde(default)]
    pub window: Option<serde_json::Value>,
    /// The number of consecutive failures after which it pauses; `None` for the default.
    #[serde(default)]
    pub stop_after_failures: Option<u64>,
    /// The script that created it.
    #[serde(default)]
    pub script: Option<ScriptRef>,
    /// The inputs of its plan. Empty for a broadcast from before inputs were recorded.
    #[serde(default)]
    pub inputs: Vec<PlanInput>,
    /// The job run that requested it; `None` under `mooncast run`.
    #[serde(default)]
    pub job: Option<JobRunRef>,
    /// The arguments of the script that requested it.
    #[serde(default)]
    pub args: Vec<String>,
    /// The number of the instance that built its plan for a daemon, or last compared its inputs.
    #[serde(default)]
    pub compared_by: Option<i64>,
    /// An operator's decision about its changed inputs.
    #[serde(default)]
    pub decision: Option<OperatorDecision>,
    /// How its inputs changed, while it is paused because of that.
    #[serde(default)]
    pub changes: Option<BroadcastChanges>,
    /// Other data that its driver stores.
    #[serde(default)]
    pub more: serde_json::Value,
}

impl BroadcastSpec {
    /// A specification with only default values.
    pub const fn new(call: Call) -> Self {
        Self {
            call,
            in_doubt: InDoubtPolicy::Hold,
            pack: 1,
            priority: Priority::Normal,
            rate: None,
            window: None,
            stop_after_failures: None,
            script: None,
            inputs: Vec::new(),
            job: None,
            args: Vec::new(),
            compared_by: None,
            decision: None,
            changes: None,
            more: serde_json::Value::Null,
        }
    }
}

/// What happens to recipients in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InDoubtPolicy {
    /// They are reported, and a person settles them.
    #[default]
    Hold,
    /// They are sent again.
    Resend,
}

/// An input of a plan, with a hash of its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanInput {
    pub kind: InputKind,
    /// A path, or the name of a module; empty if there is only one input of the kind.
    #[serde(default)]
    pub name: String,
    /// SHA-256 of its content, in hexadecimal.
    pub hash: String,
}

/// The kinds of inputs of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    Script,
    /// A module that the script required.
    Module,
    /// A file that the script read.
    File,
    Arguments,
    Fields,
    /// The recipients file.
    Audience,
    /// The recipients from a list or an iterator.
    Recipients,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRunRef {
    pub name: String,
    /// The scheduled time of the run, in milliseconds since 1970.
    pub scheduled_at: u64,
}

/// An operator's decision about a broadcast whose inputs changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorDecision {
    /// The broadcast continues with its stored plan.
    Continue,
    /// The next run of its script plans the unsent part again.
    Replan,
}

/// The script that created a broadcast, to detect later changes of the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRef {
    pub path: String,
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
}
