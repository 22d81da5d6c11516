//! One receiver of alerts: its webhook, and how often it is posted to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::ExposeSecret;

use crate::clock::{Clock, Instant};
use crate::config::{AlertFormat, AlertSettings};
use crate::ledger::AlertAddress;
use crate::run::Webhook;

use super::format::{AlertPost, AlertReading, group_size, post_of, refusal};

/// The most posts a minute to the robot of a group chat. The vendors' limit is 20, also for posts of others.
const MOST_POSTS: usize = 15;
const MINUTE: Duration = Duration::from_mins(1);

/// The fewest bytes of a part of an address that may be its token.
const LEAST_HIDDEN: usize = 8;

/// The header that marks a post as an alert. A hook's run that handles such a post raises no alerts.
pub(in crate::daemon) const ALERT_HEADER: &str = "x-mooncast-alert";

#[derive(Debug)]
pub(super) struct AlertReceiver {
    pub(super) settings: AlertSettings,
    pub(super) address: AlertAddress,
    reading: AlertReading,
    hook: Webhook,
    clock: Clock,
    /// When it was posted to in the last minute.
    posts: RefCell<VecDeque<Instant>>,
}

impl AlertReceiver {
    /// # Errors
    ///
    /// The address is invalid. The message does not contain it.
    pub(super) fn new(settings: AlertSettings, clock: &Clock) -> Result<Self, String> {
        let hook = Webhook::new(&settings.url, clock.clone())
            .map_err(|why| format!("[alerts] url of `{}`: {why}", settings.name))?;
        let address = AlertAddress::of(&settings);
        let named = settings.zone.as_deref().and_then(|name| TimeZone::get(name).ok());
        let zone = named.unwrap_or_else(|| TimeZone::try_system().unwrap_or(TimeZone::UTC));
        let reading = AlertReading { format: settings.format, language: settings.language, zone };
        Ok(Self { settings, address, reading, hook, clock: clock.clone(), posts: RefCell::default() })
    }

    /// The host of its address, for display.
    pub(super) fn host(&self) -> &str {
        self.hook.host()
    }

    /// Hides the parts of the address and the secret in what a receiver says of a post.
    fn hide(&self, mut text: String) -> String {
        let address = self.settings.url.expose_secret();
        let (_, parts) = address.split_once("://").unwrap_or_default();
        let parts = parts.split(['/', '?', '&', '=', '#']).skip(1);
        let secret = self.settings.secret.iter().map(ExposeSecret::expose_secret);
        for part in parts.chain(secret).filter(|part| part.len() >= LEAST_HIDDEN) {
            text = text.replace(part, "…");
        }
        text
    }

    /// How many of the first of these alerts one post takes, at least 1.
    pub(super) fn group_size(&self, bodies: &[&str]) -> usize {
        group_size(&self.reading, bodies)
    }

    /// How long to wait before the next post; zero if there may be one now.
    pub(super) fn wait(&self) -> Duration {
        if self.settings.format == AlertFormat::Json {
            return Duration::ZERO;
        }
        let now = self.clock.now();
        let mut posts = self.posts.borrow_mut();
        posts.retain(|at| now.saturating_since(*at) < MINUTE);
        let first = posts.front().filter(|_| posts.len() >= MOST_POSTS);
        first.map_or(Duration::ZERO, |at| MINUTE.saturating_sub(now.saturating_since(*at)))
    }

    /// Posts stored alerts, as many as [`AlertReceiver::group_size`] says.
    ///
    /// # Errors
    ///
    /// Why they did not arrive, without the address.
    pub(super) async fn post(&self, bodies: &[&str]) -> Result<(), String> {
        let AlertSettings { format, secret, .. } = &self.settings;
        if *format != AlertFormat::Json {
            self.posts.borrow_mut().push_back(self.clock.now());
        }
        let secret = secret.as_ref().map(ExposeSecret::expose_secret);
        let post = post_of(&self.reading, bodies, secret, self.clock.unix_time());
        let AlertPost { body, mut headers, query } = post;
        headers.push((ALERT_HEADER, "1".to_owned()));
        let answer = self.hook.post(body, &headers, &query).await.map_err(|why| self.hide(why))?;
        refusal(*format, &answer).map_or(Ok(()), |why| Err(self.hide(why)))
    }
}
