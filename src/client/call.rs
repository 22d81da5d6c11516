//! A call with a token: makes it, classifies a failure by the contract's table, and repeats it when the token was
//! refused.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Request;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::answer::{ErrorBody, decode};
use super::body::WriteCanceller;
use super::class::{FailureCause, FailureClass, Idempotency, classify};
use super::failure::{CallError, CallName};
use super::scrub::SanitizedText;
use super::send::TimeLimit;
use super::token::{BearerToken, TokenProvider};
use super::transport::{BytesWritten, Deadline, HttpResponse, HttpTransport, TransportError};

/// How often one call is repeated with another token. Each 401 says that the call had no effect.
const RENEWALS: u32 = 3;
/// The token's own call ends by the deadline. A call that waits for the token learns the reason of its failure by
/// waiting this much longer.
const GRACE: Duration = Duration::from_millis(100);

/// A call's name and idempotency.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallSpec {
    pub(super) name: CallName,
    pub(super) idempotency: Idempotency,
}

impl CallSpec {
    pub(super) const fn get(path: &'static str) -> Self {
        Self { name: CallName { method: "GET", path }, idempotency: Idempotency::Repeatable }
    }

    pub(super) const fn put(path: &'static str) -> Self {
        Self { name: CallName { method: "PUT", path }, idempotency: Idempotency::Repeatable }
    }

    pub(super) const fn post(path: &'static str, idempotency: Idempotency) -> Self {
        Self { name: CallName { method: "POST", path }, idempotency }
    }

    /// The error of a call that was not made, because its arguments are invalid.
    pub(super) fn refuse(self, reason: &str) -> CallError {
        CallError::plain(FailureClass::Permanent, self.name, &SanitizedText::new(reason, &[]))
    }
}

/// A request without its token.
pub(super) struct PreparedCall {
    pub(super) request: Request,
    /// Of a send: tells whether the request was written.
    pub(super) canceller: Option<WriteCanceller>,
    /// Of an upload: counts the bytes written.
    pub(super) flow: Option<BytesWritten>,
}

impl From<Request> for PreparedCall {
    fn from(request: Request) -> Self {
        Self { request, canceller: None, flow: None }
    }
}

/// Makes a call with a token of `tokens`. A 401 renews the token and repeats the call with a new request from
/// `prepare`. The call fails when a renewed token is refused too and no call has ever succeeded with it.
///
/// With a `limit`, the call and its waits for tokens end by then.
pub(super) async fn authorised(
    transport: &HttpTransport,
    tokens: &TokenProvider,
    call: CallSpec,
    limit: Option<TimeLimit>,
    mut prepare: impl FnMut() -> Result<PreparedCall, CallError>,
) -> Result<CallSuccess, CallError> {
    let deadline = deadline(transport, limit);
    let mut renewals = TokenRenewals::default();
    loop {
        let token = acquire_token(transport, tokens, call, deadline).await?;
        match made(transport, tokens, call, &token, deadline, prepare()?).await {
            Err(failure)
                if failure.refuses_token()
                    && renewals.may_repeat(transport, tokens, &token, &failure).await => {}
            result => return result,
        }
    }
}

/// How often a call was repeated with another token.
#[derive(Debug, Clone, Default)]
pub struct TokenRenewals(u32);

impl TokenRenewals {
    /// Takes a token out of use that was answered with 401. Returns whether the call may be repeated with the next
    /// token.
    pub(super) async fn may_repeat(
        &mut self,
        transport: &HttpTransport,
        tokens: &TokenProvider,
        token: &BearerToken,
        failure: &CallError,
    ) -> bool {
        let is_hopeless = tokens.refused(token, transport.clock(), failure).await;
        if is_hopeless || self.0 == RENEWALS || !tokens.renewable() {
            return false;
        }
        self.0 += 1;
        true
    }
}

/// The deadline for a limit that counts from now.
pub(super) fn deadline(transport: &HttpTransport, limit: Option<TimeLimit>) -> Option<Deadline> {
    limit.map(|TimeLimit { left, given }| Deadline { at: transport.pace().now() + left, given })
}

/// Makes a call once.
pub(super) async fn made(
    transport: &HttpTransport,
    tokens: &TokenProvider,
    call: CallSpec,
    token: &BearerToken,
    deadline: Option<Deadline>,
    prepared: PreparedCall,
) -> Result<CallSuccess, CallError> {
    let PreparedCall { mut request, canceller, flow } = prepared;
    request.headers_mut().insert(AUTHORIZATION, token.header());
    match transport.exchange(request, flow.as_ref(), deadline).await {
        Ok(answer) if (200..300).contains(&answer.status) => {
            tokens.accepted(token, transport.clock()).await;
            Ok(CallSuccess { call, status: answer.status, body: answer.body.unwrap_or_default() })
        }
        Ok(answer) => Err(refusal(call, &answer, &secrets(tokens, token))),
        Err(broken) => {
            let written = canceller.map_or(broken.connected, |canceller| !canceller.nothing_written());
            Err(lost(call, &broken, written, &secrets(tokens, token)))
        }
    }
}

