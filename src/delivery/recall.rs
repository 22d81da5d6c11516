//! Recalls sent messages.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::client::{self, RECALL_MAX};
use crate::core::{Call, FailureKind, RequestFailure};
use crate::ledger::{Attachment, Broadcast, BroadcastCommand, Ledger, LedgerError, RecallableMessage};

use super::Delivery;
use super::correction::has_own_messages;
use super::lazy_ledger::retry_until_written;
use super::record::unrecorded;

/// Messages that are read from the ledger at once: a multiple of the messages in a call.
const PAGE: u32 = 900;

#[derive(Debug, Default, Serialize)]
pub struct RecallSummary {
    /// The number of recalled messages.
    pub recalled: usize,
    /// The messages that were not recalled.
    pub failed: Vec<FailedMessage>,
    /// The files that the service deletes with the messages, as far as the ledger knows the messages.
    pub attachments: Vec<Attachment>,
}

/// A message that was not recalled or edited.
#[derive(Debug, Serialize)]
pub struct FailedMessage {
    pub group_id: String,
    pub message_id: String,
    pub reason: String,
}

impl Delivery {
    /// Recalls messages, 30 a call (contract). A recall is safe to repeat: a recalled message stays recalled.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`] when a call fails. Messages recalled before that stay recalled.
    pub async fn recall(
        &self,
        receipts: &[(String, String)],
        options: &RecallOptions,
        stop: &CancellationToken,
    ) -> Result<RecallSummary, RequestFailure> {
        if let Some(transport) = &self.transport {
            transport.recall(receipts.len() as u64, None);
            return Ok(RecallSummary { recalled: receipts.len(), ..RecallSummary::default() });
        }
        let entry = self.entry().await?;
        let mut outcome = RecallSummary::default();
        if let Some((open, app)) = entry {
            let ids: Vec<&str> = receipts.iter().map(|(_, id)| id.as_str()).collect();
            let attachments = open.ledger.attachments_of(app, &ids).await.map_err(|error| unread(&error))?;
            options.allow(&attachments)?;
            open.ledger.forget_uploads(app, &attachments).await.map_err(|error| unread(&error))?;
            outcome.attachments = attachments;
        }
        for batch in receipts.chunks(RECALL_MAX) {
            let messages: Vec<client::Recall> =
                batch.iter().map(|(to, message)| options.of(message, to, options.kind)).collect();
            let answers = self.ask(stop, || self.client.recall(&messages)).await?;
            if let Some((open, app)) = entry {
                let done: Vec<&str> =
                    answers.iter().filter(|one| one.recalled).map(|one| one.msg_id.as_str()).collect();
                let marked =
                    retry_until_written(&self.clock, || open.ledger.mark_messages_recalled(app, &done)).await;
                marked.map_err(|error| unrecorded(&error))?;
            }
            for answer in answers {
                if answer.recalled {
                    outcome.recalled += 1;
                } else {
                    let group_id = batch
                        .iter()
                        .find(|(_, message)| *message == answer.msg_id)
                        .map_or_else(String::new, |(group, _)| group.clone());
                    let reason = if answer.note.is_empty() { "not recalled".to_owned() } else { answer.note };
                    outcome.failed.push(FailedMessage { group_id, message_id: answer.msg_id, reason });
                }
            }
        }
        Ok(outcome)
    }
}

/// How a broadcast is recalled.
#[derive(Debug, Clone)]
pub struct RecallOptions {
    /// The call that sent the messages, if they are not of a broadcast.
    pub kind: Call,
    /// Whether messages of any age are recalled.
    pub force: bool,
    /// How long after its sending a message can be recalled.
    pub within: Duration,
    /// The user that recalls; `None` for the service's default.
    pub from: Option<String>,
    /// A text for the members' clients.
    pub note: Option<String>,
    /// Whether the recall goes on if it deletes files that other messages use.
    pub with_attachments: bool,
}

