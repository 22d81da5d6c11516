//! Reads a document that anyone may read, for the program itself. The request carries no credentials, and no information
//! but the program's name and version.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode, Url};

use super::own_client::{cause, own_client};
use crate::clock::Clock;

/// The most bytes of a document.
const DOCUMENT: usize = 4 * 1024 * 1024;

/// The most redirects that are followed, all of them at one server.
const REDIRECTS: usize = 5;

/// The address of a public document. Only its host is ever shown.
#[derive(Debug)]
pub struct PublicDocument {
    url: Url,
    clock: Clock,
}

/// What a server answers.
#[derive(Debug)]
pub enum DocumentAnswer {
    Document(Vec<u8>),
    /// The server has answered too many requests. It takes the next one after this time, if it says so.
    TooMany(Option<Duration>),
    /// A redirect to another server, by its scheme, host and port. It was not followed.
    Elsewhere(String),
    /// Any other status.
    Status(u16),
}

impl PublicDocument {
    /// # Errors
    ///
    /// What is wrong with the address. The text does not contain the address.
    pub fn new(url: &str, clock: Clock) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| format!("it cannot be read: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("it must be an address of https or http".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "it holds a user or a password, and the document must be one that anyone may read".to_owned()
            );
        }
        Ok(Self { url, clock })
    }

    /// Returns the host of the address, for display.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Reads the document once. Redirects are followed at the same server only.
    ///
    /// # Errors
    ///
    /// Why no usable answer came, without the address.
    pub async fn read(&self) -> Result<DocumentAnswer, String> {
        let redirects = Policy::custom(|attempt| {
            let first = attempt.previous().first().map(Url::origin);
            if first != Some(attempt.url().origin()) {
                attempt.stop()
            } else if attempt.previous().len() > REDIRECTS {
                attempt.error(format!("it redirects more than {REDIRECTS} times"))
            } else {
                attempt.follow()
            }
        });
        let client = own_client(&self.url, redirects)?;
        let request = client.get(self.url.clone()).header(ACCEPT, "application/json");
        let response = request.send().await.map_err(|error| cause(&error.without_url()))?;
        let status = response.status();
        if status.is_success() {
            return whole(response).await.map(DocumentAnswer::Document);
        }
        if status.is_redirection() {
            let to = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            if let Some(to) = to.and_then(|to| response.url().join(to).ok()) {
                return Ok(DocumentAnswer::Elsewhere(to.origin().ascii_serialization()));
            }
        }
        Ok(self.refusal(status, response.headers()))
    }

    /// Reads an answer without a document: whether there were too many requests, and how long to wait.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> DocumentAnswer {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let wait = number(RETRY_AFTER.as_str()).map(Duration::from_secs);
        let spent = number("x-ratelimit-remaining") == Some(0);
        let is_limit = match status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::FORBIDDEN => spent || wait.is_some(),
            _ => false,
        };
        if !is_limit {
            return DocumentAnswer::Status(status.as_u16());
        }
        let reset = || Duration::from_secs(number("x-ratelimit-reset")?).checked_sub(self.clock.unix_time());
        DocumentAnswer::TooMany(wait.or_else(reset))
    }
}

async fn whole(mut response: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error.without_url()))? {
        if bytes.len() + chunk.len() > DOCUMENT {
            return Err(format!("its answer is longer than {} MiB", DOCUMENT / 1024 / 1024));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
