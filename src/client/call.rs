//! A call with a token: made, judged by the contract's table, and repeated once when the token was refused.

use bytes::Bytes;
use reqwest::Request;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::answer::{ErrorBody, decode};
use super::body::Seal;
use super::class::{Class, Nature, Outcome, classify};
use super::failure::{CallName, Failure};
use super::scrub::Scrubbed;
use super::token::{Lease, Tokens};
use super::transport::{Answer, Broken, Flow, Transport};

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

/// Makes a call with a token of `tokens`. A 401 renews the token once and then makes the call once more, for which
/// `prepare` is asked again; a 401 says that nothing was done.
pub(super) async fn authorised(
    transport: &Transport,
    tokens: &Tokens,
    call: Call,
    mut prepare: impl FnMut() -> Result<Prepared, Failure>,
) -> Result<Success, Failure> {
    let mut lease = tokens.lease(transport).await?;
    let mut renewed = false;
    loop {
        let Prepared { mut request, seal, flow } = prepare()?;
        request.headers_mut().insert(AUTHORIZATION, lease.header());
        let result = transport.exchange(request, flow.as_ref()).await;
        match result {
            Ok(answer) if (200..300).contains(&answer.status) => {
                return Ok(Success { call, status: answer.status, body: answer.body });
            }
            Ok(answer) => {
                let failure = refusal(call, &answer, &secrets(tokens, &lease));
                if answer.status != 401 {
                    return Err(failure);
                }
                tokens.refused(&lease, transport.clock(), &failure);
                if renewed || !tokens.renewable() {
                    return Err(failure);
                }
                renewed = true;
                lease = tokens.lease(transport).await?;
            }
            Err(broken) => {
                let written = seal.map_or(broken.connected, |seal| !seal.nothing_written());
                return Err(lost(call, &broken, written, &secrets(tokens, &lease)));
            }
        }
    }
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
        detail: shown(&body.detail),
    }
}

/// The failure that a call without an answer is.
pub(super) fn lost(call: Call, broken: &Broken, written: bool, secrets: &[&str]) -> Failure {
    let class = if broken.file_changed {
        Class::Permanent
    } else {
        classify(call.nature, Outcome::Broken { written })
    };
    Failure::plain(class, call.name, &Scrubbed::new(&broken.detail, secrets))
}

impl Success {
    /// A success that needed no token.
    pub(super) fn new(call: Call, answer: Answer) -> Self {
        Self { call, status: answer.status, body: answer.body }
    }
}
