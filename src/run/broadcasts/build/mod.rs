//! Builds a plan: checks recipients and messages, and adds them to the ledger.
//!
//! - `read`: the recipients of a file; `add`: recipients and their messages; `edit`: the sent messages to edit;
//!   `preflight`: the groups, at the service; `fix`: the plan as a whole.

mod add;
mod edit;
mod fix;
mod preflight;
mod read;

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::{BroadcastSpec, Call};
use crate::delivery::BroadcastSummary;
use crate::input::{Audience, AudienceOptions};
use crate::ledger::{AppId, BroadcastPlan, Exclusion, NewMessage, RecipientCounts, StoredSpec};
use crate::protocol::{FailureKind, HostResponse, RequestFailure};
use crate::run::services::RunServices;

use super::audience::{RawRecipient, RecipientError, named};
use super::change::StoredPlan;
use super::drive::LeasedBroadcast;
use super::fields::AudienceColumns;
use super::inputs::RecipientHasher;
use super::{ended, fault};
use edit::MessageEdits;

/// The progress of a plan that is being built, for display.
#[derive(Debug)]
pub struct PlanProgress {
    pub name: String,
    recipients: Cell<u64>,
}

impl PlanProgress {
    /// Returns the number of recipients added so far, including duplicates.
    pub fn recipients(&self) -> u64 {
        self.recipients.get()
    }
}

/// A plan that is being built.
pub(super) struct PlanBuilder {
    role: LeasedBroadcast,
    underway: Rc<PlanProgress>,
    request: BroadcastSpec,
    spec: StoredSpec,
    exclusion: Option<Exclusion>,
    /// The broadcast's `kind`, or set by the first recipient: a targeted call if it names users, otherwise a group call.
    call: Option<Call>,
    plain: SharedMessage,
    options: AudienceOptions,
    file: Option<Audience>,
    /// How the file was read (encoding, rows, separator) and its number of rows without text. Set once the whole file
    /// was read.
    read: Option<(String, u64)>,
    columns: AudienceColumns,
    /// The messages to edit, if the plan edits messages.
    edits: Option<MessageEdits>,
    /// The columns of the recipients for which the worker makes messages, by recipient number.
    awaited: HashMap<u64, Vec<(String, Value)>>,
    /// The number of recipients of the file that were passed to the worker.
    given: u64,
    /// Skipped lines, kept until the type of call is known: setting the type begins the plan again.
    held: Vec<String>,
    /// The stored plan, if this plan is built beside it.
    beside: Option<Box<StoredPlan>>,
    /// Hashes the recipients that were supplied one by one.
    drawn: RecipientHasher,
    /// The hash of the audience file before it was read.
    audience: Option<String>,
    checked: Option<BroadcastPlan>,
    /// Whether the stored plan has ended and already has all the recipients of this plan.
    nothing_new: bool,
}

/// The message that is the same for all recipients.
enum SharedMessage {
    Unread,
    Checked(NewMessage),
    /// In a rehearsal: the message is invalid, and the problem was noted.
    Wrong,
}

impl PlanBuilder {
    /// Begins a plan, and discards what an earlier attempt left.
    pub(super) async fn begin(
        mut role: LeasedBroadcast,
        request: BroadcastSpec,
        spec: StoredSpec,
        app: AppId,
        beside: Option<Box<StoredPlan>>,
    ) -> Result<Self, RequestFailure> {
        let begun = async {
            let options = AudienceOptions::of(&request)?;
            let exclusion = request.exclusion(&role.ledger, app).await?;
            role.ledger.discard_unbuilt(role.lease, &spec).await.map_err(fault)?;
            if request.kind.is_some() {
                role.broadcast.spec = spec.clone();
            }
            let edits = match &spec.corrects {
                Some(corrected) => Some(MessageEdits::open(&role.ledger, corrected).await?),
                None => None,
            };
            Ok((exclusion, options, edits))
        };
        match begun.await {
            Ok((exclusion, options, edits)) => {
                let underway = Rc::new(PlanProgress { name: request.name.clone(), recipients: Cell::new(0) });
                Ok(Self {
                    role,
                    underway,
                    spec,
                    exclusion,
                    call: if edits.is_some() { Some(Call::Edit) } else { request.kind },
                    request,
                    edits,
                    plain: SharedMessage::Unread,
                    options,
                    file: None,
                    read: None,
                    columns: AudienceColumns::default(),
                    awaited: HashMap::new(),
                    given: 0,
                    held: Vec::new(),
                    beside,
                    drawn: RecipientHasher::default(),
                    audience: None,
                    checked: None,
                    nothing_new: false,
                })
            }
            Err(failure) => {
                role.give_up(request.test_only || beside.is_some()).await;
                if let Some(beside) = beside {
                    beside.role.release().await;
                }
                Err(failure)
            }
        }
    }

