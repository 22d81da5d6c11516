//! The specification of a broadcast.

use serde::{Deserialize, Serialize};

use super::BroadcastChanges;
use crate::core::{Call, GroupFindings, InDoubtPolicy, MessageCap, Person, Priority, Ramp};

/// The specification of a broadcast, as far as resuming it needs it. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredSpec {
    /// The call that sends its messages.
    pub call: Call,
    /// What happens to recipients in doubt.
    #[serde(default)]
    pub in_doubt: InDoubtPolicy,
    /// The number of recipients in one call: 1 to 3 groups, 600 users or 10 rooms.
    pub pack: u16,
    /// Its priority in a quota that it shares.
    #[serde(default)]
    pub priority: Priority,
    /// Its own rate limit in messages a second; `None` for no limit of its own.
    #[serde(default)]
    pub rate: Option<f64>,
    /// The sending window in the broadcast's own form. The broadcast waits outside of it.
    #[serde(default)]
    pub window: Option<serde_json::Value>,
    /// Whether it is also sent to recipients on the suppression list.
    #[serde(default)]
    pub overrides: bool,
    /// What kind of messages it sends, as its script names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// How many messages a group gets within a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<MessageCap>,
    /// The stages in which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// The condition by which it pauses itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_if: Option<String>,
    /// It needs an approval if it has more recipients than this; None if neither the settings nor its script demand one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_over: Option<u64>,
    /// Whether the messages of its test groups were sent before its plan was fixed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tested: bool,
    /// Whether its groups are looked up at the service before its plan is fixed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preflight: bool,
    /// The result of that look-up. `None` if `preflight` is false or the look-up failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Box<GroupFindings>>,
    /// Who requested the run that made its plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun_by: Vec<Person>,
    /// The text with which the marks of its messages begin; `None` if they have none.
    #[serde(default)]
    pub mark: Option<String>,
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
    /// The broadcast whose messages it edits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<CorrectedRun>,
    /// Other data that its driver stores.
    #[serde(default)]
    pub more: serde_json::Value,
}

impl StoredSpec {
    /// A specification with only default values.
    pub const fn new(call: Call) -> Self {
        Self {
            call,
            in_doubt: InDoubtPolicy::Hold,
            pack: 1,
            priority: Priority::Normal,
            rate: None,
            window: None,
            overrides: false,
            tag: None,
            cap: None,
            ramp: None,
            stop_if: None,
            approval_over: None,
            tested: false,
            preflight: false,
            targets: None,
            begun_by: Vec::new(),
            mark: None,
            stop_after_failures: None,
            script: None,
            inputs: Vec::new(),
            job: None,
            args: Vec::new(),
            compared_by: None,
            decision: None,
            changes: None,
            corrects: None,
            more: serde_json::Value::Null,
        }
    }
}

impl StoredSpec {
    /// The call whose recipients it has: for an edit, the call that sent the messages.
    pub fn recipients(&self) -> Call {
        self.corrects.as_ref().map_or(self.call, |corrected| corrected.call)
    }
}

/// The broadcast whose messages another one edits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrectedRun {
    pub id: i64,
    pub name: String,
    pub run: String,
    /// The call that sent its messages.
    #[serde(default = "to_groups")]
    pub call: Call,
}

/// The call of a broadcast that was stored before there were other recipients than groups.
const fn to_groups() -> Call {
    Call::Group
}

impl CorrectedRun {
    /// Returns `NAME/RUN`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.name, self.run)
    }
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
