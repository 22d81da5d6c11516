//! A plan that is being built: recipients and messages checked, and put into the ledger.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use serde_json::{Value, json};

use crate::ledger::{AppId, Broadcast, Exclusion, LedgerError, NewMessage, NewRecipient, Plan, Spec};
use crate::message::Call;
use crate::protocol::{Failure, Kind};

use super::asked::Asked;
use super::audience::{Given, Named, Wrong, named};
use super::drive::Role;
use super::fault;
use super::fields::Columns;
use super::file::{Line, Lines};
use super::watch;
use crate::host::rehearsal::{How, PlannedBroadcast};
use crate::host::services::Services;

/// Recipients of a file that are read at once.
const PAGE: usize = 500;

/// A plan that is being built, as those see it who watch.
#[derive(Debug)]
pub struct PlanUnderway {
    /// The broadcast's name.
    pub name: String,
    recipients: Cell<u64>,
}

impl PlanUnderway {
    /// Recipients put into it so far, duplicates among them.
    #[must_use]
    pub fn recipients(&self) -> u64 {
        self.recipients.get()
    }
}

/// A plan that is being built.
pub(super) struct Building {
    role: Role,
    underway: Rc<PlanUnderway>,
    asked: Asked,
    spec: Spec,
    exclusion: Option<Exclusion>,
    /// Known from the first recipient on: whether it names users.
    call: Option<Call>,
    plain: Plain,
    lines: Option<Lines>,
    columns: Columns,
    /// The columns of lines that the worker makes messages for, by line.
    awaited: HashMap<u64, Vec<(String, Value)>>,
}

/// The message of all.
enum Plain {
    Unread,
    Checked(NewMessage),
    /// In a rehearsal, where what is wrong with it was noted.
    Wrong,
}

impl Building {
    /// Begins anew, whatever an earlier try has left.
    pub(super) async fn begin(role: Role, asked: Asked, spec: Spec, app: AppId) -> Result<Self, Failure> {
        let begun = async {
            let exclusion = asked.exclusion(&role.ledger, app).await?;
            role.ledger.discard_unbuilt(role.lease, &spec).await.map_err(fault)?;
            Ok(exclusion)
        };
        match begun.await {
            Ok(exclusion) => {
                let underway = Rc::new(PlanUnderway { name: asked.name.clone(), recipients: Cell::new(0) });
                let (call, plain, lines) = (None, Plain::Unread, None);
                let columns = Columns::default();
                let awaited = HashMap::new();
                Ok(Self { role, underway, asked, spec, exclusion, call, plain, lines, columns, awaited })
            }
            Err(failure) => {
                role.release().await;
                Err(failure)
            }
        }
    }

    /// What is to be seen of it for as long as it is being built.
    pub(super) fn underway(&self) -> Weak<PlanUnderway> {
        Rc::downgrade(&self.underway)
    }

    /// Gives it up: nothing of it was sent, and the next run builds it anew.
    pub(super) async fn abandon(self) {
        self.role.release().await;
    }

    /// What its driver needs.
    pub(super) fn into_drive(self) -> Role {
        self.role
    }

    /// The next recipients of the file, for a message function to see.
    pub(super) async fn page(&mut self, services: &Services) -> Result<Value, Failure> {
        let (given, done) = self.read(services).await?;
        let (mut items, mut lines) = (Vec::with_capacity(given.len()), Vec::with_capacity(given.len()));
        for (given, line, _) in given {
            let header = self.lines.as_ref().and_then(Lines::header);
            let fields = self.columns.of(given.recipient.clone(), header, &self.asked.name);
            if !fields.is_empty() {
                self.awaited.insert(line, fields);
            }
            items.push(given.recipient);
            lines.push(line);
        }
        Ok(json!({ "items": items, "lines": lines, "done": done }))
    }

    /// Puts the next recipients of the file into the plan; gives whether they were the last.
    pub(super) async fn take(&mut self, services: &Services) -> Result<bool, Failure> {
        let (given, done) = self.read(services).await?;
        let named = given.into_iter().map(|(given, _, named)| (given, named)).collect();
        self.add(services, named).await?;
        Ok(done)
    }

