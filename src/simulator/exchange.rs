//! Handles one request from its arrival to its answer.

use axum::http::header::{CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{SimulatedResponse, json as json_response, response};
use super::fault::{FaultEffect, InjectedFault};
use super::refusal::{BODY_TOO_LARGE, REACH_LIMIT, Refusal, SEND_REACH_LIMIT, WRONG_MEDIA_TYPE};
use super::route::{Route, route};
use super::service::SimulatorState;
use super::settings::{SimulatorSettings, TargetedBy};
use super::time::ClockReading;
use super::{ServiceCall, lists, recall, send};

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
struct Exchange<'a> {
    settings: &'a SimulatorSettings,
    request: &'a Request<Bytes>,
    route: Route<'a>,
    now: ClockReading,
}

impl SimulatorState {
    /// Checks the request, counts it, and answers.
    pub(super) fn exchange(
        &mut self,
        settings: &SimulatorSettings,
        request: &Request<Bytes>,
        now: ClockReading,
    ) -> SimulatedResponse {
        let route = match route(&settings.prefix, request.method(), request.uri().path()) {
            Ok(route) => route,
            Err(refusal) => return SimulatedResponse::Whole(self.refuse(&refusal, now)),
        };
        *self.stats.calls.entry(route.call.name()).or_default() += 1;
        let exchange = Exchange { settings, request, route, now };
        let fault = self.plan.next_fault(route.call, &mut self.rng).map(|(fault, rule)| {
            *self.stats.faults.entry(rule).or_default() += 1;
            fault
        });
        match fault {
            None => SimulatedResponse::Whole(self.answer(&exchange)),
            Some(InjectedFault { accepted, what }) => {
                let answer = accepted.then(|| self.answer(&exchange));
                spoil(answer, what, now)
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
        let Exchange { settings, request, route, now } = *exchange;
        if route.call != ServiceCall::Token {
            self.tokens.check(settings, request.headers(), now)?;
        }
        if self.meters.calls.get_mut(&route.call).is_some_and(|meter| !meter.admits(now, 1)) {
            return Err(REACH_LIMIT);
        }
        exchange.check_body()?;
        match route.call {
            ServiceCall::Token => {
                let granted = self.tokens.grant(settings, &mut self.rng, request.body(), now)?;
                self.stats.tokens += 1;
                Ok(ReplyBody::Bare(json!({
                    "access_token": granted.token,
                    "expires_in": granted.life.as_secs(),
                    "application": self.application,
                })))
            }
            ServiceCall::Send | ServiceCall::Targeted => self.send(exchange).map(ReplyBody::Framed),
            ServiceCall::Upload => {
                let file = self.files.upload(&settings.limits, &mut self.rng, request, now)?;
                self.stats.uploads += 1;
                let entity = json!({ "uuid": file.uuid, "type": "chatfile", "share-secret": file.secret });
                Ok(ReplyBody::Framed(json!({ "entities": [entity] })))
            }
            ServiceCall::Download => {
                self.files.download(route.id, request.headers(), now).map(ReplyBody::File)
            }
            ServiceCall::Groups => {
                lists::groups(settings, request.uri(), now.unix_ms()).map(ReplyBody::Framed)
            }
            ServiceCall::Members => lists::members(settings, route.id, request.uri()).map(ReplyBody::Framed),
            ServiceCall::Recall => {
                let recalled = recall::recall(&settings.limits, &mut self.record, request.body(), now)?;
                self.stats.recalled += recalled.len() as u64;
                Ok(ReplyBody::Framed(json!({ "data": recalled })))
            }
        }
    }

    fn send(&mut self, exchange: &Exchange) -> Result<Value, Refusal> {
        let limits = &exchange.settings.limits;
        let targeted = exchange.route.call == ServiceCall::Targeted;
        let message = send::read(exchange.request.body(), targeted, limits.message_bytes)?;
        // The checks limit both: 3 groups, 20 users.
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (meter, cost) = match &message.users {
            None => (&mut self.meters.group_messages, count(message.groups.len())),
            Some(users) if limits.targeted_by == TargetedBy::User => {
                (&mut self.meters.targeted, count(users.len()))
            }
            Some(_) => (&mut self.meters.targeted, 1),
        };
        if !meter.admits(exchange.now, cost) {
            return Err(SEND_REACH_LIMIT);
        }
        let groups = message.groups.clone();
        // A message that cannot be logged is not accepted, so that the log stays complete.
        let ids = self.record.accept(message, exchange.now.unix_ms()).map_err(|error| {
            tracing::error!(%error, "the simulator cannot write its log");
            Refusal::of_fault(StatusCode::INTERNAL_SERVER_ERROR, None)
        })?;
        let total = if targeted { &mut self.stats.targeted_messages } else { &mut self.stats.group_messages };
        *total += ids.len() as u64;
        let data: Map<_, _> = groups.into_iter().zip(ids.into_iter().map(Value::from)).collect();
        Ok(json!({ "data": data }))
    }
}

impl Exchange<'_> {
    /// Checks the size (413) and the media type (415) of the body.
    fn check_body(&self) -> Result<(), Refusal> {
        if self.request.extensions().get::<BodyTooLong>().is_some() {
            return Err(BODY_TOO_LARGE);
        }
        let is_json = matches!(
            self.route.call,
            ServiceCall::Token | ServiceCall::Send | ServiceCall::Targeted | ServiceCall::Recall
        );
        let kind = self.request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if is_json && !essence.eq_ignore_ascii_case("application/json") {
            return Err(WRONG_MEDIA_TYPE);
        }
        Ok(())
    }

    /// Returns the common envelope of an answer with `fields` in it.
    fn frame(&self, application: &str, fields: Value) -> Value {
        // The vendor's examples name the plain path also for a targeted call.
        let path = match self.route.call {
            ServiceCall::Targeted => "/messages/chatgroups",
            _ => self.request.uri().path().strip_prefix(&self.settings.prefix).unwrap_or_default(),
        };
        let host = self.request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let mut frame = json!({
            "path": path,
            "uri": format!("http://{}{}{path}", host.unwrap_or("localhost"), self.settings.prefix),
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

/// Returns the answer that a fault makes. `answer` is Some if the call was served all the same.
fn spoil(answer: Option<Response<Bytes>>, what: FaultEffect, now: ClockReading) -> SimulatedResponse {
    match what {
        FaultEffect::Reset => SimulatedResponse::Reset,
        FaultEffect::Hang => SimulatedResponse::Hang,
        FaultEffect::Truncated => answer.map_or(SimulatedResponse::Reset, SimulatedResponse::Truncated),
        FaultEffect::Garbage => {
            SimulatedResponse::Whole(response(StatusCode::OK, "application/json", "\u{0}\u{1}OK{]"))
        }
        FaultEffect::Missing => answer
            .map_or(SimulatedResponse::Reset, |answer| SimulatedResponse::Whole(without_first_group(answer))),
        FaultEffect::Status { status, error, html, retry_after } => {
            let mut answer = if html {
                let reason = status.canonical_reason().unwrap_or_default();
                let title = format!("{} {reason}", status.as_u16());
                let page = format!(
                    "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
                     </body>\r\n</html>\r\n"
                );
                response(status, "text/html", page)
            } else {
                json_response(status, &Refusal::of_fault(status, error.as_deref()).json(now))
            };
            if status.is_redirection() {
                answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/moved"));
            }
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            SimulatedResponse::Whole(answer)
        }
    }
}

/// Removes one entry of `data` from the answer. An answer without `data` is unchanged.
fn without_first_group(answer: Response<Bytes>) -> Response<Bytes> {
    let Ok(mut json) = serde_json::from_slice::<Value>(answer.body()) else { return answer };
    let Some(data) = json.get_mut("data").and_then(Value::as_object_mut) else { return answer };
    if let Some(first) = data.keys().next().cloned() {
        data.remove(&first);
    }
    json_response(answer.status(), &json)
}
