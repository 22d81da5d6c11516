//! Posts from the program itself, such as alerts, to an address that its operator configured. Unlike a script's
//! requests they need no permission.

use std::cell::OnceCell;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};

use super::own_client::{cause, own_client};
use crate::clock::Clock;

/// The most bytes that are read of an answer.
const ANSWER: usize = 64 * 1024;

/// An address of another service that takes JSON. Knowing the address may be enough to write there, so only its
/// host is ever shown.
pub struct Webhook {
    url: Url,
    client: OnceCell<reqwest::Client>,
    clock: Clock,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Webhook({})", self.host())
    }
}

impl Webhook {
    /// Creates the webhook. No connection is opened before the first post.
    ///
    /// # Errors
    ///
    /// What is wrong with the address. The text does not contain the address.
    pub fn new(url: &SecretString, clock: Clock) -> Result<Self, String> {
        let url = Url::parse(url.expose_secret()).map_err(|error| format!("it cannot be read: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("it must be an address of https or http".to_owned());
        }
        Ok(Self { url, client: OnceCell::new(), clock })
    }

    /// Returns the host of the address, for display.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Posts JSON with additional headers and query parameters, once; a simulated clock stands still meanwhile. Returns the
    /// answer's text. Any status from 200 to 299 counts as an answer. Redirects are not followed.
    pub async fn post(
        &self,
        body: String,
        headers: &[(&'static str, String)],
        query: &[(&'static str, String)],
    ) -> Result<String, String> {
        let _hold = self.clock.hold();
        let client = self.client()?;
        let mut url = self.url.clone();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let mut response = request.send().await.map_err(|error| cause(&error.without_url()))?;
        if response.status().is_success() {
            return Ok(beginning(&mut response).await);
        }
        let status = response.status();
        let location = response.headers().get(LOCATION).filter(|_| status.is_redirection());
        // Of the redirect's target, too, only the host is shown.
        let leads_to = location.and_then(|value| self.url.join(value.to_str().ok()?).ok()).map(|url| {
            format!(", a redirect to {}, which is not followed", url.origin().ascii_serialization())
        });
        Err(format!("{} answered with the status {status}{}", self.host(), leads_to.unwrap_or_default()))
    }

    fn client(&self) -> Result<reqwest::Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = own_client(&self.url, Policy::none())?;
        Ok(self.client.get_or_init(|| client).clone())
    }
}

/// Reads the beginning of an answer's body. What cannot be read is left out: the status says that the post was taken.
async fn beginning(response: &mut reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER {
            bytes.truncate(ANSWER);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
