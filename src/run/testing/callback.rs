//! Events of the chat service, and the jobs of loaded scripts that take them.

use std::rc::Rc;

use bytes::Bytes;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::protocol::{JobInput, RequestFailure, TestEvent};
use crate::schedule::{EventKind, Job, ServiceEvent};

use super::Testbed;

impl Testbed {
    /// Runs the jobs of loaded scripts that take an event, one after the other. As in the daemon, an id that came before
    /// starts nothing, and neither does a message of a user as which a message was sent.
    pub(super) async fn callback(
        self: &Rc<Self>,
        event: TestEvent,
        stop: &CancellationToken,
    ) -> Result<Value, RequestFailure> {
        let takes_events = |job: &Rc<Job>| job.event().is_some();
        let jobs: Vec<Rc<Job>> = self.loaded.borrow().iter().map(|loaded| Rc::clone(&loaded.job)).collect();
        if !jobs.iter().any(takes_events) {
            let message =
                "no loaded script declares a job with im.on; begin with t.load(\"scripts/NAME.lua\")";
            return Err(RequestFailure::invalid("event", message));
        }
        let event = self.service_event(event)?;
        let is_new = self.callbacks.borrow_mut().insert(event.id.clone());
        let mut runs = Vec::new();
        if is_new && !self.is_own(&event).await? {
            for job in jobs {
                let Some(json) = job.event().and_then(|filter| filter.takes(&event)) else { continue };
                let input = JobInput::Event { group: event.group.clone(), json: json.to_string().into() };
                runs.push(self.run_now(&job.name, Some(input), stop).await?);
            }
        }
        Ok(Value::Array(runs))
    }

    /// Completes an event.
    fn service_event(&self, given: TestEvent) -> Result<ServiceEvent, RequestFailure> {
        let wrong = |field: &str, why: String| RequestFailure::invalid(format!("event.{field}"), why);
        let kind = EventKind::from_name(&given.event).ok_or_else(|| {
            let known: Vec<&str> = EventKind::ALL.into_iter().map(EventKind::name).collect();
            wrong("event", format!("event: `{}` is unknown; there are: {}", given.event, known.join(", ")))
        })?;
        let first = || self.parts.apps.first().map(|app| app.name().to_owned()).unwrap_or_default();
        let object =
            |field: &str, json: Option<Bytes>| -> Result<Option<Map<String, Value>>, RequestFailure> {
                let read = json.map(|json| serde_json::from_slice(&json)).transpose();
                read.map_err(|error| wrong(field, format!("{field}: expected a table with names: {error}")))
            };
        let number = self.callbacks.borrow().len() + 1;
        let has_message = !matches!(kind, EventKind::Joined | EventKind::Left);
        let body = object("body", given.body)?;
        if kind == EventKind::Message && (body.is_none() || given.users.len() != 1) {
            let why = "a message has a `from`, and a `text` or a `body`";
            return Err(wrong("body", why.to_owned()));
        }
        let ext = object("ext", given.ext)?;
        Ok(ServiceEvent {
            kind,
            id: given.id.unwrap_or_else(|| format!("callback-{number}")),
            app: given.app.unwrap_or_else(first),
            group: given.group,
            is_group: true,
            users: given.users,
            at_ms: i64::try_from(self.parts.clock.unix_time().as_millis()).unwrap_or(i64::MAX),
            message_id: has_message.then(|| given.message_id.unwrap_or_else(|| format!("message-{number}"))),
            ext: ext.or_else(|| (kind == EventKind::Message).then(Map::new)),
            body,
        })
    }

    /// Whether an event is a message of a user as which a message was sent.
    async fn is_own(&self, event: &ServiceEvent) -> Result<bool, RequestFailure> {
        let app = self.parts.apps.iter().find(|app| app.name() == event.app);
        let (EventKind::Message, Some(app), [user]) = (event.kind, app, event.users.as_slice()) else {
            return Ok(false);
        };
        let Some(ledger) = app.open_ledger().await? else { return Ok(false) };
        let known = async {
            match ledger.known_app(app.key()).await? {
                Some(id) => ledger.known_senders(id, &[user]).await.map(|known| !known.is_empty()),
                None => Ok(false),
            }
        };
        known.await.map_err(|error| RequestFailure::denied(error.to_string()))
    }
}
