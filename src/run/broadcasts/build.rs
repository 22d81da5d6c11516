//! Builds a plan: checks recipients and messages, and adds them to the ledger.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use crate::core::Call;
use crate::delivery::{BroadcastSummary, CrashPoint};
use crate::input::{Audience, AudienceOptions, InputError, RecipientLine};
use crate::ledger::{
    AppId, Broadcast, BroadcastPlan, BroadcastSpec, Exclusion, InDoubtPolicy, InputKind, LedgerError,
    NewMessage, NewRecipient, PlanDifference, PlanInput, RecipientCounts,
};
use crate::protocol::{FailureKind, HostResponse, RequestFailure};

use super::audience::{GroupMembers, RawRecipient, RecipientError, named};
use super::change::{self, OnChange, StoredPlan};
use super::drive::LeasedBroadcast;
use super::ended;
use super::fault;
use super::fields::AudienceColumns;
use super::inputs::{self, RecipientHasher};
use super::request::BroadcastRequest;
use crate::run::rehearsal::BroadcastOrigin;
use crate::run::send_policy::FixedBroadcast;
use crate::run::services::RunServices;

/// Recipients read from a file at once.
const PAGE: usize = 500;

/// The most skipped lines that are logged one by one. The plan records all of them.
const TOLD: usize = 5;

/// How often, and how long each time, a replan waits for other hosts to release the broadcast.
const LET_GO_TRIES: u32 = 60;
const LET_GO: Duration = Duration::from_millis(500);

