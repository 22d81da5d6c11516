//! A call with a token: made, judged by the contract's table, and repeated once when the token was refused.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Request;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::answer::{ErrorBody, decode};
use super::body::Seal;
use super::class::{Class, Nature, Outcome, classify};
use super::failure::{CallName, Failure};
use super::scrub::Scrubbed;
use super::send::TimeLimit;
use super::token::{Lease, Tokens};
use super::transport::{Answer, Broken, Deadline, Flow, Transport};

/// How often one call is made again with another token. Each 401 says that nothing was done.
const RENEWALS: u32 = 3;
/// A token's own call ends by the deadline; whoever waits for it learns its reason if he waits a little longer.
const GRACE: Duration = Duration::from_millis(100);

/// A call's name and kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) name: CallName,
    pub(super) nature: Nature,
}

impl Call {
    pub(super) const fn get(path: &'static str) -> Self {
        Self { name: CallName { method: "GET", path }, nature: Nature::Repeatable }
    }

    pub(super) const fn post(path: &'static str, nature: Nature) -> Self {
        Self { name: CallName { method: "POST", path }, nature }
    }

    /// A call that was not made, because of what the caller gave.
    pub(super) fn refuse(self, reason: &str) -> Failure {
        Failure::plain(Class::Permanent, self.name, &Scrubbed::new(reason, &[]))
    }
}

/// A request but for its token.
pub(super) struct Prepared {
    pub(super) request: Request,
    /// For a send: tells whether it was written.
    pub(super) seal: Option<Seal>,
    /// For an upload: counts what goes.
    pub(super) flow: Option<Flow>,
}

impl From<Request> for Prepared {
    fn from(request: Request) -> Self {
        Self { request, seal: None, flow: None }
    }
}

/// Makes a call with a token of `tokens`. A 401 renews the token and then makes the call once more, for which `prepare`
/// is asked again. The call fails when the new token is refused too and no call has ever succeeded with it.
///
/// With a `limit`, the call and its waits for tokens end by then.
pub(super) async fn authorised(
    transport: &Transport,
    tokens: &Tokens,
    call: Call,
    limit: Option<TimeLimit>,
    mut prepare: impl FnMut() -> Result<Prepared, Failure>,
) -> Result<Success, Failure> {
    let deadline = deadline(transport, limit);
    let mut renewals = Renewals::default();
    loop {
        let lease = leased(transport, tokens, call, deadline).await?;
        match made(transport, tokens, call, &lease, deadline, prepare()?).await {
            Err(failure)
                if failure.status == Some(401)
                    && renewals.may_repeat(transport, tokens, &lease, &failure).await => {}
            result => return result,
        }
    }
}

/// How often a call was made again with another token.
#[derive(Debug, Clone, Default)]
pub struct Renewals(u32);

impl Renewals {
    /// Takes a token out of use that was answered with 401; gives whether the call may be made once more with the next.
    pub(super) async fn may_repeat(
        &mut self,
        transport: &Transport,
        tokens: &Tokens,
        lease: &Lease,
        failure: &Failure,
    ) -> bool {
        let is_hopeless = tokens.refused(lease, transport.clock(), failure).await;
        if is_hopeless || self.0 == RENEWALS || !tokens.renewable() {
            return false;
        }
        self.0 += 1;
        true
    }
}

/// The instant at which a limit is reached that counts from now.
pub(super) fn deadline(transport: &Transport, limit: Option<TimeLimit>) -> Option<Deadline> {
    limit.map(|TimeLimit { left, given }| Deadline { at: transport.pace().now() + left, given })
}

/// Makes a call once.
pub(super) async fn made(
    transport: &Transport,
    tokens: &Tokens,
    call: Call,
    lease: &Lease,
    deadline: Option<Deadline>,
    prepared: Prepared,
) -> Result<Success, Failure> {
    let Prepared { mut request, seal, flow } = prepared;
    request.headers_mut().insert(AUTHORIZATION, lease.header());
    match transport.exchange(request, flow.as_ref(), deadline).await {
        Ok(answer) if (200..300).contains(&answer.status) => {
            tokens.accepted(lease, transport.clock()).await;
            Ok(Success { call, status: answer.status, body: answer.body })
        }
        Ok(answer) => Err(refusal(call, &answer, &secrets(tokens, lease))),
        Err(broken) => {
            let written = seal.map_or(broken.connected, |seal| !seal.nothing_written());
            Err(lost(call, &broken, written, &secrets(tokens, lease)))
        }
    }
}

/// A token, by the deadline.
pub(super) async fn leased(
    transport: &Transport,
    tokens: &Tokens,
    call: Call,
    deadline: Option<Deadline>,
) -> Result<Lease, Failure> {
    let Some(Deadline { at, given }) = deadline else { return tokens.lease(transport, None).await };
    let wait = at - transport.pace().now() + GRACE;
    let leased = transport.pace().timeout(wait, tokens.lease(transport, deadline)).await;
    leased.unwrap_or_else(|_| {
        let detail = Scrubbed::new(&format!("no token within {given:.1?}"), &[]);
        Err(Failure::plain(Class::NothingSent, call.name, &detail))
    })
}

/// What no text may show.
fn secrets<'a>(tokens: &'a Tokens, lease: &'a Lease) -> Vec<&'a str> {
    [Some(lease.token()), tokens.client_secret()].into_iter().flatten().collect()
}

/// A call's answer with a status of success.
#[derive(Debug)]
pub(super) struct Success {
    call: Call,
    status: u16,
    body: Bytes,
}

impl Success {
    /// Reads the answer's JSON. One that cannot be read leaves the call's fate unknown. Nothing of it is shown:
    /// it can hold a token or a share-secret.
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        decode(&self.body).map_err(|reason| {
            let class = classify(self.call.nature, Outcome::Broken { written: true });
            let detail = Scrubbed::new(&reason, &[]);
            Failure { status: Some(self.status), ..Failure::plain(class, self.call.name, &detail) }
        })
    }
}

/// The failure that an answer without success is.
pub(super) fn refusal(call: Call, answer: &Answer, secrets: &[&str]) -> Failure {
    let body = ErrorBody::parse(&answer.body);
    let (error, description) = (body.error.as_deref(), body.description.as_deref());
    let class = classify(call.nature, Outcome::Answer { status: answer.status, error, description });
    let shown = |text: &str| Box::from(Scrubbed::new(text, secrets).as_str());
    Failure {
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
            None => shown(&body.detail),
        },
    }
}

/// The failure that a call without an answer is.
pub(super) fn lost(call: Call, broken: &Broken, written: bool, secrets: &[&str]) -> Failure {
    let class = if broken.file_changed {
        Class::Permanent
    } else {
        classify(call.nature, Outcome::Broken { written })
    };
    let detail = if broken.overdue && !written {
        format!("{}; no connection was ready to take it", broken.detail)
    } else {
        broken.detail.clone()
    };
    Failure::plain(class, call.name, &Scrubbed::new(&detail, secrets))
}

impl Success {
    /// A success that needed no token.
    pub(super) fn new(call: Call, answer: Answer) -> Self {
        Self { call, status: answer.status, body: answer.body }
    }
}
