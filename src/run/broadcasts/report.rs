//! The reports and the progress of broadcasts, as scripts see them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ledger::{Broadcast, RecipientCounts};

/// Creates the report of an ended broadcast. `elapsed` and `sent_now` cover only the driver that ended it.
pub(super) fn of(broadcast: &Broadcast, sent_now: u64, elapsed: Duration, bad_lines: u64) -> Value {
    let counts = &broadcast.counts;
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { sent_now as f64 / seconds } else { 0.0 };
    let mut report = json!({
        "name": broadcast.name,
        "run": broadcast.run,
        "total": counts.total(),
        "sent": counts.sent,
        "rejected": counts.rejected,
        "in_doubt": counts.in_doubt,
        "skipped": counts.skipped,
        "cancelled": counts.cancelled,
        "duplicates": broadcast.duplicates,
        "elapsed": seconds,
        "rate": rate,
    });
    if bad_lines > 0 {
        report["bad_lines"] = Value::from(bad_lines);
    }
    report
}

/// Returns the stored report with the current counts, because recipients in doubt may have been settled since.
pub(super) fn stored(broadcast: &Broadcast) -> Value {
    let kept: Value = broadcast
        .report
        .as_deref()
        .and_then(|report| serde_json::from_str(report).ok())
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    let mut report = of(broadcast, 0, Duration::ZERO, 0);
    for field in ["elapsed", "rate", "bad_lines", "empty_rows"] {
        if let Some(value) = kept.get(field) {
            report[field] = value.clone();
        }
    }
    report
}

pub(super) fn progress(counts: &RecipientCounts) -> Value {
    json!({
        "total": counts.total(),
        "pending": counts.pending,
        "sending": counts.sending,
        "sent": counts.sent,
        "rejected": counts.rejected,
        "in_doubt": counts.in_doubt,
        "skipped": counts.skipped,
        "cancelled": counts.cancelled,
    })
}