    /// Puts a batch of the worker's into the plan.
    pub(super) async fn append(&mut self, services: &Services, batch: &[u8]) -> Result<(), Failure> {
        let given: Vec<Given> = serde_json::from_slice(batch)
            .map_err(|error| Failure::invalid("to", format!("the recipients cannot be read: {error}")))?;
        let mut all = Vec::with_capacity(given.len());
        for given in given {
            match named(&given.recipient) {
                Ok(named) => all.push((given, named)),
                Err(Wrong(field, what)) => {
                    let why = Failure::invalid(field, format!("{}: {what}", given.place()));
                    self.note(services, &given.place(), why)?;
                }
            }
        }
        self.add(services, all).await
    }

    /// Fixes the plan.
    pub(super) async fn fix(&mut self, services: &Services) -> Result<Plan, Failure> {
        if self.call.is_none() && self.asked.message.is_some() {
            // Nobody gets it, but its author will want to know.
            self.plain_message(services, Call::Group)?;
        }
        if self.role.bad_lines > 0 {
            tracing::warn!("broadcast `{}`: {} bad lines were skipped", self.asked.name, self.role.bad_lines);
        }
        let (lease, max) = (self.role.lease, self.asked.max_recipients);
        let Broadcast { app_key, name, run, .. } = &self.role.broadcast;
        let planned = services.part.as_planned();
        let wanted = planned.map(|planned| planned.gate.broadcast(app_key, name, run)).transpose()?;
        let plan = self.role.ledger.fix_plan_as(lease, self.exclusion.as_ref(), max, wanted).await;
        let plan = plan.map_err(|error| match error {
            LedgerError::OtherPlan { .. } => Failure::denied(format!(
                "broadcast `{name}` (run {run}) is not what was rehearsed (`--plan`): {error}; nothing of it was sent. Rehearse the script again"
            )),
            error => fault(error),
        })?;
        if let Some(rehearsal) = services.part.as_rehearsal() {
            rehearsal.planned(PlannedBroadcast {
                app: self.role.delivery.name(),
                broadcast: &self.role.broadcast,
                spec: &self.spec,
                how: How::Built,
                plan: plan.clone(),
                bad_lines: self.role.bad_lines,
            });
        }
        Ok(plan)
    }

    /// The number of problems whose line of the script is not known yet.
    pub(super) fn unplaced(&self, services: &Services) -> Option<u64> {
        self.role.watched.unplaced(services)
    }

    fn note(&self, services: &Services, recipient: &str, why: Failure) -> Result<(), Failure> {
        self.role.watched.note(services, &self.asked.name, recipient, why)
    }

    /// Good lines of the file, and whether they were its last.
    async fn read(&mut self, services: &Services) -> Result<(Vec<(Given, u64, Named)>, bool), Failure> {
        let path = self
            .asked
            .path
            .clone()
            .ok_or_else(|| Failure::new(Kind::Invalid, "this broadcast reads no file"))?;
        let lines = if let Some(lines) = self.lines.take() {
            lines
        } else {
            Lines::check_name(&path)?;
            let file = services.files.open_upload(&path).await.map_err(of_to)?.file;
            let path = path.clone();
            blocking(move || Lines::open(&path, file)).await??
        };
        let (lines, page) = blocking(move || {
            let mut lines = lines;
            let page = lines.page(PAGE);
            (lines, page)
        })
        .await?;
        self.lines = Some(lines);
        let page = page.map_err(|error| Failure::invalid("to", format!("`{path}`: {error}")))?;
        let done = page.len() < PAGE;
        let mut good = Vec::with_capacity(page.len());
        for Line { number, value } in page {
            let read = value.map_err(|what| Wrong("to", what)).and_then(|value| {
                let named = named(&value)?;
                Ok((Given::of_line(value, number), number, named))
            });
            match read {
                Ok(read) => good.push(read),
                Err(_) if self.asked.skip_bad => self.role.bad_lines += 1,
                Err(Wrong(field, what)) => {
                    let what =
                        format!("`{path}`: line {number}: {what} (`skip_bad = true` leaves such lines out)");
                    self.note(services, &format!("line {number}"), Failure::invalid(field, what))?;
                }
            }
        }
        Ok((good, done))
    }

