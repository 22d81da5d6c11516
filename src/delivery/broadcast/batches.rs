//! Reads recipients from the ledger page by page and groups them into calls.

use std::collections::VecDeque;

use crate::core::Call;
use crate::ledger::{BroadcastSpec, Lease, Ledger, LedgerError, Recipient};
use crate::message::{Draft, GROUPS_PER_CALL, Message, MessageLimits, check_stored};

/// Recipients a page. One page is in memory at a time, whatever the size of the broadcast.
const PAGE: u32 = 512;

/// The recipients and the message of one call.
#[derive(Debug)]
pub(super) struct CallBatch {
    /// One recipient, or up to three groups with the same message.
    pub(super) recipients: Vec<Recipient>,
    /// The message, or why it can no longer be sent: the limits can be lowered after the plan was fixed.
    pub(super) message: Result<Message, String>,
}

/// One pass over all pending recipients of a broadcast.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    ledger: &'a Ledger,
    lease: Lease,
    call: Call,
    most: usize,
    limits: MessageLimits,
    after: i64,
    page: VecDeque<Recipient>,
    ended: bool,
    /// The last message and its number. A broadcast without templates has only one message.
    draft: Option<(i64, Result<Draft, String>)>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(ledger: &'a Ledger, lease: Lease, spec: &BroadcastSpec, limits: MessageLimits) -> Self {
        let most = match spec.call {
            Call::Group => usize::from(spec.pack).clamp(1, GROUPS_PER_CALL),
            Call::Targeted => 1,
        };
        let (page, draft) = (VecDeque::new(), None);
        Self { ledger, lease, call: spec.call, most, limits, after: 0, page, ended: false, draft }
    }

    /// Whether the last batch was returned.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }

    /// The next batch; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<CallBatch>, LedgerError> {
        if self.page.len() < self.most && !self.ended {
            let more = self.ledger.pending(self.lease, self.after, PAGE).await?;
            self.after = more.last().map_or(self.after, |recipient| recipient.seq);
            self.ended = more.is_empty();
            self.page.extend(more);
        }
        let Some(first) = self.page.pop_front() else { return Ok(None) };
        self.ended = false;
        let mut recipients = vec![first];
        while recipients.len() < self.most
            && let Some(next) = self.page.pop_front_if(|next| goes_with(&recipients, next))
        {
            recipients.push(next);
        }
        let message = self.message(&recipients);
        Ok(Some(CallBatch { recipients, message }))
    }

    fn message(&mut self, recipients: &[Recipient]) -> Result<Message, String> {
        let Some(first) = recipients.first() else { return Err("a call without a recipient".to_owned()) };
        let number = first.message_number;
        if self.draft.as_ref().is_none_or(|(known, _)| *known != number) {
            self.draft = Some((number, read(self.call, &first.message, self.limits)));
        }
        let Some((_, draft)) = &self.draft else { return Err("a call without a message".to_owned()) };
        let to = recipients.iter().map(|recipient| recipient.group_id.clone()).collect();
        draft.clone()?.address(to, first.users.clone()).map_err(|problems| problems.to_string())
    }
}

/// Whether `next` may join the batch. A recipient that was tried before is sent to alone, because a failed call fails
/// for all its recipients.
fn goes_with(recipients: &[Recipient], next: &Recipient) -> bool {
    let fresh = |recipient: &Recipient| recipient.attempts == 0 && recipient.users.is_empty();
    recipients.iter().all(|one| fresh(one) && one.message_number == next.message_number) && fresh(next)
}

fn read(call: Call, json: &[u8], limits: MessageLimits) -> Result<Draft, String> {
    let json = serde_json::from_slice(json).map_err(|error| format!("the stored message: {error}"))?;
    check_stored(call, json, &limits).map_err(|problems| problems.to_string())
}