impl RecallOptions {
    /// Refuses a recall that deletes files which other messages use, unless it is asked for.
    fn allow(&self, attachments: &[Attachment]) -> Result<(), RequestFailure> {
        let shared: Vec<String> =
            attachments.iter().filter(|file| !file.used_by.is_empty()).map(Attachment::to_string).collect();
        if self.with_attachments || shared.is_empty() {
            return Ok(());
        }
        let why = format!(
            "nothing was recalled: with these messages the service deletes files that other messages use: {}; `--with-attachments` recalls all the same (in Lua and over the API `with_attachments = true`, on the page the tick in the question)",
            shared.join("; ")
        );
        Err(RequestFailure::invalid("with_attachments", why))
    }

    /// Returns the recall of one message.
    fn of(&self, message_id: &str, to: &str, call: Call) -> client::Recall {
        client::Recall {
            msg_id: message_id.to_owned(),
            to: to.to_owned(),
            call,
            from: self.from.clone(),
            force: self.force,
            note: self.note.clone(),
        }
    }
}

impl Default for RecallOptions {
    /// The time that the service grants every app (contract).
    fn default() -> Self {
        Self {
            kind: Call::Group,
            force: false,
            within: Duration::from_mins(2),
            from: None,
            note: None,
            with_attachments: false,
        }
    }
}

/// The result of the recall of a broadcast. Every recipient that may have the message is counted once.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct BroadcastRecallSummary {
    pub recalled: u64,
    /// Messages that an earlier recall recalled.
    pub before: u64,
    /// Messages for which no recall was requested, because the time to recall them has passed.
    pub too_late: u64,
    /// Messages that the service did not recall, by its reason.
    pub refused: BTreeMap<String, u64>,
    /// Command messages. The service cannot recall them (contract), so no recall was requested.
    pub commands: u64,
    /// Recipients in doubt. The ids of their messages are unknown.
    pub in_doubt: u64,
    /// The files that the service deletes with these messages.
    pub attachments: Vec<Attachment>,
}

impl Delivery {
    /// Recalls the sent messages of a broadcast, the oldest first, 30 a call (contract). The ledger records the result
    /// of each message, so a later recall does not repeat it.
    ///
    /// # Errors
    ///
    /// [`RequestFailure`] while the broadcast is being sent, when other broadcasts use its files
    /// ([`RecallOptions::with_attachments`]), and when a call fails. Messages recalled before that stay recalled.
    pub async fn recall_broadcast(
        &self,
        ledger: &Ledger,
        broadcast: &Broadcast,
        options: &RecallOptions,
        stop: &CancellationToken,
    ) -> Result<BroadcastRecallSummary, RequestFailure> {
        has_own_messages(broadcast, "recall")?;
        if let Some(transport) = &self.transport {
            let recalled = broadcast.counts.sent;
            transport.recall(recalled, Some(broadcast));
            return Ok(BroadcastRecallSummary { recalled, ..BroadcastRecallSummary::default() });
        }
        let (name, run) = (&broadcast.name, &broadcast.run);
        if !broadcast.is_over() && broadcast.driver.is_some() && broadcast.command == BroadcastCommand::Run {
            let why = format!(
                "broadcast `{name}` (run {run}) is being sent right now, so its rest would go out after the recall; pause or cancel it first (`mooncast runs cancel`)"
            );
            return Err(RequestFailure::invalid("path", why));
        }
        let attachments = ledger.attachments(broadcast.id).await.map_err(|error| unread(&error))?;
        options.allow(&attachments)?;
        // Before the first recall, so that a crash after it leaves no deleted file in the cache.
        ledger.forget_uploads(broadcast.app, &attachments).await.map_err(|error| unread(&error))?;
        let mut summary = BroadcastRecallSummary {
            attachments,
            in_doubt: broadcast.counts.in_doubt,
            before: ledger.recalled(broadcast.id).await.map_err(|error| unread(&error))?.done,
            ..BroadcastRecallSummary::default()
        };
        let mut after = 0;
        loop {
            let page =
                ledger.sent_receipts(broadcast.id, after, PAGE).await.map_err(|error| unread(&error))?;
            let Some(last) = page.last() else { return Ok(summary) };
            after = last.seq;
            let first = page.first().map_or(after, |first| first.seq);
            let sent = ledger.planned_messages(broadcast.id, (first, after)).await;
            let commands: HashSet<i64> = sent
                .map_err(|error| unread(&error))?
                .into_iter()
                .filter(|(_, message)| is_command(message))
                .map(|(seq, _)| seq)
                .collect();
            let many = page.len();
            let mut wanted: Vec<_> = page;
            wanted.retain(|one| !commands.contains(&one.seq));
            summary.commands += (many - wanted.len()) as u64;
            let mut wanted = wanted.into_iter();
            loop {
                let now = self.clock.unix_time();
                let in_time = |one: &RecallableMessage| {
                    options.force || now.saturating_sub(one.sent_at) <= options.within
                };
                let mut batch = Vec::with_capacity(RECALL_MAX);
                while batch.len() < RECALL_MAX
                    && let Some(one) = wanted.next()
                {
                    if in_time(&one) { batch.push(one) } else { summary.too_late += 1 }
                }
                if batch.is_empty() {
                    break;
                }
                self.recall_receipts(ledger, broadcast, &batch, options, stop, &mut summary).await?;
            }
        }
    }

