//! Sends a message that is already checked, serialized and permitted.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request, Url};
use serde::Deserialize;

use crate::core::Call;

use super::answer::JsonPairs;
use super::body::WatchedBody;
use super::call::{self, CallSpec, CallSuccess, PreparedCall, TokenRenewals};
use super::class::Idempotency;
use super::failure::CallError;
use super::token::BearerToken;
use super::{Client, ClientInner};

pub(super) const fn spec(call: Call) -> CallSpec {
    match call {
        Call::Group => CallSpec::post("/messages/chatgroups", Idempotency::Send),
        Call::Targeted => CallSpec::post("/messages/chatgroups/users", Idempotency::Send),
        Call::Edit => CallSpec::put("/messages/rewrite/{msg_id}"),
        Call::User => CallSpec::post("/messages/users", Idempotency::Send),
        Call::Room => CallSpec::post("/messages/chatrooms", Idempotency::Send),
        Call::Announce => CallSpec::post("/messages/broadcast", Idempotency::Send),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit {
    pub left: Duration,
    /// The whole time that was given, for display.
    pub given: Duration,
}

/// A token for a send. Its `Debug` output does not show the token.
pub struct Authorisation(pub(super) BearerToken);

impl fmt::Debug for Authorisation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authorisation").finish_non_exhaustive()
    }
}

/// The recipients (groups, users or rooms) that accepted the message, with the message's id for each, in the order of the
/// answer.
///
/// A requested recipient that is missing here is in doubt. The caller knows which ones it requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendReceipts {
    /// Pairs of recipient's id and message id.
    pub data: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct SendResponse {
    data: JsonPairs,
}

impl Client {
    /// Sends `body`, the JSON of one message, once. The call is repeated only after a 401, with a new token.
    ///
    /// `on_write` is called when the request is about to be written. If the future is dropped before that, nothing is
    /// written and `on_write` is never called. If it is dropped after that, the message is in doubt.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]; never [`super::FailureClass::Repeat`]. If `on_write` was not called, it is never
    /// [`super::FailureClass::InDoubt`].
    pub async fn send<F>(&self, call: Call, body: Bytes, on_write: F) -> Result<SendReceipts, CallError>
    where
        F: FnOnce() + Send + 'static,
    {
        let mut on_write = Some(on_write);
        let success =
            self.call(spec(call), || self.prepare_send(call, body.clone(), on_write.take())).await?;
        receipts(&success)
    }

    /// The active token, if there is one that need not be renewed yet.
    pub fn authorisation_at_hand(&self) -> Option<Authorisation> {
        let ClientInner { transport, tokens, .. } = &*self.0;
        tokens.at_hand(transport.clock()).map(Authorisation)
    }

    /// The token for a send: an active one, or a new one, for which this waits. Nothing of the message is sent.
    pub async fn authorisation(
        &self,
        call: Call,
        limit: Option<TimeLimit>,
    ) -> Result<Authorisation, CallError> {
        let ClientInner { transport, tokens, .. } = &*self.0;
        let deadline = call::deadline(transport, limit);
        call::acquire_token(transport, tokens, spec(call), deadline).await.map(Authorisation)
    }

    /// Sends `body` once with the given token. It neither waits for a token nor repeats the call after a 401. It gives
    /// up when the limit is reached, which covers the waits for a connection and for the answer.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]. After a 401, [`Client::renew`] says whether to try again.
    pub async fn send_with<F>(
        &self,
        authorisation: &Authorisation,
        limit: Option<TimeLimit>,
        call: Call,
        body: Bytes,
        on_write: F,
    ) -> Result<SendReceipts, CallError>
    where
        F: FnOnce() + Send + 'static,
    {
        let ClientInner { transport, tokens, .. } = &*self.0;
        let prepared = self.prepare_send(call, body, Some(on_write))?;
        let deadline = call::deadline(transport, limit);
        let made = call::made(transport, tokens, spec(call), &authorisation.0, deadline, prepared).await;
        receipts(&made?)
    }

    /// Takes a token out of use that was answered with 401. Returns whether the message, of which nothing was sent, may
    /// be sent again with another token.
    pub async fn renew(
        &self,
        renewals: &mut TokenRenewals,
        authorisation: &Authorisation,
        failure: &CallError,
    ) -> bool {
        let ClientInner { transport, tokens, .. } = &*self.0;
        renewals.may_repeat(transport, tokens, &authorisation.0, failure).await
    }

    fn prepare_send<F>(&self, call: Call, body: Bytes, on_write: Option<F>) -> Result<PreparedCall, CallError>
    where
        F: FnOnce() + Send + 'static,
    {
        if body.is_empty() {
            return Err(spec(call).refuse("the message is empty"));
        }
        let url = match call {
            Call::Group => &self.0.group_messages,
            Call::Targeted => &self.0.targeted_messages,
            Call::User => &self.0.user_messages,
            Call::Room => &self.0.room_messages,
            Call::Announce => return Err(spec(call).refuse("an announcement has a call of its own")),
            Call::Edit => return Err(spec(call).refuse("an edit needs the id of its message")),
        };
        Ok(watched(Method::POST, url.clone(), body, on_write))
    }
}

/// A request with a JSON body that tells when it is written.
pub(super) fn watched<F>(method: Method, url: Url, body: Bytes, on_write: Option<F>) -> PreparedCall
where
    F: FnOnce() + Send + 'static,
{
    let mut request = Request::new(method, url);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let (body, canceller) = WatchedBody::new(body, on_write);
    *request.body_mut() = Some(Body::wrap(body));
    PreparedCall { request, canceller: Some(canceller), flow: None }
}

fn receipts(success: &CallSuccess) -> Result<SendReceipts, CallError> {
    let taken: SendResponse = success.read()?;
    Ok(SendReceipts { data: taken.data.0 })
}
