//! An app's token that several processes share through a store.

use std::time::Duration;

/// The stored state of a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredToken {
    /// The encrypted token; `None` if none was fetched yet.
    pub sealed: Option<String>,
    /// The token's number. Each new token has a higher one; 0 means that there is none.
    pub number: i64,
    /// Whether a call of any process succeeded with it.
    pub served: bool,
    /// Why the last fetch failed, as the fetching process described it, and for how long every process gets that
    /// answer; `None` if no fetch failed.
    pub last_failure: Option<(String, Duration)>,
}

/// Whether a process may fetch a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenTurn {
    /// This process may fetch a token now.
    Mine,
    /// Another process fetches one.
    Theirs,
    /// No fetch is needed: the stored token is newer than the one that the process knows, or the store says why no
    /// token can be had now.
    Kept(StoredToken),
}
