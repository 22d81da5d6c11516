//! Announces a message to all users of the app, or to those online.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;

use super::answer::LosslessText;
use super::call::{self, CallSpec};
use super::class::Idempotency;
use super::failure::CallError;
use super::send::{Authorisation, TimeLimit, watched};
use super::{Client, ClientInner};
use crate::core::UserScope;

#[derive(Deserialize)]
struct AnnounceResponse {
    data: AnnouncementId,
}

#[derive(Deserialize)]
struct AnnouncementId {
    id: LosslessText,
}

const fn spec(scope: UserScope) -> CallSpec {
    match scope {
        UserScope::All => CallSpec::post("/messages/broadcast", Idempotency::Send),
        UserScope::Online => CallSpec::post("/messages/users/broadcast", Idempotency::Send),
    }
}

impl Client {
    /// Sends an announcement once, with the given token. `body` is its JSON. Returns the service's id of it. `on_write`
    /// and the limit are as in [`Client::send_with`].
    ///
    /// # Errors
    ///
    /// As [`Client::send_with`]. [`super::FailureClass::Throttled`] if the app's announcements are used up for now.
    pub async fn announce_with<F>(
        &self,
        authorisation: &Authorisation,
        limit: Option<TimeLimit>,
        scope: UserScope,
        body: Bytes,
        on_write: F,
    ) -> Result<String, CallError>
    where
        F: FnOnce() + Send + 'static,
    {
        let ClientInner { transport, tokens, .. } = &*self.0;
        let url = self.url(match scope {
            UserScope::All => &["messages", "broadcast"],
            UserScope::Online => &["messages", "users", "broadcast"],
        });
        let prepared = watched(Method::POST, url, body, Some(on_write));
        let deadline = call::deadline(transport, limit);
        let made = call::made(transport, tokens, spec(scope), &authorisation.0, deadline, prepared).await;
        Ok(made?.read::<AnnounceResponse>()?.data.id.0)
    }
}
