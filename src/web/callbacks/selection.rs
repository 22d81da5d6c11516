//! Selects what an event stores and which jobs it starts. Most events concern messages of the app's own users and do
//! neither.

use data_encoding::HEXLOWER;

use crate::core::unix_time;
use crate::ledger::{CallbackContent, NewJobEvent, ReadReceipt, ServiceRecord};
use crate::records::{CallbackEvent, CallbackKind, ChangedMessage, MatchKey, MessageRecord};
use crate::schedule::{EventKind, Job, ServiceEvent};

/// The longest id of an event, message or user that is stored, in bytes. Longer ones are not of the service.
const MAX_ID_BYTES: usize = 256;

/// A callback that may be stored, depending on what the ledger knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SelectedCallback {
    pub(super) call_id: String,
    /// The content, and the user or message that it is about. It is stored if the ledger knows that one.
    pub(super) content: Option<(Concern, CallbackContent)>,
    /// The runs that are requested under the conditions below.
    pub(super) events: Vec<NewJobEvent>,
    /// The runs are requested only if the ledger knows this one.
    pub(super) needs: Option<Concern>,
    /// The runs are not requested if the ledger knows one of these: the event would be about the project's
    /// own messages.
    pub(super) unless: Vec<Concern>,
}

impl SelectedCallback {
    /// Returns everything that must be looked up in the ledger.
    pub(super) fn concerns(&self) -> impl Iterator<Item = &Concern> {
        let content = self.content.iter().map(|(concern, _)| concern);
        let of_events = self.needs.iter().chain(&self.unless).filter(|_| !self.events.is_empty());
        content.chain(of_events)
    }
}

/// A user or a message that the ledger may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concern {
    /// A user as which messages are sent.
    Sender(String),
    /// A message that the service has a record of.
    Message(String),
}

/// Returns the content of an event that would be stored, and which of the jobs it would start. `None` if
/// there are neither. For a stale event, whose time is more than a day away, the caller passes no jobs.
pub(super) fn selected(
    event: CallbackEvent,
    app: &str,
    jobs: &[std::rc::Rc<Job>],
) -> Option<SelectedCallback> {
    let at = unix_time(event.at_ms);
    let (mut needs, mut unless) = (None, Vec::new());
    let mut reacts = true;
    let mut service_event = ServiceEvent {
        kind: EventKind::Message,
        id: event.call_id.clone(),
        app: app.to_owned(),
        group: String::new(),
        is_group: true,
        users: Vec::new(),
        at_ms: event.at_ms,
        message_id: None,
        body: None,
        ext: None,
    };
    let content = match event.kind {
        CallbackKind::Message(record) => {
            let MessageRecord { message_id, group, is_user, sender, at_ms, key, body, ext, .. } = *record;
            // Jobs react to messages in groups.
            reacts = !is_user;
            service_event.is_group = !is_user;
            unless.push(Concern::Sender(sender.clone()));
            service_event.group = group;
            service_event.users = vec![sender.clone()];
            service_event.message_id = Some(message_id.clone());
            (service_event.body, service_event.ext) = (Some(body), Some(ext));
            key.map(|key| (Concern::Sender(sender), stored(message_id, at_ms, key)))
        }
        CallbackKind::Read { message_id, group, member } => {
            let known = Concern::Message(message_id.clone());
            needs = Some(known.clone());
            service_event.kind = EventKind::Read;
            service_event.group = group;
            service_event.users = vec![member.clone()];
            service_event.message_id = Some(message_id.clone());
            Some((known, CallbackContent::Receipt(ReadReceipt { message_id, member, at })))
        }
        CallbackKind::Recalled(changed) => {
            unless = of_change(&mut service_event, EventKind::Recalled, *changed);
            // A recalled message has no content.
            (service_event.body, service_event.ext) = (None, None);
            None
        }
        CallbackKind::Edited(changed) => {
            unless = of_change(&mut service_event, EventKind::Edited, *changed);
            None
        }
        CallbackKind::Joined { group, members } => {
            (service_event.kind, service_event.group, service_event.users) =
                (EventKind::Joined, group, members);
            None
        }
        CallbackKind::Left { group, members } => {
            (service_event.kind, service_event.group, service_event.users) =
                (EventKind::Left, group, members);
            None
        }
        CallbackKind::Other => return None,
    };
    let mark = match &content {
        Some((_, CallbackContent::Record(record))) => record.mark.as_ref(),
        _ => None,
    };
    let ids = [&service_event.id, &service_event.group].into_iter().chain(&service_event.users);
    let is_valid = ids.chain(&service_event.message_id).chain(mark).all(|id| is_storable(id));
    let events: Vec<NewJobEvent> =
        jobs.iter().filter(|_| reacts).filter_map(|job| run_of(job, &service_event)).collect();
    let is_wanted = is_valid && (content.is_some() || !events.is_empty());
    let selected = SelectedCallback { call_id: event.call_id, content, events, needs, unless };
    is_wanted.then_some(selected)
}

/// Fills the event from a recall or an edit. Returns the users and messages that the ledger must not know,
/// because the change would then be one of this project's own.
fn of_change(event: &mut ServiceEvent, kind: EventKind, changed: ChangedMessage) -> Vec<Concern> {
    let ChangedMessage { message_id, group, is_group, user, named, body, ext } = changed;
    (event.kind, event.group, event.is_group, event.users) =
        (kind, group, is_group, user.into_iter().collect());
    (event.body, event.ext) = (body, ext);
    event.message_id = Some(message_id.clone());
    let named = named.into_iter().map(Concern::Sender);
    named.chain([Concern::Message(message_id)]).collect()
}

/// Returns the run of a job for an event, if the job takes it.
fn run_of(job: &Job, event: &ServiceEvent) -> Option<NewJobEvent> {
    let json = job.event()?.takes(event)?.to_string();
    Some(NewJobEvent { job: job.name.clone(), group: event.group.clone(), json })
}

/// Returns the stored form of a message's record.
fn stored(message_id: String, at_ms: i64, key: MatchKey) -> CallbackContent {
    let fingerprint = HEXLOWER.encode(&key.fingerprint.to_bytes());
    CallbackContent::Record(ServiceRecord { message_id, at: unix_time(at_ms), fingerprint, mark: key.mark })
}

/// Whether each store can hold a text, in an index too.
fn is_storable(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && !text.contains('\0')
}
