//! The approval of a broadcast.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{MessageView, TargetsView};
use crate::core::utc;
use crate::delivery::SendingOutlook;
use crate::ledger::{Broadcast, Ledger, LedgerError, StoredSpec};

/// How many recipients are named at each end of a plan.
const NAMED: u32 = 5;

/// The approval that a broadcast needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalView {
    /// Whether it waits for the approval.
    pub awaited: bool,
    /// The hash of what the approval covers: recipients, messages, and the settings that change who gets what and when.
    /// `approve` and `reject` take it as `plan`.
    pub hash: String,
    /// The number of recipients that are neither skipped nor cancelled.
    pub recipients: u64,
    /// Who began it or changed its plan, and so cannot approve it. Empty if a schedule, a hook or an event began it.
    pub begun_by: Vec<String>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// When it was approved.
    pub approved_at: Option<String>,
    /// The approver's note.
    pub note: Option<String>,
}

impl ApprovalView {
    /// None if the broadcast needs no approval, or its plan is not fixed.
    pub fn of(broadcast: &Broadcast) -> Option<Self> {
        let hash = broadcast.approval_hash.clone().filter(|_| broadcast.needs_approval)?;
        let approval = broadcast.approval.as_ref();
        Some(Self {
            awaited: broadcast.awaits_approval(),
            hash,
            recipients: broadcast.recipients(),
            begun_by: broadcast.begun_by.iter().map(|person| person.name.clone()).collect(),
            approved_by: approval.map(|approval| approval.by.name.clone()),
            approved_at: approval.map(|approval| utc(approval.at)),
            note: approval.and_then(|approval| approval.note.clone()),
        })
    }
}

/// What an approver looks at: who gets what, and when, if the broadcast begins now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OutlookView {
    /// The first recipients.
    pub first: Vec<String>,
    /// The last recipients, in the plan's order. Empty if all are among the first.
    pub last: Vec<String>,
    /// The messages of the first recipient, of the last one, and the largest.
    pub samples: Vec<MessageView>,
    /// The number of the page's rehearsal whose plan its run follows.
    pub rehearsal: Option<i64>,
    /// Whether its test groups got their messages before the plan was fixed.
    pub tested: bool,
    /// Whether its groups were to be looked up at the service before the plan was fixed. A group that does not exist or is
    /// disabled would have refused the plan.
    pub preflight: bool,
    /// What that found. Absent if it was not asked for, or could not be done.
    pub targets: Option<TargetsView>,
    /// Recipients that are on the suppression list now, and would be skipped.
    pub suppressed: u64,
    /// Recipients that are at the cap now, and would be skipped.
    pub capped: u64,
    /// When it would begin. Absent where the broadcast's app is not configured.
    pub begins_at: Option<String>,
    /// When it would end, by its rate, its window and the pauses of its ramp.
    pub ends_at: Option<String>,
    /// How long it would take, in seconds.
    pub seconds: Option<f64>,
    /// The highest rate in recipients a second.
    pub rate: Option<f64>,
    /// The settings that change who gets what and when, as its script gave them: `window`, `cap`, `ramp`, `stop_if`, `tag`,
    /// `rate`, `in_doubt`, `override`.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

impl OutlookView {
    /// The outlook of a broadcast that waits for an approval; None for another one.
    pub async fn read(
        ledger: &Ledger,
        broadcast: &Broadcast,
        sending: Option<SendingOutlook>,
    ) -> Result<Option<Self>, LedgerError> {
        if !broadcast.awaits_approval() {
            return Ok(None);
        }
        let id = broadcast.id;
        let first = ledger.pending_samples(id, false, NAMED).await?;
        let mut last = ledger.pending_samples(id, true, NAMED).await?;
        let known = first.last().map_or(0, |recipient| recipient.seq);
        last.retain(|recipient| recipient.seq > known);
        last.reverse();
        let largest = ledger.largest_pending(id).await?;
        let named = |list: &[crate::ledger::RecipientMessage]| {
            list.iter().map(|recipient| recipient.group_id.clone()).collect::<Vec<_>>()
        };
        let (first_named, last_named) = (named(&first), named(&last));
        let mut samples: Vec<MessageView> = Vec::new();
        for found in first.into_iter().take(1).chain(last.pop()).chain(largest) {
            if samples.iter().all(|sample| sample.seq != found.seq) {
                samples.push(MessageView::read(ledger, broadcast, found).await?);
            }
        }
        Ok(Some(Self {
            first: first_named,
            last: last_named,
            samples,
            rehearsal: ledger.rehearsal_of(id).await?,
            tested: broadcast.spec.tested,
            preflight: broadcast.spec.preflight,
            targets: broadcast.spec.targets.as_deref().map(Into::into),
            suppressed: if broadcast.spec.overrides { 0 } else { ledger.count_suppressed(broadcast).await? },
            capped: ledger.count_capped(broadcast).await?,
            begins_at: sending.map(|sending| utc(sending.begins_at)),
            ends_at: sending.map(|sending| utc(sending.ends_at)),
            seconds: sending.map(|sending| sending.ends_at.saturating_sub(sending.begins_at).as_secs_f64()),
            rate: sending.map(|sending| sending.rate),
            settings: settings(&broadcast.spec),
        }))
    }
}

/// The settings of a broadcast that change who gets what and when.
fn settings(spec: &StoredSpec) -> Map<String, Value> {
    let value = |value: Option<Value>| value.filter(|value| !value.is_null());
    let window = spec.window.clone().map(|mut window| {
        // The days of a calendar can be many; `except` names it.
        window.as_object_mut().map(|fields| fields.remove("calendar"));
        window
    });
    let all = [
        ("window", value(window)),
        ("cap", value(serde_json::to_value(&spec.cap).ok())),
        ("ramp", value(serde_json::to_value(&spec.ramp).ok())),
        ("stop_if", value(serde_json::to_value(&spec.stop_if).ok())),
        ("tag", value(serde_json::to_value(&spec.tag).ok())),
        ("rate", value(serde_json::to_value(spec.rate).ok())),
        ("in_doubt", value(serde_json::to_value(spec.in_doubt).ok())),
        ("override", spec.overrides.then_some(Value::Bool(true))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
