//! Reads recipients from the ledger page by page and groups them into calls.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::core::Call;
use crate::ledger::{AppId, Lease, Ledger, LedgerError, Recipient, StoredSpec};
use crate::message::{Draft, Message, check_stored};

/// Recipients a page, more than one call may name. At most two pages are in memory at a time, whatever the size of the
/// broadcast.
const PAGE: u32 = 600;

/// The recipients and the message of one call.
#[derive(Debug)]
pub(super) struct CallBatch {
    /// One recipient, or as many with the same message as `pack` and the call allow.
    pub(super) recipients: Vec<Recipient>,
    /// The message, or why it can no longer be sent: the limits can be lowered after the plan was fixed.
    pub(super) message: Result<Message, String>,
    /// [`Ledger::suppression_writes`] when the recipients were compared with the suppression list.
    pub(super) compared_at: u64,
}

impl CallBatch {
    /// The time zone of its recipients, if they have one of their own.
    pub(super) fn zone(&self) -> Option<&str> {
        self.recipients.first()?.zone.as_deref()
    }
}

/// One pass over all pending recipients of a broadcast.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    ledger: &'a Ledger,
    lease: Lease,
    app: AppId,
    spec: &'a StoredSpec,
    call: Call,
    most: usize,
    /// The most bytes of a message.
    message_bytes: usize,
    after: i64,
    page: VecDeque<Recipient>,
    /// [`Ledger::suppression_writes`] when the page was read.
    compared_at: u64,
    /// Recipients that were skipped since the driver last asked.
    skipped: u64,
    /// When the first of the recipients that were passed over can be sent to.
    opens_at: Option<Duration>,
    /// How many recipients may still be returned. `None` for no limit.
    released: Option<usize>,
    ended: bool,
    /// The last message and its number. A broadcast without templates has only one message.
    draft: Option<(i64, Result<Draft, String>)>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        ledger: &'a Ledger,
        lease: Lease,
        app: AppId,
        spec: &'a StoredSpec,
        message_bytes: usize,
        released: Option<u64>,
    ) -> Self {
        let most = match spec.call {
            Call::Group | Call::User | Call::Room => {
                usize::from(spec.pack).clamp(1, spec.call.max_recipients())
            }
            Call::Targeted | Call::Edit | Call::Announce => 1,
        };
        let (page, draft) = (VecDeque::new(), None);
        Self {
            ledger,
            lease,
            app,
            spec,
            call: spec.call,
            most,
            message_bytes,
            after: 0,
            page,
            compared_at: 0,
            skipped: 0,
            opens_at: None,
            released: released.and_then(|released| usize::try_from(released).ok()),
            ended: false,
            draft,
        }
    }

    /// Whether the last batch was returned.
    pub(super) const fn ended(&self) -> bool {
        self.ended
    }

    /// The next batch; `None` after the last.
    ///
    /// `opens_at` says when the hours of a recipient's own time zone begin. None while they are open. Such a recipient is
    /// passed over.
    pub(super) async fn next(
        &mut self,
        opens_at: impl Fn(&Recipient) -> Option<Duration>,
    ) -> Result<Option<CallBatch>, LedgerError> {
        if self.released == Some(0) {
            self.ended = true;
            return Ok(None);
        }
        let most = self.most.min(self.released.unwrap_or(usize::MAX));
        if self.page.len() < self.most && !self.ended {
            self.compared_at = self.ledger.suppression_writes();
            let more = self.ledger.pending(self.lease, self.after, PAGE).await?;
            self.after = more.last().map_or(self.after, |recipient| recipient.seq);
            self.ended = more.is_empty();
            let skipped = self.ledger.skip_suppressed(self.lease, self.app, self.spec, &more).await?;
            self.skipped += skipped.len() as u64;
            let skipped: HashSet<i64> = skipped.into_iter().collect();
            let left = more.into_iter().filter(|recipient| !skipped.contains(&recipient.seq));
            for recipient in left {
                match opens_at(&recipient) {
                    Some(at) => self.opens_at = Some(self.opens_at.map_or(at, |first| first.min(at))),
                    None => self.page.push_back(recipient),
                }
            }
        }
        // Without recipients, the caller asks again unless this was the last page.
        let Some(first) = self.page.pop_front() else { return Ok(None) };
        self.ended = false;
        let mut recipients = vec![first];
        while recipients.len() < most
            && let Some(next) = self.page.pop_front_if(|next| goes_with(&recipients, next))
        {
            recipients.push(next);
        }
        self.released = self.released.map(|released| released - recipients.len());
        let message = self.message(&recipients);
        Ok(Some(CallBatch { recipients, message, compared_at: self.compared_at }))
    }

    /// When the first of the recipients that were passed over can be sent to, since 1970. None if there are none.
    pub(super) const fn opens_at(&self) -> Option<Duration> {
        self.opens_at
    }

    /// The recipients that were skipped since the last call of this.
    pub(super) const fn take_skipped(&mut self) -> u64 {
        std::mem::replace(&mut self.skipped, 0)
    }

    fn message(&mut self, recipients: &[Recipient]) -> Result<Message, String> {
        let Some(first) = recipients.first() else { return Err("a call without a recipient".to_owned()) };
        let number = first.message_number;
        if self.draft.as_ref().is_none_or(|(known, _)| *known != number) {
            self.draft = Some((number, read(self.call, &first.message, self.message_bytes)));
        }
        let Some((_, draft)) = &self.draft else { return Err("a call without a message".to_owned()) };
        let draft = draft.clone()?;
        let message = if let Some(message_id) = &first.target {
            draft.edit(first.group_id.clone(), message_id.clone())
        } else {
            let to = recipients.iter().map(|recipient| recipient.group_id.clone()).collect();
            draft.address(to, first.users.clone())
        };
        message.map_err(|problems| problems.to_string())
    }
}

/// Whether `next` may join the batch. A recipient that was tried before is sent to alone, because a failed call fails
/// for all its recipients.
fn goes_with(recipients: &[Recipient], next: &Recipient) -> bool {
    let fresh = |recipient: &Recipient| recipient.attempts == 0 && recipient.users.is_empty();
    let alike = |one: &Recipient| one.message_number == next.message_number && one.zone == next.zone;
    recipients.iter().all(|one| fresh(one) && alike(one)) && fresh(next)
}

fn read(call: Call, json: &[u8], message_bytes: usize) -> Result<Draft, String> {
    let json = serde_json::from_slice(json).map_err(|error| format!("the stored message: {error}"))?;
    check_stored(call, json, message_bytes).map_err(|problems| problems.to_string())
}