    /// Recalls a batch. The service may refuse a whole call because of one of its messages. Then the halves of the
    /// batch are tried, down to that message.
    async fn recall_receipts(
        &self,
        ledger: &Ledger,
        broadcast: &Broadcast,
        batch: &[RecallableMessage],
        options: &RecallOptions,
        stop: &CancellationToken,
        summary: &mut BroadcastRecallSummary,
    ) -> Result<(), RequestFailure> {
        let messages: Vec<client::Recall> =
            batch.iter().map(|one| options.of(&one.message_id, &one.group_id, broadcast.spec.call)).collect();
        let mut answers = Vec::with_capacity(batch.len());
        match self.ask(stop, || self.client.recall(&messages)).await {
            Ok(recalled) => {
                for one in batch {
                    let answer = recalled.iter().find(|answer| answer.msg_id == one.message_id);
                    let done = answer.is_some_and(|answer| answer.recalled);
                    if done {
                        summary.recalled += 1;
                    } else {
                        let note = answer.map_or("the service did not answer for it", |answer| &answer.note);
                        let why = if note.is_empty() { "the service gave no reason" } else { note };
                        *summary.refused.entry(why.to_owned()).or_default() += 1;
                    }
                    answers.push((one.seq, done));
                }
            }
            // Recall is switched off for the app, so no smaller call would pass.
            Err(refused) if refused.code.as_deref() == Some("forbidden_op") => return Err(refused),
            Err(refused) if matches!(refused.kind, FailureKind::Rejected) => {
                if batch.len() > 1 {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    for half in [first, second] {
                        Box::pin(self.recall_receipts(ledger, broadcast, half, options, stop, summary))
                            .await?;
                    }
                    return Ok(());
                }
                *summary.refused.entry(refused.message).or_default() += 1;
                answers.extend(batch.iter().map(|one| (one.seq, false)));
            }
            Err(other) => return Err(other),
        }
        retry_until_written(&self.clock, || ledger.mark_recalled(broadcast.id, &answers)).await.map_err(
            |error| {
                RequestFailure::new(
                    FailureKind::Unreachable,
                    format!("{error}; {} were recalled", summary.recalled),
                )
            },
        )
    }
}

fn unread(error: &LedgerError) -> RequestFailure {
    RequestFailure::new(FailureKind::Unreachable, format!("{error}; nothing was recalled"))
}

fn is_command(message: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct TypeOf<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
    }
    serde_json::from_str::<TypeOf<'_>>(message).is_ok_and(|message| message.kind == "cmd")
}
