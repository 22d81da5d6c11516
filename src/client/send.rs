//! Sending a message that is already checked, serialised and permitted.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use serde::Deserialize;

use super::Client;
use super::answer::Pairs;
use super::body::WatchedBody;
use super::call::{Call, Prepared};
use super::class::Nature;
use super::failure::Failure;

/// Which of the two sending calls it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SendCall {
    /// To one to three groups: `POST /messages/chatgroups`.
    Group,
    /// To chosen members of one group: `POST /messages/chatgroups/users`.
    Targeted,
}

impl SendCall {
    const fn call(self) -> Call {
        match self {
            Self::Group => Call::post("/messages/chatgroups", Nature::Send),
            Self::Targeted => Call::post("/messages/chatgroups/users", Nature::Send),
        }
    }
}

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit {
    /// What is left of it.
    pub left: Duration,
    /// The whole of it, for people.
    pub given: Duration,
}

/// What the service took: a group and the message's id in it, in the order of the answer.
///
/// A group that was asked for and is missing here is in doubt; the caller knows which were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    /// Pairs of group id and message id.
    pub data: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Taken {
    data: Pairs,
}

impl Client {
    /// Sends `body`, the JSON of one message, once. It is made again only after a 401, with a new token.
    ///
    /// `on_write` is called when the request is about to be written. When the future is dropped before that, nothing
    /// is written and `on_write` is never called; when it is dropped after, the message is in doubt.
    ///
    /// # Errors
    ///
    /// By [`Failure::class`]; never [`super::Class::Repeat`]. Where `on_write` was not called it is never
    /// [`super::Class::InDoubt`].
    pub async fn send<F>(&self, call: SendCall, body: Bytes, on_write: F) -> Result<Receipts, Failure>
    where
        F: FnOnce() + Send + 'static,
    {
        self.send_within(None, call, body, on_write).await
    }

    /// The same, given up when the limit is reached: it covers the waits for a token, a connection and the answer.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    pub async fn send_within<F>(
        &self,
        limit: Option<TimeLimit>,
        call: SendCall,
        body: Bytes,
        on_write: F,
    ) -> Result<Receipts, Failure>
    where
        F: FnOnce() + Send + 'static,
    {
        if body.is_empty() {
            return Err(call.call().refuse("the message is empty"));
        }
        let url = match call {
            SendCall::Group => &self.0.group_messages,
            SendCall::Targeted => &self.0.targeted_messages,
        };
        let mut on_write = Some(on_write);
        let success = self
            .call_within(call.call(), limit, || {
                let mut request = Request::new(Method::POST, url.clone());
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                let (body, seal) = WatchedBody::new(body.clone(), on_write.take());
                *request.body_mut() = Some(Body::wrap(body));
                Ok(Prepared { request, seal: Some(seal), flow: None })
            })
            .await?;
        let taken: Taken = success.read()?;
        Ok(Receipts { data: taken.data.0 })
    }
}
