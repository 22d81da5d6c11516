//! The service's REST API for one app: token, sends, uploads, lists, recalls, edits, and the meaning of each failure.
//!
//! This module takes bytes and returns receipts. Other modules decide what a message is, when it is sent and how it is
//! recorded. It repeats no call, with one exception: a call answered with 401 had no effect, and is made again with a
//! new token. Callers decide about other repeats by [`CallError::class`].
//!
//! A client's connections belong to the runtime that first used them, so each sending thread has its own client.

mod announce;
mod answer;
mod body;
mod builder;
mod call;
mod class;
mod decode;
mod failure;
mod groups;
mod history;
mod in_process;
mod keepalive;
mod lists;
pub mod media;
mod picture;
mod proxy;
mod recall;
mod rest;
mod rewrite;
mod roots;
mod scrub;
mod send;
mod token;
mod transport;
mod upload;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use reqwest::Url;

use crate::clock::Clock;
use crate::config::App;
use call::{CallSpec, CallSuccess, PreparedCall};
use token::TokenProvider;
use transport::HttpTransport;

pub use builder::client_builder;
pub use call::TokenRenewals;
pub use class::FailureClass;
pub use decode::{ContentEncodings, DecodeError};
pub use failure::CallError;
#[cfg(test)]
pub use failure::CallName;
pub use groups::{DETAILS_MAX, GroupDetails};
pub use in_process::{InProcessService, ServiceResponse};
pub use keepalive::ConnectionPool;
pub use lists::{Group, GroupRole, Member, PAGE_SIZE_MAX};
pub use media::MediaInfo;
pub use picture::Picture;
pub use proxy::Proxies;
pub use recall::{RECALL_MAX, Recall, RecallResult};
pub use rest::{RestAnswer, RestCall};
pub use roots::tls_config;
pub use scrub::hide;
pub use send::{Authorisation, SendReceipts, TimeLimit};
pub use token::{TokenStore, TokenWait, agora_token};
pub use upload::{Thumbnail, Upload, UploadError};

/// The client of one app's service. Clones share connections and token.
#[derive(Clone)]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    prefix: Url,
    group_messages: Url,
    targeted_messages: Url,
    user_messages: Url,
    room_messages: Url,
    tokens: TokenProvider,
    transport: HttpTransport,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the app's address {0}")]
    Address(String),
    #[error("the token holds characters that cannot be sent (a line break?)")]
    TokenCharacters,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("{0}; set it to the proxy's address, or unset it")]
    Proxy(String),
    #[error("the HTTP client cannot be set up: {0}")]
    Http(String),
}

impl Client {
    /// A client for `app`. Nothing is sent or read yet. Proxies come from the environment (`HTTP_PROXY`, `HTTPS_PROXY`,
    /// `ALL_PROXY`, `NO_PROXY`), except for a service on this machine. With `state`, the project's state folder, a
    /// fetched token is stored there for other processes.
    pub fn new(app: &App, clock: Clock, state: Option<&Path>) -> Result<Self, ClientError> {
        Self::with(app, state, |prefix| HttpTransport::new(prefix, clock, app.timeouts))
    }

    /// A client whose requests go to a service in this process, in the time of `clock`.
    pub fn over(wire: Arc<dyn InProcessService>, app: &App, clock: Clock) -> Result<Self, ClientError> {
        Self::with(app, None, |prefix| Ok(HttpTransport::new(prefix, clock, app.timeouts)?.over(wire)))
    }

    fn with(
        app: &App,
        state: Option<&Path>,
        transport: impl FnOnce(&Url) -> Result<HttpTransport, ClientError>,
    ) -> Result<Self, ClientError> {
        let prefix = address(&app.prefix)?;
        let tokens = TokenProvider::new(app, below(&prefix, &["token"]), state)?;
        Ok(Self(Arc::new(ClientInner {
            group_messages: below(&prefix, &["messages", "chatgroups"]),
            targeted_messages: below(&prefix, &["messages", "chatgroups", "users"]),
            user_messages: below(&prefix, &["messages", "users"]),
            room_messages: below(&prefix, &["messages", "chatrooms"]),
            transport: transport(&prefix)?,
            prefix,
            tokens,
        })))
    }

