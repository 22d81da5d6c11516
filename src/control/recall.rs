//! Recalls the messages of a broadcast.

use std::rc::Rc;

use tokio_util::sync::CancellationToken;

use super::{ActionResult, ControlError, span};
use crate::delivery::{BroadcastRecallSummary, Delivery, RecallOptions};
use crate::ledger::{Attachment, Broadcast, Ledger};

/// The app that a broadcast was sent through, with its ledger open.
pub async fn app_of<'a>(
    apps: &'a [Rc<Delivery>],
    found: &Broadcast,
) -> Result<&'a Rc<Delivery>, ControlError> {
    for app in apps {
        if app.entry().await?.is_some_and(|(_, id)| id == found.app) {
            return Ok(app);
        }
    }
    Err(ControlError::Refused(format!("its app {} is not configured in this project", found.app_key)))
}

/// Recalls what was sent, and says what could not be recalled.
pub async fn recall(
    ledger: &Ledger,
    apps: &[Rc<Delivery>],
    found: &Broadcast,
    options: &RecallOptions,
) -> Result<(ActionResult, BroadcastRecallSummary), ControlError> {
    let app = app_of(apps, found).await?;
    let stop = CancellationToken::new();
    let summary = app.recall_broadcast(ledger, found, options, &stop).await?;
    let mut message = format!("{}: {} recalled", found.full_name(), summary.recalled);
    let within = span(options.within.as_secs_f64());
    let counts = [
        (summary.before, "were recalled before".to_owned()),
        (summary.too_late, format!("not recalled: sent more than {within} ago")),
        (summary.commands, "are commands, which the service cannot recall".to_owned()),
        (
            summary.in_doubt,
            "in doubt and not recalled: the service returned no ids for their messages".to_owned(),
        ),
    ];
    let refused = summary.refused.iter().map(|(reason, count)| (*count, format!("not recalled: {reason}")));
    for (count, what) in counts.into_iter().chain(refused).filter(|(count, _)| *count > 0) {
        message = format!("{message}; {count} {what}");
    }
    if !summary.attachments.is_empty() {
        let files: Vec<String> = summary.attachments.iter().map(Attachment::to_string).collect();
        message = format!("{message}; the service deletes the files of these messages: {}", files.join(", "));
    }
    Ok((ActionResult::counted(summary.recalled, message), summary))
}