/// Waits for a token until the deadline.
pub(super) async fn acquire_token(
    transport: &HttpTransport,
    tokens: &TokenProvider,
    call: CallSpec,
    deadline: Option<Deadline>,
) -> Result<BearerToken, CallError> {
    let Some(Deadline { at, given }) = deadline else { return tokens.acquire_token(transport, None).await };
    let wait = at - transport.pace().now() + GRACE;
    let acquired = transport.pace().timeout(wait, tokens.acquire_token(transport, deadline)).await;
    acquired.unwrap_or_else(|_| {
        let detail = SanitizedText::new(&format!("no token within {given:.1?}"), &[]);
        Err(CallError::plain(FailureClass::NothingSent, call.name, &detail))
    })
}

/// The secrets that must be removed from every text.
pub(super) fn secrets<'a>(tokens: &'a TokenProvider, token: &'a BearerToken) -> Vec<&'a str> {
    [Some(token.as_str()), tokens.client_secret()].into_iter().flatten().collect()
}

/// A successful answer.
#[derive(Debug)]
pub(super) struct CallSuccess {
    call: CallSpec,
    status: u16,
    body: Bytes,
}

impl CallSuccess {
    /// Reads the answer's JSON. If it cannot be read, the outcome of the call is unknown. The error quotes nothing of
    /// it, because it can hold a token or a share-secret.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, CallError> {
        decode(&self.body).map_err(|reason| self.unreadable(&reason))
    }

    /// The error for an answer that cannot be used, so that the outcome of the call is unknown.
    pub(super) fn unreadable(&self, reason: &str) -> CallError {
        let class = classify(self.call.idempotency, FailureCause::Broken { written: true });
        let detail = SanitizedText::new(reason, &[]);
        CallError { status: Some(self.status), ..CallError::plain(class, self.call.name, &detail) }
    }

    pub(super) const fn status(&self) -> u16 {
        self.status
    }

    /// The answer's body.
    pub(super) fn into_body(self) -> Bytes {
        self.body
    }

    /// The bytes of the answer's body.
    pub(super) const fn length(&self) -> usize {
        self.body.len()
    }
}

/// The error for an unsuccessful answer.
pub(super) fn refusal(call: CallSpec, answer: &HttpResponse, secrets: &[&str]) -> CallError {
    let status = answer.status;
    let body = ErrorBody::parse(answer.body.as_deref().unwrap_or_default());
    let (error, description) = (body.error.as_deref(), body.description.as_deref());
    let cause = match answer.body {
        Some(_) => FailureCause::Answer { status, error, description },
        None => FailureCause::StatusOnly(status),
    };
    let class = classify(call.idempotency, cause);
    let shown = |text: &str| Box::from(SanitizedText::new(text, secrets).as_str());
    CallError {
        class,
        call: call.name,
        status: Some(answer.status),
        error: error.map(shown),
        code: body.code,
        description: description.map(shown),
        retry_after: answer.retry_after,
        detail: match &answer.location {
            Some(location) => shown(&format!(
                "it redirects to {location}, and redirects are not followed; set base_url to the service's own address"
            )),
            None => match switched_off(answer.status, error, description) {
                Some(advice) => advice.into(),
                None => shown(&body.detail),
            },
        },
    }
}

/// Says where to switch on a feature that the service has switched off for the app.
fn switched_off(status: u16, error: Option<&str>, description: Option<&str>) -> Option<&'static str> {
    let description = description?.to_lowercase();
    if status != 403 {
        None
    } else if error == Some("forbidden_op")
        && description.contains("recall")
        && description.contains("unopened")
    {
        Some(
            "switch on message recall for the app in the service's console, under Instant Messaging, Features",
        )
    } else if description.contains("broadcast") && description.contains("unopened") {
        Some(
            "have the service switch on broadcasts to all users for the app; on some plans its sales team does that",
        )
    } else if description.contains("feature is not open") {
        Some(
            "switch on message editing for the app in the service's console, under Instant Messaging, Features",
        )
    } else {
        None
    }
}

/// The error for a call without an answer.
pub(super) fn lost(call: CallSpec, broken: &TransportError, written: bool, secrets: &[&str]) -> CallError {
    let class = if broken.file_changed {
        FailureClass::Permanent
    } else {
        classify(call.idempotency, FailureCause::Broken { written })
    };
    let detail = if broken.overdue && !written {
        format!("{}; no connection was ready to take it", broken.detail)
    } else {
        broken.detail.clone()
    };
    CallError::plain(class, call.name, &SanitizedText::new(&detail, secrets))
}

impl CallSuccess {
    /// The success of a call that needed no token.
    pub(super) fn new(call: CallSpec, answer: HttpResponse) -> Self {
        Self { call, status: answer.status, body: answer.body.unwrap_or_default() }
    }
}