    async fn add(&mut self, services: &Services, named: Vec<(Given, Named)>) -> Result<(), Failure> {
        let Some((_, first)) = named.first() else { return Ok(()) };
        let call = match self.call {
            Some(call) => call,
            None => self.decide(first.call()).await?,
        };
        let mut recipients = Vec::with_capacity(named.len());
        for (given, named) in named {
            if named.call() != call {
                let why = Failure::invalid("users", format!("{}: {}", given.place(), mixed(call)));
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
            let known = given.line().and_then(|line| self.awaited.remove(&line));
            let fields = known.unwrap_or_else(|| {
                let header = self.lines.as_ref().and_then(Lines::header);
                self.columns.of(given.recipient, header, &self.asked.name)
            });
            for (group_id, users) in named.split() {
                recipients.push(NewRecipient {
                    group_id,
                    users,
                    message: message.clone(),
                    fields: fields.clone(),
                });
            }
        }
        self.role.ledger.append(self.role.lease, &recipients).await.map_err(fault)?;
        let so_far = self.underway.recipients() + recipients.len() as u64;
        self.underway.recipients.set(so_far);
        Ok(())
    }

    /// The first recipient says which call it is: that is kept with the broadcast.
    async fn decide(&mut self, call: Call) -> Result<Call, Failure> {
        if call == Call::Targeted {
            self.spec = self.asked.spec(call, self.spec.script.clone());
            self.role.ledger.discard_unbuilt(self.role.lease, &self.spec).await.map_err(fault)?;
            self.role.broadcast.spec = self.spec.clone();
        } else {
            self.role.broadcast.spec = self.spec.clone();
        }
        self.call = Some(call);
        Ok(call)
    }

    /// The message of all; none in a rehearsal in which something is wrong with it, which was noted.
    fn plain_message(&mut self, services: &Services, call: Call) -> Result<Option<NewMessage>, Failure> {
        match &self.plain {
            Plain::Unread => {}
            Plain::Checked(plain) => return Ok(Some(plain.clone())),
            Plain::Wrong => return Ok(None),
        }
        let message = self
            .asked
            .message
            .clone()
            .ok_or_else(|| Failure::invalid("message", "the broadcast has no message"))?;
        match self.checked(services, call, message, None) {
            Ok(plain) => {
                self.plain = Plain::Checked(plain.clone());
                Ok(Some(plain))
            }
            Err(why) => {
                self.note(services, "", why)?;
                self.plain = Plain::Wrong;
                Ok(None)
            }
        }
    }

    fn checked(
        &self,
        services: &Services,
        call: Call,
        message: Value,
        place: Option<&str>,
    ) -> Result<NewMessage, Failure> {
        let draft = self.role.delivery.check_draft(call, message).map_err(|problems| {
            let listed: Vec<_> = problems.iter().map(|p| (p.field.clone(), p.message.clone())).collect();
            let place = place.map_or_else(String::new, |place| format!("{place}: "));
            Failure {
                field: listed.first().map(|(field, _)| field.as_str().into()),
                problems: listed,
                ..Failure::new(Kind::Invalid, format!("{place}{problems}"))
            }
        })?;
        let content = draft.to_json();
        let known_as = watch::known_as(services, &content);
        Ok(NewMessage { content, size: draft.size() as u64, known_as })
    }
}

/// What is wrong with a recipient of the other call.
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

/// The file is named by the field `to`.
fn of_to(failure: Failure) -> Failure {
    Failure { field: Some("to".into()), ..failure }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::new(Kind::Cancelled, "the host is shutting down"))
}
