//! Handles one request from its arrival to its answer.

use std::borrow::Cow;

use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{SimulatedResponse, json as json_response, response};
use super::callback::SimulatedEvent;
use super::chat::ChatKind;
use super::corrupt::corrupt;
use super::fault::{FaultEffect, InjectedFault};
use super::refusal::{
    BODY_TOO_LARGE, NOT_ACCEPTABLE, NOT_FOUND, REACH_LIMIT, Refusal, SEND_REACH_LIMIT, WRONG_MEDIA_TYPE,
};
use super::route::{Route, route};
use super::service::SimulatorState;
use super::settings::{SimulatorSettings, TargetedBy};
use super::time::ClockReading;
use super::{ServiceCall, body, history, lists, old_send, recall, rewrite, send};

/// Marks a request whose body exceeded every limit of the service and was discarded on arrival.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyTooLong;

/// The answer of an accepted call.
enum ReplyBody {
    /// Fields that the common envelope of an answer encloses.
    Framed(Value),
    /// JSON without that envelope.
    Bare(Value),
    File(Bytes),
}

/// A request with everything known about it.
pub(super) struct Exchange<'a> {
    pub(super) settings: &'a SimulatorSettings,
    pub(super) request: &'a Request<Bytes>,
    pub(super) route: Route<'a>,
    pub(super) now: ClockReading,
    /// Whether moderation stops the messages of this call.
    moderated: bool,
}

impl SimulatorState {
    /// Checks the request, counts it, and answers.
    pub(super) fn exchange(
        &mut self,
        settings: &SimulatorSettings,
        request: &Request<Bytes>,
        now: ClockReading,
    ) -> SimulatedResponse {
        let route = match route(settings, request.method(), request.uri().path()) {
            Ok(route) => route,
            Err(refusal) => return SimulatedResponse::Whole(self.refuse(&refusal, now)),
        };
        *self.stats.calls.entry(route.call.name()).or_default() += 1;
        let fault = self.plan.next_fault(route.call, request.body(), &mut self.rng).map(|(fault, rule)| {
            *self.stats.faults.entry(rule).or_default() += 1;
            fault
        });
        let moderated = fault.as_ref().is_some_and(|fault| fault.what == FaultEffect::Moderated);
        let exchange = Exchange { settings, request, route, now, moderated };
        match fault {
            None => SimulatedResponse::Whole(self.answer(&exchange)),
            Some(InjectedFault { accepted, what }) => {
                let answer = accepted.then(|| self.answer(&exchange));
                corrupt(answer, what, now)
            }
        }
    }

    fn answer(&mut self, exchange: &Exchange) -> Response<Bytes> {
        match self.serve(exchange) {
            Ok(ReplyBody::Framed(fields)) => {
                json_response(StatusCode::OK, &exchange.frame(&self.application, fields))
            }
            Ok(ReplyBody::Bare(json)) => json_response(StatusCode::OK, &json),
            Ok(ReplyBody::File(bytes)) => response(StatusCode::OK, "application/octet-stream", bytes),
            Err(refusal) => self.refuse(&refusal, exchange.now),
        }
    }

    fn refuse(&mut self, refusal: &Refusal, now: ClockReading) -> Response<Bytes> {
        *self.stats.refused.entry(refusal.label()).or_default() += 1;
        json_response(refusal.status, &refusal.json(now))
    }