    /// Returns the progress of the plan, which lasts as long as the builder.
    pub(super) fn underway(&self) -> Weak<PlanProgress> {
        Rc::downgrade(&self.underway)
    }

    /// Deletes the plan. Nothing of it was sent, and the next run builds it again.
    pub(super) async fn abandon(self) {
        let is_draft = self.request.test_only || self.beside.is_some();
        self.role.give_up(is_draft).await;
        if let Some(beside) = self.beside {
            beside.role.release().await;
        }
    }

    /// Whether only the test messages are sent.
    pub(super) const fn is_test_only(&self) -> bool {
        self.request.test_only
    }

    /// Whether only the test messages are sent, and the plan is checked, so that they may be sent now.
    pub(super) const fn is_being_tested(&self) -> bool {
        self.request.test_only && self.checked.is_some()
    }

    /// Whether the plan would add nothing to a broadcast that has ended.
    pub(super) const fn has_nothing_new(&self) -> bool {
        self.nothing_new
    }

    /// Discards a plan that adds nothing to a broadcast that has ended.
    pub(super) async fn leave_as_it_is(self, services: &RunServices) -> Result<HostResponse, RequestFailure> {
        let delivery = Rc::clone(&self.role.delivery);
        let role = self.beside.as_ref().map_or(&self.role, |beside| &beside.role);
        let broadcast = role.broadcast.clone();
        self.abandon().await;
        ended::already(services, &delivery, &broadcast)
    }

    /// Returns what the driver needs.
    pub(super) fn into_drive(self) -> LeasedBroadcast {
        let mut role = self.role;
        role.blank_rows = self.read.map_or(0, |(_, blank)| blank);
        role
    }

    /// Returns the next recipients of the file, for the script's message function.
    pub(super) async fn page(&mut self, services: &RunServices) -> Result<Value, RequestFailure> {
        if self.edits.is_some() {
            return self.edit_page().await;
        }
        let (given, done) = self.read(services).await?;
        let (mut items, mut lines) = (Vec::with_capacity(given.len()), Vec::with_capacity(given.len()));
        for (given, line, _) in given {
            let header = self.file.as_ref().and_then(Audience::header);
            let call = self.request.kind.unwrap_or(Call::Group);
            let fields = self.columns.of(given.recipient.clone(), header, call, &self.request.name);
            self.given += 1;
            if !fields.is_empty() {
                self.awaited.insert(self.given, fields);
            }
            items.push(given.recipient);
            lines.push(line);
        }
        Ok(json!({ "items": items, "lines": lines, "done": done }))
    }

    /// Adds the next recipients of the file to the plan. Returns whether they were the last.
    pub(super) async fn take(&mut self, services: &RunServices) -> Result<bool, RequestFailure> {
        if self.edits.is_some() {
            return self.edit_all_alike(services).await;
        }
        let (given, done) = self.read(services).await?;
        let named = given.into_iter().map(|(given, _, named)| (given, named)).collect();
        self.add(services, named).await?;
        Ok(done)
    }

