//! Edits a message that was sent.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::call;
use super::failure::CallError;
use super::send::{Authorisation, TimeLimit, spec, watched};
use super::{Client, ClientInner};
use crate::core::Call;

/// A successful answer. The contract's `data` is `"success"`.
#[derive(Deserialize)]
struct RewriteResponse {
    #[serde(rename = "data")]
    _data: IgnoredAny,
}

impl Client {
    /// Edits the message with this id once, with the given token. `body` is the JSON of the edit. An edit that is made
    /// twice has the effect of one, so the call is safe to repeat. `on_write` and the limit are as in
    /// [`Client::send_with`].
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]; never [`super::FailureClass::InDoubt`].
    pub async fn rewrite_with<F>(
        &self,
        authorisation: &Authorisation,
        limit: Option<TimeLimit>,
        message_id: &str,
        body: Bytes,
        on_write: F,
    ) -> Result<(), CallError>
    where
        F: FnOnce() + Send + 'static,
    {
        let ClientInner { transport, tokens, .. } = &*self.0;
        let url = self.url(&["messages", "rewrite", message_id]);
        let prepared = watched(Method::PUT, url, body, Some(on_write));
        let deadline = call::deadline(transport, limit);
        let made =
            call::made(transport, tokens, spec(Call::Edit), &authorisation.0, deadline, prepared).await;
        made?.read::<RewriteResponse>().map(drop)
    }
}