    fn serve(&mut self, exchange: &Exchange) -> Result<ReplyBody, Refusal> {
        let Exchange { settings, request, route, now, .. } = *exchange;
        if !matches!(route.call, ServiceCall::Token | ServiceCall::HistoryFile) {
            self.tokens.check(settings, request.headers(), now)?;
        }
        if self.meters.calls.get_mut(&route.call).is_some_and(|meter| !meter.admits(now, 1)) {
            return Err(REACH_LIMIT);
        }
        exchange.check_body()?;
        let body = exchange.json_body();
        match route.call {
            ServiceCall::Token => {
                let granted = self.tokens.grant(settings, &mut self.rng, request.headers(), &body, now)?;
                self.stats.tokens += 1;
                let mut answer = json!({
                    "access_token": granted.token,
                    "expires_in": granted.life.as_secs(),
                    "application": self.application,
                });
                if let Some(end) = granted.end {
                    answer["expire_timestamp"] = json!(u64::try_from(end.as_millis()).unwrap_or(u64::MAX));
                }
                Ok(ReplyBody::Bare(answer))
            }
            ServiceCall::Messages
            | ServiceCall::Send
            | ServiceCall::Targeted
            | ServiceCall::Users
            | ServiceCall::Rooms => self.send(exchange, &body).map(ReplyBody::Framed),
            ServiceCall::AnnounceAll | ServiceCall::AnnounceOnline => {
                self.announcement(exchange, &body).map(ReplyBody::Framed)
            }
            ServiceCall::Upload => {
                let file = self.files.upload(settings, &mut self.rng, request, now)?;
                self.stats.uploads += 1;
                let entity = json!({ "uuid": file.uuid, "type": "chatfile", "share-secret": file.secret });
                Ok(ReplyBody::Framed(json!({ "entities": [entity] })))
            }
            ServiceCall::Download => self.files.download(route.id, request, now).map(ReplyBody::File),
            ServiceCall::Groups => {
                lists::groups(settings, &self.groups, request.uri(), now.unix_ms()).map(ReplyBody::Framed)
            }
            ServiceCall::Members => {
                lists::members(settings, &self.groups, route.id, request.uri()).map(ReplyBody::Framed)
            }
            ServiceCall::GroupDetails => {
                self.groups.details(settings, route.id, now.unix_ms()).map(ReplyBody::Framed)
            }
            ServiceCall::GroupChange => {
                let (method, body) = (request.method(), request.body());
                self.groups.change(settings, method, route.id, body, now.unix_ms()).map(ReplyBody::Framed)
            }
            ServiceCall::Recall => {
                let (record, files) = (&mut self.record, &mut self.files);
                let recalled = recall::recall(settings, record, files, &body, !route.id.is_empty(), now)?;
                self.stats.recalled += recalled.count;
                for message in &recalled.messages {
                    self.callback(settings, &SimulatedEvent::Recalled(message), now);
                }
                Ok(ReplyBody::Framed(json!({ "data": recalled.data })))
            }
            ServiceCall::Rewrite => {
                let edit = rewrite::rewrite(settings, &mut self.record, route.id, &body)?;
                self.callback(settings, &SimulatedEvent::Edited(&edit), now);
                self.stats.edited += 1;
                Ok(ReplyBody::Framed(json!({ "data": "success" })))
            }
            ServiceCall::History => {
                history::check(settings, route.id, now)?;
                let name = history::file_name(route.id, &self.application);
                let url = format!("http://{}{}{name}", exchange.host(), history::FILES);
                Ok(ReplyBody::Framed(json!({ "data": [{ "url": url }] })))
            }
            ServiceCall::HistoryFile => {
                let token = request.headers().contains_key(AUTHORIZATION);
                self.stats.history_files_with_token += u64::from(token);
                let hour = history::hour_of_file(route.id, &self.application).ok_or(NOT_FOUND)?;
                history::file(settings, &self.record, &self.files, hour, now).map(ReplyBody::File)
            }
            // The service makes this call itself.
            ServiceCall::Callback => Err(NOT_FOUND),
        }
    }

