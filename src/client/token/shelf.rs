//! Where a token is kept for many machines: who puts it there is somebody else's business, what is in it is sealed.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::fetch;
use super::saved::Saved;
use super::seal::Seal;
use crate::client::class::Class;
use crate::client::failure::Failure;
use crate::client::scrub::Scrubbed;

/// A place that all processes of an app can reach. Errors are in words; a token is had without it then.
pub trait Shelf: Debug + Send + Sync {
    /// Asks for the turn to fetch a token in place of the one of this number, for `length` at the most. `seal` tells the
    /// tokens of one client secret from those of another.
    fn turn<'a>(&'a self, seal: &'a str, known: i64, length: Duration)
    -> BoxFuture<'a, Result<Turn, String>>;
    /// Keeps a new token, which ends the turn; gives its number, which is higher than all before.
    fn keep<'a>(&'a self, seal: &'a str, sealed: &'a str) -> BoxFuture<'a, Result<i64, String>>;
    /// Writes down that a call succeeded with the token of this number.
    fn served<'a>(&'a self, seal: &'a str, number: i64) -> BoxFuture<'a, Result<(), String>>;
    /// Whether a call of any process succeeded with the token of this number, or a newer one has taken its place.
    fn has_served<'a>(&'a self, seal: &'a str, number: i64) -> BoxFuture<'a, Result<bool, String>>;
    /// Ends the turn without a token: why, for all who would fetch within `length`.
    fn trouble<'a>(
        &'a self,
        seal: &'a str,
        trouble: &'a str,
        length: Duration,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// Whether a process may fetch a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is its turn.
    Mine,
    /// Another one fetches.
    Theirs,
    /// There is no need.
    Kept(Kept),
}

/// What is on the shelf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The token, sealed; none where none was fetched yet.
    pub sealed: Option<String>,
    /// Its number; 0 where there is none.
    pub number: i64,
    /// Whether a call of any process succeeded with it.
    pub served: bool,
    /// Why there is no newer one, and for how long that is everybody's answer.
    pub trouble: Option<(String, Duration)>,
}

/// A shelf with the seal of what an app keeps there.
pub(super) struct Shelved {
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) seal: Seal,
}

/// A failure as the other processes are told of it.
#[derive(Serialize, Deserialize)]
struct Told {
    class: String,
    status: Option<u16>,
    error: Option<String>,
    code: Option<i64>,
    description: Option<String>,
    detail: String,
}

impl Shelved {
    pub(super) async fn turn(&self, known: i64, length: Duration) -> Result<Turn, String> {
        self.shelf.turn(self.seal.name(), known, length).await
    }

    pub(super) fn open(&self, kept: &Kept) -> Option<Saved> {
        let saved: Saved = serde_json::from_slice(&self.seal.open(kept.sealed.as_ref()?)?).ok()?;
        Some(if kept.served { Saved { replaced_unix: None, ..saved } } else { saved })
    }

    /// Keeps a token for all; gives its number.
    pub(super) async fn keep(&self, token: &Saved) -> Result<i64, String> {
        // Sealed in its place.
        let text = serde_json::to_vec(token).ok();
        let sealed = text.and_then(|text| self.seal.seal(text));
        let sealed = sealed.ok_or_else(|| "it cannot be sealed".to_owned())?;
        self.shelf.keep(self.seal.name(), &sealed).await
    }

    /// Tells the others that a call succeeded with the token of this number.
    pub(super) async fn served(&self, number: i64) -> Result<(), String> {
        self.shelf.served(self.seal.name(), number).await
    }

    /// Whether a call of any process succeeded with it, or a newer one has taken its place.
    pub(super) async fn has_served(&self, number: i64) -> Result<bool, String> {
        self.shelf.has_served(self.seal.name(), number).await
    }

    /// Tells the others of a failure, which holds no secret.
    pub(super) async fn trouble(&self, failure: &Failure, length: Duration) -> Result<(), String> {
        let class = match failure.class {
            Class::Auth => "auth",
            Class::Permanent => "permanent",
            _ => "nothing_sent",
        };
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let told = Told {
            class: class.to_owned(),
            status: failure.status,
            error: text(&failure.error),
            code: failure.code,
            description: text(&failure.description),
            detail: failure.detail.to_string(),
        };
        let told = serde_json::to_string(&told).map_err(|error| error.to_string())?;
        self.shelf.trouble(self.seal.name(), &told, length).await
    }
}

/// The failure that another process was told by the service, or could not be told.
pub(super) fn of_another(trouble: &str, left: Duration) -> Failure {
    let told: Option<Told> = serde_json::from_str(trouble).ok();
    let class = match told.as_ref().map(|told| told.class.as_str()) {
        Some("auth") => Class::Auth,
        Some("permanent") => Class::Permanent,
        _ => Class::NothingSent,
    };
    let shown = |text: &str| Box::from(Scrubbed::new(text, &[]).as_str());
    let detail = told.as_ref().map_or("", |told| &told.detail);
    let plain = Failure::plain(class, fetch::CALL.name, &Scrubbed::new(detail, &[]));
    Failure {
        status: told.as_ref().and_then(|told| told.status),
        error: told.as_ref().and_then(|told| told.error.as_deref()).map(shown),
        code: told.as_ref().and_then(|told| told.code),
        description: told.as_ref().and_then(|told| told.description.as_deref()).map(shown),
        retry_after: Some(left),
        ..plain
    }
}
