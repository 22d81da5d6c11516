//! The service's REST API for one app: token, sends, uploads, lists, recalls, and what each failure means.
//!
//! It is given bytes and gives receipts: what a message is, when it may leave and what is kept of it is for others to
//! know. It repeats nothing, with one exception: a call answered with 401, which did nothing, is made again with a
//! new token. Whoever wants more goes by [`Failure::class`].
//!
//! A client's connections live on the runtime that first used them, so a thread that sends has a client of its own.
//!
//! May import: `config`, `clock`.

mod answer;
mod body;
mod builder;
mod call;
mod class;
mod decode;
mod failure;
mod in_process;
mod keepalive;
mod lists;
pub mod media;
mod pages;
mod proxy;
mod recall;
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
pub use failure::{CallError, CallName};
pub use in_process::{InProcessService, ServiceResponse};
pub use keepalive::{Checkout, ConnectionPool};
pub use lists::{Group, GroupRole, GroupsPage, Member, MembersPage, PAGE_SIZE_MAX};
pub use media::{MediaInfo, MediaKind};
pub use pages::{GroupPages, MemberPages};
pub use proxy::Proxies;
pub use recall::{RECALL_MAX, Recall, RecallResult};
pub use roots::tls_config;
pub use send::{Authorisation, SendCall, SendReceipts, TimeLimit};
pub use token::{FetchTurn, StoredToken, TokenStore, TokenWait};
pub use upload::{Thumbnail, Upload, UploadError, UploadResult, check_size};

/// Speaks to the service for one app. Clones share connections and token.
#[derive(Clone)]
pub struct Client(Arc<ClientInner>);

struct ClientInner {
    prefix: Url,
    group_messages: Url,
    targeted_messages: Url,
    tokens: TokenProvider,
    transport: HttpTransport,
}

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The app's address is not one: the reason, without the address, which could hold a password.
    #[error("the app's address {0}")]
    Address(String),
    /// The fixed token holds a character that no HTTP header can carry.
    #[error("the token holds characters that cannot be sent (a line break?)")]
    TokenCharacters,
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A variable of the environment names no proxy.
    #[error("{0}; set it to the proxy's address, or unset it")]
    Proxy(String),
    /// The HTTP library could not be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Http(String),
}

impl Client {
    /// A client for `app`. Nothing is sent or read yet; proxies are taken from the environment (`HTTP_PROXY`,
    /// `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), but for a service on this machine. With `state`, the project's state folder, a fetched token is kept
    /// there for other processes.
    ///
    /// # Errors
    ///
    /// When the app's address or token cannot be used.
    pub fn new(app: &App, clock: Clock, state: Option<&Path>) -> Result<Self, ClientError> {
        Self::with(app, state, |prefix| HttpTransport::new(prefix, clock, app.timeouts))
    }

    /// A client whose requests go over a wire in place of the network, at the pace of `clock`.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
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
            transport: transport(&prefix)?,
            prefix,
            tokens,
        })))
    }

    /// Keeps a fetched token on a shelf that other machines reach too, and no more in the project's state folder. The app
    /// is known there by `key`. Nothing where the token is fixed.
    pub fn use_token_store(&self, key: &str, place: Arc<dyn TokenStore>) {
        self.0.tokens.use_store(key, place);
    }

    /// Makes sure that there is a token, without any other call: fetches one when none is kept. A fixed token is
    /// taken as it is.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn authorise(&self) -> Result<(), CallError> {
        self.0.tokens.lease(&self.0.transport, None).await.map(drop)
    }

    /// Why calls wait for the app's token, where they do.
    #[must_use]
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

    /// The same, given up when the limit is reached, the wait for a token included.
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

/// Reads an app's address, which must be one that calls can stand behind.
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

/// The URL of a path behind `prefix`, each segment percent-encoded.
fn below(prefix: &Url, segments: &[&str]) -> Url {
    let mut url = prefix.clone();
    // Only a URL without a host has no path to extend, and http always has a host.
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
