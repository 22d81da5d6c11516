//! What a broadcast was asked to be.

use serde::{Deserialize, Serialize};

use crate::message::MessageCall;

use super::BroadcastChanges;

/// What a broadcast was asked to be, as far as resuming it needs to know. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BroadcastSpec {
    /// Which call sends its messages.
    #[serde(with = "call")]
    pub call: MessageCall,
    /// What becomes of those that are in doubt.
    #[serde(default)]
    pub in_doubt: InDoubtPolicy,
    /// Groups a call, 1 to 3.
    pub pack: u8,
    /// Its part of a quota that others use too.
    #[serde(default)]
    pub priority: BroadcastPriority,
    /// A cap of its own, in messages a second.
    #[serde(default)]
    pub rate: Option<f64>,
    /// The hours outside which it waits, as the broadcast said them.
    #[serde(default)]
    pub window: Option<serde_json::Value>,
    /// After how many failures in a row it pauses; none for the default.
    #[serde(default)]
    pub stop_after_failures: Option<u64>,
    /// The script that made it.
    #[serde(default)]
    pub script: Option<ScriptRef>,
    /// What its plan was made of; empty for one that was made before this was kept.
    #[serde(default)]
    pub inputs: Vec<PlanInput>,
    /// The run of a job that asked for it; none under `mooncast run`.
    #[serde(default)]
    pub job: Option<JobRunRef>,
    /// The arguments of the script that asked for it.
    #[serde(default)]
    pub args: Vec<String>,
    /// The number of the ledger's owner that built its plan for a daemon, or compared its inputs last.
    #[serde(default)]
    pub compared_by: Option<i64>,
    /// What an operator decided about its changed inputs.
    #[serde(default)]
    pub decision: Option<OperatorDecision>,
    /// In what its inputs differ, while it is paused for that.
    #[serde(default)]
    pub changes: Option<BroadcastChanges>,
    /// Anything else that its driver wants to find again.
    #[serde(default)]
    pub more: serde_json::Value,
}

impl BroadcastSpec {
    /// A broadcast with nothing but defaults.
    #[must_use]
    pub const fn new(call: MessageCall) -> Self {
        Self {
            call,
            in_doubt: InDoubtPolicy::Hold,
            pack: 1,
            priority: BroadcastPriority::Normal,
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

/// What becomes of recipients that are in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InDoubtPolicy {
    /// They are reported, and left to a person.
    #[default]
    Hold,
    /// They are sent again.
    Resend,
}

/// A broadcast's part of a quota that others use too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BroadcastPriority {
    /// Ahead of the others.
    High,
    /// As most.
    #[default]
    Normal,
    /// What the others leave.
    Low,
}

/// Something that a plan was made of, by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanInput {
    /// What it is.
    pub kind: InputKind,
    /// Which one: a path, or the name of a module; empty where there is one only.
    #[serde(default)]
    pub name: String,
    /// SHA-256 of its content, in hexadecimal.
    pub hash: String,
}

/// The kinds of what a plan is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputKind {
    /// The script's text.
    Script,
    /// A module that was required.
    Module,
    /// A file that the script read.
    File,
    /// The arguments of the script.
    Arguments,
    /// The fields of the broadcast.
    Fields,
    /// The file of the recipients.
    Audience,
    /// The recipients that were drawn from a list or an iterator.
    Recipients,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRunRef {
    /// The job's name.
    pub name: String,
    /// The scheduled time of the run, in milliseconds since 1970.
    pub scheduled_at: u64,
}

/// What an operator decided about a broadcast whose inputs changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorDecision {
    /// It goes on with its stored plan.
    Continue,
    /// The next run of its script plans anew what is left.
    Replan,
}

/// Which script made a broadcast, to tell when it has changed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRef {
    /// Its path as it was given.
    pub path: String,
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
}

/// Calls by their names.
mod call {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::message::MessageCall;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(call: &MessageCall, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match call {
            MessageCall::Group => "group",
            MessageCall::Targeted => "targeted",
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MessageCall, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "group" => Ok(MessageCall::Group),
            "targeted" => Ok(MessageCall::Targeted),
            other => Err(D::Error::custom(format!("unknown call {other}"))),
        }
    }
}