    /// Stores fetched tokens in a token store that other machines share, and no longer in the project's state folder.
    /// The store knows the app by `key`. Has no effect if the token is fixed.
    pub fn use_token_store(&self, key: &str, store: Arc<dyn TokenStore>) {
        self.0.tokens.use_store(key, store);
    }

    /// Makes sure that there is a token, without any other call. Fetches one if none is stored. A fixed token is not
    /// checked.
    pub async fn authorise(&self) -> Result<(), CallError> {
        self.0.tokens.acquire_token(&self.0.transport, None).await.map(drop)
    }

    /// Why calls wait for the app's token; `None` if they do not.
    pub fn token_wait(&self) -> Option<TokenWait> {
        self.0.tokens.wait(self.0.transport.clock())
    }

    fn url(&self, segments: &[&str]) -> Url {
        below(&self.0.prefix, segments)
    }

    async fn call(
        &self,
        call: CallSpec,
        prepare: impl FnMut() -> Result<PreparedCall, CallError>,
    ) -> Result<CallSuccess, CallError> {
        self.call_within(call, None, prepare).await
    }

    /// Makes a call, and gives up when the limit is reached. The limit includes the wait for a token.
    async fn call_within(
        &self,
        call: CallSpec,
        limit: Option<TimeLimit>,
        prepare: impl FnMut() -> Result<PreparedCall, CallError>,
    ) -> Result<CallSuccess, CallError> {
        call::authorised(&self.0.transport, &self.0.tokens, call, limit, prepare).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("app", &self.0.prefix.as_str()).finish_non_exhaustive()
    }
}

/// Parses an app's address. It must be a URL to which paths can be added.
fn address(prefix: &str) -> Result<Url, ClientError> {
    let bad = |reason: &str| ClientError::Address(reason.to_owned());
    let url = Url::parse(prefix).map_err(|error| bad(&format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must not hold a ? or a #"));
    }
    Ok(url)
}

/// The URL of a path below `prefix`, with each segment percent-encoded.
fn below(prefix: &Url, segments: &[&str]) -> Url {
    let mut url = prefix.clone();
    // Only a URL without a host has no path to extend, and an http URL always has a host.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::config::{AppLimits, Credentials, Timeouts};

    fn app(prefix: &str, credentials: Credentials) -> App {
        App {
            name: "default".into(),
            prefix: prefix.into(),
            credentials,
            limits: AppLimits::default(),
            records: crate::config::RecordSettings::default(),
            timeouts: Timeouts::default(),
        }
    }

    fn client(prefix: &str, token: &str) -> Result<Client, ClientError> {
        Client::new(&app(prefix, Credentials::Token(SecretString::from(token))), Clock::real(), None)
    }

    #[test]
    fn an_address_must_be_one_that_calls_can_stand_behind() {
        for bad in
            ["", "service/org/app", "ftp://x/o/a", "http://u:canary@x/o/a", "http://x/o/a?b", "http://x/#c"]
        {
            let text = client(bad, "t").unwrap_err().to_string();
            assert!(text.starts_with("the app's address") && !text.contains("canary"), "{bad}: {text}");
        }
        let built = client("https://a1.example.com/o/a", "t").unwrap();
        assert_eq!(built.0.group_messages.as_str(), "https://a1.example.com/o/a/messages/chatgroups");
        assert_eq!(built.url(&["chatgroups", "a/ü?", "users"]).path(), "/o/a/chatgroups/a%2F%C3%BC%3F/users");
    }

    #[test]
    fn nothing_shows_the_token() {
        assert!(!format!("{:?}", client("http://x/o/a", "canary").unwrap()).contains("canary"));
        let refused = client("http://x/o/a", "canary\n").unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("canary"));
    }
}