/// Recipients that are checked before other tasks get their turn.
const IN_TURN: usize = 32;

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
    asked: BroadcastRequest,
    spec: BroadcastSpec,
    exclusion: Option<Exclusion>,
    /// Set by the first recipient: a targeted call if it names users, otherwise a group call.
    call: Option<Call>,
    plain: SharedMessage,
    options: AudienceOptions,
    file: Option<Audience>,
    /// How the file was read (encoding, rows, separator) and its number of rows without text. Set once the whole file
    /// was read.
    read: Option<(String, u64)>,
    columns: AudienceColumns,
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
        role: LeasedBroadcast,
        asked: BroadcastRequest,
        spec: BroadcastSpec,
        app: AppId,
        beside: Option<Box<StoredPlan>>,
    ) -> Result<Self, RequestFailure> {
        let begun = async {
            let options = asked.options()?;
            let exclusion = asked.exclusion(&role.ledger, app).await?;
            role.ledger.discard_unbuilt(role.lease, &spec).await.map_err(fault)?;
            Ok((exclusion, options))
        };
        match begun.await {
            Ok((exclusion, options)) => {
                let underway = Rc::new(PlanProgress { name: asked.name.clone(), recipients: Cell::new(0) });
                Ok(Self {
                    role,
                    underway,
                    asked,
                    spec,
                    exclusion,
                    call: None,
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
                role.release().await;
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

    /// Abandons the plan. Nothing of it was sent, and the next run builds it again.
    pub(super) async fn abandon(self) {
        let draft = self.asked.test_only || self.beside.is_some();
        let (ledger, lease) = (self.role.ledger.clone(), self.role.lease);
        if draft && let Err(error) = ledger.delete_draft(lease).await {
            tracing::warn!("the plan that was built beside `{}` is left for later: {error}", self.asked.name);
        }
        self.role.release().await;
        if let Some(beside) = self.beside {
            beside.role.release().await;
        }
    }

    /// Whether only the test messages are sent.
    pub(super) const fn is_test_only(&self) -> bool {
        self.asked.test_only
    }

    /// Whether only the test messages are sent, and the plan is checked, so that they may be sent now.
    pub(super) const fn is_being_tested(&self) -> bool {
        self.asked.test_only && self.checked.is_some()
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
        let (given, done) = self.read(services).await?;
        let (mut items, mut lines) = (Vec::with_capacity(given.len()), Vec::with_capacity(given.len()));
        for (given, line, _) in given {
            let header = self.file.as_ref().and_then(Audience::header);
            let fields = self.columns.of(given.recipient.clone(), header, &self.asked.name);
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
        let mut all = Vec::with_capacity(given.len());
        for given in given {
            match named(&given.recipient) {
                Ok(named) => {
                    if self.asked.path.is_none() {
                        self.drawn.add(&named, &given.recipient);
                    }
                    all.push((given, named));
                }
                Err(RecipientError(field, what)) => {
                    let why = RequestFailure::invalid(field, format!("{}: {what}", given.place()));
                    self.note(services, &given.place(), why)?;
                }
            }
        }
        self.add(services, all).await
    }

    /// Reads the remaining recipients, and checks the plan as a whole. Nothing of it can be sent yet.
    pub(super) async fn check(&mut self, services: &RunServices) -> Result<BroadcastPlan, RequestFailure> {
        if self.call.is_none() && self.asked.message.is_some() {
            // No recipient gets this message, but its author needs to know if it is invalid.
            self.plain_message(services, Call::Group)?;
        }
        self.put_held().await?;
        self.tell_read();
        let audience = self.audience_read(services).await?;
        self.spec.inputs = inputs::of_plan(services, &self.asked, audience);
        let role = self.beside.as_ref().map_or(&self.role, |beside| &beside.role);
        let Broadcast { name, run, .. } = &role.broadcast;
        let wanted = if self.asked.test_only { None } else { services.policy.plan_hash(&role.broadcast)? };
        let (lease, max) = (self.role.lease, self.asked.max_recipients);
        let plan = self.role.ledger.check_plan(lease, self.exclusion.as_ref(), max, wanted.as_deref()).await;
        let plan = plan.map_err(|error| not_planned(error, name, run))?;
        if let Some(beside) = self.beside.as_ref().filter(|beside| beside.role.broadcast.is_over()) {
            let difference = self.role.ledger.difference(beside.role.broadcast.id, lease.broadcast).await;
            if difference.map_err(fault)?.added == 0 {
                self.nothing_new = true;
                let nothing = BroadcastPlan { total: 0, ..plan };
                self.checked = Some(nothing.clone());
                return Ok(nothing);
            }
        }
        if self.beside.as_ref().is_some_and(|beside| beside.on_change != OnChange::Replan) {
            return Err(self.refuse(services).await);
        }
        if plan.total == 0 && self.beside.is_some() {
            return Err(RequestFailure::invalid(
                "to",
                format!(
                    "the new plan of broadcast `{name}` (run {run}) has no recipients, so the stored one stays; to send nothing more of it, cancel it: mooncast runs cancel"
                ),
            ));
        }
        self.checked = Some(plan.clone());
        Ok(plan)
    }

    /// Fixes the plan. A plan that was built beside a stored plan replaces it.
    pub(super) async fn fix(&mut self, services: &RunServices) -> Result<BroadcastPlan, RequestFailure> {
        if self.asked.test_only {
            return Err(RequestFailure::invalid("test_only", "only the test is sent"));
        }
        let checked = match self.checked.take() {
            Some(checked) => checked,
            None => self.check(services).await?,
        };
        if self.nothing_new {
            return Ok(checked);
        }
        let plan = if self.beside.is_some() {
            self.replan(services, &checked).await?;
            checked
        } else {
            let lease = self.role.lease;
            self.role.ledger.keep_spec(lease, &self.spec).await.map_err(fault)?;
            self.role.broadcast.spec = self.spec.clone();
            let (exclusion, max) = (self.exclusion.as_ref(), self.asked.max_recipients);
            let Broadcast { name, run, .. } = &self.role.broadcast;
            let plan = self.role.ledger.fix_checked(lease, exclusion, max, checked).await;
            plan.map_err(|error| not_planned(error, name, run))?
        };
        services.policy.fixed(FixedBroadcast {
            app: self.role.delivery.name(),
            broadcast: &self.role.broadcast,
            spec: &self.spec,
            how: BroadcastOrigin::Built,
            plan: plan.clone(),
            bad_lines: self.role.bad_lines,
            read: self.read.as_ref().map(|(read, _)| read.clone()),
        });
        Ok(plan)
    }

    /// Returns the recipients of a group, with their messages.
    pub(super) async fn rows(&self, group_id: &str) -> Result<Value, RequestFailure> {
        let group_id = crate::message::id_text("group_id", group_id, crate::message::IdKind::Group)
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

    /// Returns the hash of the recipients as an input. A file that changed while it was read is an error.
    async fn audience_read(&self, services: &RunServices) -> Result<PlanInput, RequestFailure> {
        let Some(path) = &self.asked.path else {
            let hash = self.drawn.hash();
            return Ok(PlanInput { kind: InputKind::Recipients, name: String::new(), hash });
        };
        let file = services.files.open_upload(path).await.map_err(of_to)?.file;
        let (_, hash) = inputs::of_file(file).await?;
        if self.audience.as_ref().is_some_and(|before| *before != hash) {
            return Err(RequestFailure::invalid(
                "to",
                format!(
                    "`{path}` was changed while it was read; nothing was sent. Run it again once the file is complete"
                ),
            ));
        }
        Ok(PlanInput { kind: InputKind::Audience, name: path.clone(), hash })
    }

    /// Reports how this plan differs from the stored one, and pauses the broadcast.
    async fn refuse(&self, services: &RunServices) -> RequestFailure {
        let Some(beside) = &self.beside else {
            return RequestFailure::new(FailureKind::Invalid, "there is no stored plan");
        };
        let stored = &beside.role.broadcast;
        let difference = match self.role.ledger.difference(stored.id, self.role.broadcast.id).await {
            Ok(difference) => difference,
            Err(error) => return fault(error),
        };
        // This run made its messages with the old code, so they are no evidence of what the new code makes.
        let first = difference.first.filter(|first| !beside.old_code || first.old != first.new);
        let difference = PlanDifference { first, ..difference };
        if stored.is_over() {
            // Recipients that already have the message get nothing again, so changed texts and removed recipients do
            // not matter.
            let added = PlanDifference {
                added: difference.added,
                first_added: difference.first_added,
                ..PlanDifference::default()
            };
            services.broadcasts.refused.set(true);
            return ended::refused(stored, &change::lines(&beside.changed, &added));
        }
        let lines = change::lines(&beside.changed, &difference);
        let changes = change::changes(&beside.changed, Some(difference));
        services.broadcasts.refused.set(true);
        if let Err(failure) = change::hold(&beside.role, &change::note(&lines), changes).await {
            return failure;
        }
        for line in &lines {
            tracing::warn!("broadcast `{}` (run {}): {line}", stored.name, stored.run);
        }
        change::refused(stored, &lines)
    }

    /// Replaces the stored plan with this plan, and continues as its builder.
    async fn replan(&mut self, services: &RunServices, plan: &BroadcastPlan) -> Result<(), RequestFailure> {
        let Some(beside) = self.beside.as_mut() else { return Ok(()) };
        let (ledger, draft) = (&self.role.ledger, self.role.lease);
        let delivery = Rc::clone(&self.role.delivery);
        let lease = beside.role.lease;
        delivery.pass(CrashPoint::BeforeReplan);
        // Other hosts release a broadcast that is paused for changed inputs.
        for _ in 0..LET_GO_TRIES {
            if !ledger.has_other_drivers(lease).await.map_err(fault)? {
                break;
            }
            services.clock.sleep(LET_GO).await;
        }
        ledger.take_over_as(lease, InDoubtPolicy::Hold).await.map_err(fault)?;
        let step = || delivery.pass(CrashPoint::InReplan);
        let replanned = ledger.replan(lease, draft, plan, &self.spec, &step).await.map_err(fault)?;
        delivery.pass(CrashPoint::AfterReplan);
        let (name, run, left) = (&replanned.name, &replanned.run, replanned.counts.pending);
        tracing::info!("broadcast `{name}` (run {run}) goes on by its new plan: {left} recipients are left");
        let Some(beside) = self.beside.take() else { return Ok(()) };
        let mut role = beside.role;
        role.bad_lines = self.role.bad_lines;
        role.problems = self.role.problems;
        role.broadcast = replanned;
        self.role = role;
        Ok(())
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
        services.policy.note(self.role.problems, &self.asked.name, recipient, why)
    }

    /// Returns the valid lines of the next page of the file, and whether they are its last.
    async fn read(
        &mut self,
        services: &RunServices,
    ) -> Result<(Vec<(RawRecipient, u64, GroupMembers)>, bool), RequestFailure> {
        let path = self
            .asked
            .path
            .clone()
            .ok_or_else(|| RequestFailure::new(FailureKind::Invalid, "this broadcast reads no file"))?;
        let unreadable = |fault: InputError| RequestFailure::invalid("to", format!("`{path}`: {fault}"));
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            Audience::check_name(&path, &self.options)
                .map_err(|(field, what)| RequestFailure::invalid(field, what))?;
            let file = services.files.open_upload(&path).await.map_err(of_to)?.file;
            let (file, hash) = inputs::of_file(file).await?;
            self.audience = Some(hash);
            let (path, options) = (path.clone(), self.options.clone());
            blocking(move || Audience::open(&path, file, &options)).await?.map_err(unreadable)?
        };
        let (file, page) = blocking(move || {
            let mut file = file;
            let page = file.page(PAGE);
            (file, page)
        })
        .await?;
        let page = page.map_err(unreadable)?;
        let done = file.is_over();
        if done {
            self.read = Some((file.read_as(), file.blank_rows()));
        }
        self.file = Some(file);
        let (mut good, mut bad) = (Vec::with_capacity(page.len()), Vec::new());
        for RecipientLine { number, value } in page {
            let read = value.map_err(|fault| RecipientError("to", fault.to_string())).and_then(|value| {
                let at_line =
                    |RecipientError(field, what)| RecipientError(field, format!("line {number}: {what}"));
                let named = named(&value).map_err(at_line)?;
                Ok((RawRecipient::of_line(value, number), number, named))
            });
            match read {
                Ok(read) => good.push(read),
                Err(RecipientError(_, what)) if self.asked.skip_bad => bad.push(what),
                Err(RecipientError(field, what)) => {
                    let what = format!("`{path}`: {what} (`skip_bad = true` leaves such lines out)");
                    self.note(services, &format!("line {number}"), RequestFailure::invalid(field, what))?;
                }
            }
        }
        self.skip(&path, bad).await?;
        Ok((good, done))
    }

    /// Adds the skipped lines to the plan, each with its reason.
    async fn skip(&mut self, path: &str, bad: Vec<String>) -> Result<(), RequestFailure> {
        if bad.is_empty() {
            return Ok(());
        }
        let told = usize::try_from(self.role.bad_lines).unwrap_or(usize::MAX);
        for what in bad.iter().take(TOLD.saturating_sub(told)) {
            tracing::warn!("broadcast `{}`: `{path}`: {what}; the line is left out", self.asked.name);
        }
        self.role.bad_lines += bad.len() as u64;
        self.held.extend(bad);
        if self.call.is_some() { self.put_held().await } else { Ok(()) }
    }

    async fn put_held(&mut self) -> Result<(), RequestFailure> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        self.role.ledger.append_skipped(self.role.lease, &held).await.map_err(fault)
    }

    /// Logs how the file was read, and how many of its lines are skipped.
    fn tell_read(&self) {
        let (name, run) = (&self.asked.name, &self.role.broadcast.run);
        if let (Some((read, _)), Some(path)) = (&self.read, &self.asked.path) {
            tracing::info!("broadcast `{name}` (run {run}): `{path}` read as {read}");
        }
        match self.role.bad_lines {
            0 => {}
            1 => tracing::warn!("broadcast `{name}`: 1 bad line was skipped"),
            many => tracing::warn!("broadcast `{name}`: {many} bad lines were skipped"),
        }
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
                "broadcast `{name}` (run {run}) has nothing to send: {left_out} recipients were left out; nothing of it is kept, and the same name and run begin anew"
            );
        } else {
            services.tally.no_recipients();
            let of = self.asked.path.as_ref().map_or_else(String::new, |path| format!(" in `{path}`"));
            tracing::warn!(
                "broadcast `{name}` (run {run}): there are no recipients{of}; nothing was sent, and nothing of it is kept: once there are some, the same name and run send to them"
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

    async fn add(
        &mut self,
        services: &RunServices,
        named: Vec<(RawRecipient, GroupMembers)>,
    ) -> Result<(), RequestFailure> {
        let Some((_, first)) = named.first() else { return Ok(()) };
        let call = match self.call {
            Some(call) => call,
            None => self.decide(first.call()).await?,
        };
        self.put_held().await?;
        let mut recipients = Vec::with_capacity(named.len());
        for (index, (given, named)) in named.into_iter().enumerate() {
            if index % IN_TURN == IN_TURN - 1 {
                // The host has one thread: other tasks get their turn here.
                tokio::task::yield_now().await;
            }
            if named.call() != call {
                let why = RequestFailure::invalid("users", format!("{}: {}", given.place(), mixed(call)));
                self.note(services, &given.place(), why)?;
                continue;
            }
            let message = match given.message {
                None => match self.plain_message(services, call)? {
                    Some(plain) => Some(plain),
                    None => continue,
                },
                Some(Value::Null) => None,
                Some(ref message) => {
                    let place = format!("{} (group {})", given.place(), named.group_id);
                    match self.checked(services, call, message.clone(), Some(&place)) {
                        Ok(message) => Some(message),
                        Err(why) => {
                            self.note(services, &place, why)?;
                            continue;
                        }
                    }
                }
            };
            let known = self.awaited.remove(&given.number());
            let fields = known.unwrap_or_else(|| {
                let header = self.file.as_ref().and_then(Audience::header);
                self.columns.of(given.recipient, header, &self.asked.name)
            });
            let mut fields = Some(fields);
            let mut parts = named.split().into_iter().peekable();
            while let Some((group_id, users)) = parts.next() {
                let fields = if parts.peek().is_some() { fields.clone() } else { fields.take() };
                recipients.push(NewRecipient {
                    group_id,
                    users,
                    message: message.clone(),
                    fields: fields.unwrap_or_default(),
                });
            }
        }
        if self.beside.is_some() {
            self.role.delivery.pass(CrashPoint::InDraft);
        }
        self.role.ledger.append(self.role.lease, &recipients).await.map_err(fault)?;
        let so_far = self.underway.recipients() + recipients.len() as u64;
        self.underway.recipients.set(so_far);
        Ok(())
    }

    /// Sets the type of call from the first recipient, and stores it with the broadcast.
    async fn decide(&mut self, call: Call) -> Result<Call, RequestFailure> {
        if call == Call::Targeted {
            // Targeted messages are never packed into one call.
            self.spec = BroadcastSpec { call, pack: 1, ..self.spec.clone() };
            self.role.ledger.discard_unbuilt(self.role.lease, &self.spec).await.map_err(fault)?;
            self.role.broadcast.spec = self.spec.clone();
        } else {
            self.role.broadcast.spec = self.spec.clone();
        }
        self.call = Some(call);
        Ok(call)
    }

    /// Returns the shared message. It is `None` in a rehearsal that noted a problem with the message.
    fn plain_message(
        &mut self,
        services: &RunServices,
        call: Call,
    ) -> Result<Option<NewMessage>, RequestFailure> {
        match &self.plain {
            SharedMessage::Unread => {}
            SharedMessage::Checked(plain) => return Ok(Some(plain.clone())),
            SharedMessage::Wrong => return Ok(None),
        }
        let message = self
            .asked
            .message
            .clone()
            .ok_or_else(|| RequestFailure::invalid("message", "the broadcast has no message"))?;
        match self.checked(services, call, message, None) {
            Ok(plain) => {
                self.plain = SharedMessage::Checked(plain.clone());
                Ok(Some(plain))
            }
            Err(why) => {
                self.note(services, "", why)?;
                self.plain = SharedMessage::Wrong;
                Ok(None)
            }
        }
    }

    fn checked(
        &self,
        services: &RunServices,
        call: Call,
        message: Value,
        place: Option<&str>,
    ) -> Result<NewMessage, RequestFailure> {
        let draft = self.role.delivery.check_draft(call, message).map_err(|problems| {
            let listed: Vec<_> = problems.iter().map(|p| (p.field.clone(), p.message.clone())).collect();
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            RequestFailure {
                field: listed.first().map(|(field, _)| field.as_str().into()),
                problems: listed,
                ..RequestFailure::new(FailureKind::Invalid, format!("{place}{problems}"))
            }
        })?;
        let content = draft.to_json();
        let known_as = services.policy.known_as(&content);
        Ok(NewMessage { content, size: draft.size() as u64, known_as })
    }
}

/// Explains why a plan was not fixed.
fn not_planned(error: LedgerError, name: &str, run: &str) -> RequestFailure {
    match error {
        LedgerError::OtherPlan { .. } => RequestFailure::denied(format!(
            "broadcast `{name}` (run {run}) is not what was rehearsed (`--plan`): {error}; nothing of it was sent. Rehearse the script again"
        )),
        error => fault(error),
    }
}

/// Explains what is wrong with a recipient that needs the other type of call.
const fn mixed(call: Call) -> &'static str {
    match call {
        Call::Group => {
            "it names `users`, and the first recipient does not: a broadcast goes to groups or to members"
        }
        Call::Targeted => {
            "it names no `users`, and the first recipient does: a broadcast goes to groups or to members"
        }
    }
}

/// Names the field `to` in a failure of the audience file.
fn of_to(failure: RequestFailure) -> RequestFailure {
    RequestFailure { field: Some("to".into()), ..failure }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, RequestFailure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| RequestFailure::new(FailureKind::Cancelled, "the host is shutting down"))
}