    /// Adds a batch of the worker's recipients to the plan.
    pub(super) async fn append(
        &mut self,
        services: &RunServices,
        batch: &[u8],
    ) -> Result<(), RequestFailure> {
        let given: Vec<RawRecipient> = serde_json::from_slice(batch).map_err(|error| {
            RequestFailure::invalid("to", format!("the recipients cannot be read: {error}"))
        })?;
        if self.edits.is_some() {
            return self.edit_given(services, given).await;
        }
        let mut all = Vec::with_capacity(given.len());
        for given in given {
            match named(&given.recipient, &self.request) {
                Ok(named) => {
                    if self.request.path.is_none() {
                        self.drawn.add(&named, &given.recipient);
                    }
                    all.push((given, named));
                }
                Err(RecipientError(field, what)) => {
                    let why = RequestFailure::invalid(field, format!("{}: {what}", given.position()));
                    self.note(services, &given.position(), why)?;
                }
            }
        }
        self.add(services, all).await
    }

    /// Returns the recipients of a group, or the user or room, with their messages.
    pub(super) async fn rows(&self, group_id: &str) -> Result<Value, RequestFailure> {
        let call = self.request.kind.unwrap_or(Call::Group);
        let group_id = crate::message::id_text(call.id_field(), group_id, call.id_kind())
            .map_err(|problem| RequestFailure::invalid("group_id", problem.message))?;
        let rows = self.role.ledger.planned_for(self.role.broadcast.id, group_id).await.map_err(fault)?;
        rows.into_iter()
            .map(|(users, message)| {
                let message: Value = serde_json::from_slice(&message).map_err(|error| {
                    RequestFailure::new(
                        FailureKind::Invalid,
                        format!("a stored message cannot be read: {error}"),
                    )
                })?;
                Ok(json!({ "users": users, "message": message }))
            })
            .collect()
    }

    /// Returns the number under which problems still lack their line of the script.
    pub(super) fn unplaced(&self, services: &RunServices) -> Option<u64> {
        self.role.problems.filter(|number| services.policy.awaits_place(*number))
    }

    fn note(
        &self,
        services: &RunServices,
        recipient: &str,
        why: RequestFailure,
    ) -> Result<(), RequestFailure> {
        services.policy.note(self.role.problems, &self.request.name, recipient, why)
    }

    /// Returns the report of a broadcast that has no recipients, and deletes the broadcast.
    pub(super) async fn end_without_recipients(
        self,
        services: &RunServices,
        plan: &BroadcastPlan,
    ) -> Result<Value, RequestFailure> {
        let LeasedBroadcast { ledger, lease, mut broadcast, heartbeat, bad_lines, .. } = self.role;
        ledger.forget_unbuilt(lease).await.map_err(fault)?;
        drop(heartbeat);
        let (name, run) = (&broadcast.name, &broadcast.run);
        let left_out = plan.skipped.saturating_sub(bad_lines);
        if left_out > 0 {
            tracing::info!(
                "broadcast `{name}` (run {run}) has nothing to send: {left_out} recipients were left out. \
                 The ledger keeps nothing of it; the next call with the same name and run starts from the beginning"
            );
        } else {
            services.tally.no_recipients();
            let of = self.request.path.as_ref().map_or_else(String::new, |path| format!(" in `{path}`"));
            tracing::warn!(
                "broadcast `{name}` (run {run}): there are no recipients{of}; nothing was sent. The ledger \
                 keeps nothing of it: add recipients, then call it again with the same name and run"
            );
        }
        broadcast.counts = RecipientCounts { skipped: plan.skipped, ..RecipientCounts::default() };
        broadcast.duplicates = plan.duplicates;
        let mut report = json!(BroadcastSummary::new(&broadcast, &broadcast.counts, 0, Duration::ZERO));
        if bad_lines > 0 {
            report["bad_lines"] = Value::from(bad_lines);
        }
        if left_out == 0 {
            report["no_recipients"] = Value::Bool(true);
        }
        if let Some((_, empty @ 1..)) = self.read {
            report["empty_rows"] = Value::from(empty);
        }
        Ok(report)
    }
}
