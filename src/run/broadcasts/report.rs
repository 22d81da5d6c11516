//! The reports of broadcasts that ended before, as scripts see them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::delivery::BroadcastSummary;
use crate::ledger::Broadcast;

/// Returns the stored report with the current counts, because recipients in doubt may have been settled since.
pub(super) fn stored(broadcast: &Broadcast) -> Value {
    let kept: Value = broadcast
        .report
        .as_deref()
        .and_then(|report| serde_json::from_str(report).ok())
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    let mut report = json!(BroadcastSummary::new(broadcast, &broadcast.counts, 0, Duration::ZERO));
    for field in ["elapsed", "rate", "bad_lines", "empty_rows"] {
        if let Some(value) = kept.get(field) {
            report[field] = value.clone();
        }
    }
    report
}