    fn send(&mut self, exchange: &Exchange, body: &[u8]) -> Result<Value, Refusal> {
        let limits = &exchange.settings.limits;
        let call = exchange.route.call;
        let message = send::read(exchange.settings, call, body)?;
        let chat = message.chat;
        // The checks limit all of these.
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let recipients = count(message.groups.len());
        let (meter, cost) = match &message.users {
            None if chat == ChatKind::User => (&mut self.meters.user_messages, recipients),
            None if chat == ChatKind::Room => (&mut self.meters.room_messages, recipients),
            None => (&mut self.meters.group_messages, recipients),
            Some(users) if limits.targeted_by == TargetedBy::User => {
                (&mut self.meters.targeted, count(users.len()))
            }
            Some(_) => (&mut self.meters.targeted, 1),
        };
        // The old call has a rate of its own, which counts calls alone.
        if call != ServiceCall::Messages && !meter.admits(exchange.now, cost) {
            return Err(SEND_REACH_LIMIT);
        }
        // A message that cannot be logged is not accepted, so that the log stays complete.
        let accepted = self.record.accept(message, exchange.now.unix_ms(), exchange.moderated);
        let accepted = accepted.map_err(|error| Refusal::unlogged(&error))?;
        let total = match chat {
            ChatKind::Group if call == ServiceCall::Targeted => &mut self.stats.targeted_messages,
            ChatKind::Group => &mut self.stats.group_messages,
            ChatKind::User => &mut self.stats.user_messages,
            ChatKind::Room => &mut self.stats.room_messages,
            ChatKind::Announcement => &mut self.stats.announcements,
        };
        *total += accepted.len() as u64;
        if exchange.moderated {
            self.stats.moderated += accepted.len() as u64;
        }
        self.queue_callbacks(exchange.settings, &accepted, exchange.now);
        let names_ids = call != ServiceCall::Messages || old_send::wants_ids(exchange.request.uri());
        let result = |id: String| Value::from(if names_ids { id } else { "success".to_owned() });
        let data: Map<_, _> =
            accepted.into_iter().map(|message| (message.group, result(message.id))).collect();
        Ok(json!({ "data": data }))
    }
}

impl Exchange<'_> {
    /// Whether the call's body is JSON.
    fn takes_json(&self) -> bool {
        matches!(
            self.route.call,
            ServiceCall::Token
                | ServiceCall::Messages
                | ServiceCall::Send
                | ServiceCall::Targeted
                | ServiceCall::Users
                | ServiceCall::Rooms
                | ServiceCall::AnnounceAll
                | ServiceCall::AnnounceOnline
                | ServiceCall::Recall
                | ServiceCall::Rewrite
        )
    }

    /// Checks the size (413) and, if the simulator is strict, the media types (415, 406).
    fn check_body(&self) -> Result<(), Refusal> {
        if self.request.extensions().get::<BodyTooLong>().is_some() {
            return Err(BODY_TOO_LARGE);
        }
        if !self.settings.strict || !self.takes_json() {
            return Ok(());
        }
        let is_json = |name| {
            let kinds = self.request.headers().get(name).and_then(|kinds| kinds.to_str().ok());
            let mut kinds = kinds.unwrap_or_default().split(',').filter_map(|kind| kind.split(';').next());
            kinds.any(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
        };
        if !is_json(CONTENT_TYPE) {
            return Err(WRONG_MEDIA_TYPE);
        }
        // The page on group messages asks for this header. That on tokens has examples without it.
        if self.route.call != ServiceCall::Token && !is_json(ACCEPT) {
            return Err(NOT_ACCEPTABLE);
        }
        Ok(())
    }

    /// Returns the body of a call that takes JSON, with what clients are known to leave out.
    fn json_body(&self) -> Cow<'_, [u8]> {
        if self.settings.strict || !self.takes_json() {
            return Cow::Borrowed(self.request.body());
        }
        body::as_json(self.route.call, self.request.body())
    }

    /// Returns the host and port that the client called.
    fn host(&self) -> &str {
        let host = self.request.headers().get(HOST).and_then(|host| host.to_str().ok());
        host.unwrap_or("localhost")
    }

    /// Returns the common envelope of an answer with `fields` in it.
    fn frame(&self, application: &str, fields: Value) -> Value {
        // The vendor's examples name the plain path also for a targeted call.
        let path = match self.route.call {
            ServiceCall::Targeted => "/messages/chatgroups",
            _ => self.settings.behind_prefix(self.request.uri().path()).unwrap_or_default(),
        };
        let mut frame = json!({
            "path": path,
            "uri": format!("http://{}{}{path}", self.host(), self.settings.prefix),
            "timestamp": self.now.unix_ms(),
            "organization": self.settings.org,
            "application": application,
            "action": self.request.method().as_str().to_lowercase(),
            "duration": 0,
            "applicationName": self.settings.app,
        });
        if let (Value::Object(frame), Value::Object(fields)) = (&mut frame, fields) {
            frame.extend(fields);
        }
        frame
    }
}
