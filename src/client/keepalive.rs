//! Connections that are kept between calls for as long as their server keeps them.
//!
//! A server closes a connection that rests for longer than its own limit. A request that is written while the server
//! closes is in doubt, although the server never read it. So a connection is used again only well within the life that
//! the server announces (`Keep-Alive: timeout=5`), or that it showed by closing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONNECTION, HeaderMap, HeaderName};

use crate::clock::{Clock, Instant};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// The part of an announced life that is never used, where half of the life is more.
const RESERVE: Duration = Duration::from_secs(5);
/// After a rest this long the runtime looks for closed connections before the next request.
const REST: Duration = Duration::from_millis(100);
/// A connection that was lost after a shorter rest tells nothing of the server's limit.
const LOSS_COUNTS: Duration = Duration::from_secs(1);
/// A life that was learned from a loss is never taken for shorter.
const LEARNED_LEAST: Duration = Duration::from_millis(500);

/// Makes a client that uses a connection again after at most this rest; never again when it is zero.
type ClientFactory = dyn Fn(Duration) -> Result<Client, reqwest::Error> + Send + Sync;

/// An HTTP client that is replaced by one with a shorter rest when its server keeps connections for less.
pub struct ConnectionPool {
    build: Box<ClientFactory>,
    state: Mutex<PoolState>,
}

struct PoolState {
    client: Client,
    /// The longest rest after which a connection is used again.
    rest: Duration,
    /// When the last exchange ended.
    used_at: Option<Instant>,
}

/// A client for one exchange.
pub struct Checkout {
    /// The client.
    pub client: Client,
    /// For how long no exchange had ended before this one began; none for the first.
    rested: Option<Duration>,
}

impl std::fmt::Debug for ConnectionPool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connections").field("rest", &self.state().rest).finish_non_exhaustive()
    }
}

impl ConnectionPool {
    /// Connections that are used again after a rest of at most `rest`, until their server says less. `build` makes the
    /// client.
    ///
    /// # Errors
    ///
    /// As `build`.
    pub fn new(
        rest: Duration,
        build: impl Fn(Duration) -> Result<Client, reqwest::Error> + Send + Sync + 'static,
    ) -> Result<Self, reqwest::Error> {
        let client = build(rest)?;
        let state = Mutex::new(PoolState { client, rest, used_at: None });
        Ok(Self { build: Box::new(build), state })
    }

    /// The client of now, for what needs no connection.
    #[must_use]
    pub fn client(&self) -> Client {
        self.state().client.clone()
    }

    /// The client for the next exchange. After a rest the runtime first learns which connections were closed meanwhile,
    /// so that none of these is used.
    pub async fn checkout(&self, network: &Clock) -> Checkout {
        let (client, used_at) = {
            let state = self.state();
            (state.client.clone(), state.used_at)
        };
        let rested = used_at.map(|used_at| network.now() - used_at);
        if rested.is_some_and(|rested| rested >= REST) {
            // The runtime polls the network before it comes back here.
            tokio::task::yield_now().await;
        }
        Checkout { client, rested }
    }

    /// An answer came. Its headers tell for how long its connection lives.
    pub fn answered(&self, headers: &HeaderMap, network: &Clock) {
        let mut state = self.state();
        state.used_at = Some(network.now());
        if let Some(announced) = KeepAliveHeader::of(headers) {
            let rest = announced.usable().min(state.rest);
            if rest < state.rest || announced.is_over {
                self.replace(&mut state, rest);
            }
        }
    }

    /// A connection was lost while a request was under way. Where it had rested before, the server keeps connections
    /// for less.
    pub fn lost(&self, checkout: &Checkout, network: &Clock) {
        let mut state = self.state();
        state.used_at = Some(network.now());
        let Some(rested) = checkout.rested.filter(|rested| *rested >= LOSS_COUNTS) else { return };
        let rest = (rested / 2).max(LEARNED_LEAST).min(state.rest);
        if rest < state.rest {
            tracing::info!(
                ?rested,
                ?rest,
                "the server closed a connection that had rested; connections rest for less from now on"
            );
            self.replace(&mut state, rest);
        }
    }

    /// The connections of the client before close when the exchanges that are under way on them end.
    fn replace(&self, state: &mut PoolState, rest: Duration) {
        match (self.build)(rest) {
            Ok(client) => (state.client, state.rest) = (client, rest),
            Err(error) => tracing::warn!(
                error = %error.without_url(),
                "connections may rest for longer than their server keeps them"
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `Keep-Alive` says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct KeepAliveHeader {
    life: Option<Duration>,
    /// Whether the connection takes no more requests.
    is_over: bool,
}

impl KeepAliveHeader {
    fn of(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(KEEP_ALIVE) {
            return None;
        }
        let values = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut announced = Self { life: None, is_over: false };
        for field in values(KEEP_ALIVE).flat_map(|value| value.split([',', ';'])) {
            let Some((name, value)) = field.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            let value = value.strip_suffix('s').unwrap_or(value).trim_end();
            let Ok(number) = value.parse::<f64>() else { continue };
            match name.trim().to_ascii_lowercase().as_str() {
                "timeout" => {
                    let life = Duration::try_from_secs_f64(number.max(0.0)).unwrap_or(Duration::MAX);
                    announced.life = Some(announced.life.map_or(life, |known| known.min(life)));
                }
                "max" => announced.is_over |= number < 1.0,
                _ => {}
            }
        }
        // The library closes it by itself then.
        let closes = values(CONNECTION).any(|value| value.to_ascii_lowercase().contains("close"));
        announced.is_over &= !closes;
        Some(announced)
    }

    /// The rest after which a connection is used again: the announced life without its last part.
    fn usable(self) -> Duration {
        self.life.map_or(Duration::MAX, |life| life.saturating_sub(RESERVE.min(life / 2)))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn announced(value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(KEEP_ALIVE, HeaderValue::from_static(value));
        KeepAliveHeader::of(&headers)?.life
    }

    fn connections() -> ConnectionPool {
        let tls = crate::client::tls_config().unwrap();
        let build = move |_| Client::builder().tls_backend_preconfigured(tls.clone()).no_proxy().build();
        ConnectionPool::new(Duration::from_secs(20), build).unwrap()
    }

    fn rest_after(connections: &ConnectionPool, value: &'static str) -> Duration {
        let mut headers = HeaderMap::new();
        headers.insert(KEEP_ALIVE, HeaderValue::from_static(value));
        connections.answered(&headers, &Clock::real());
        connections.state().rest
    }

    #[test]
    fn the_announced_life_is_read_in_every_form() {
        for (value, seconds) in [
            ("timeout=5", Some(5.0)),
            ("timeout=5, max=100", Some(5.0)),
            ("max=100,timeout = 5", Some(5.0)),
            ("Timeout=\"5\"", Some(5.0)),
            ("timeout=5; max=3", Some(5.0)),
            ("timeout=0.5", Some(0.5)),
            ("timeout=0", Some(0.0)),
            ("timeout=-3", Some(0.0)),
            ("timeout=5s", Some(5.0)),
            ("timeout=soon", None),
            ("timeout", None),
            ("", None),
        ] {
            assert_eq!(announced(value), seconds.map(Duration::from_secs_f64), "{value}");
        }
    }

    #[test]
    fn the_last_part_of_a_life_is_not_used() {
        let usable =
            |seconds| KeepAliveHeader { life: Some(Duration::from_secs(seconds)), is_over: false }.usable();
        for (life, millis) in [(0, 0), (1, 500), (2, 1000), (5, 2500), (10, 5000), (60, 55_000)] {
            assert_eq!(usable(life), Duration::from_millis(millis), "{life}");
        }
    }

    #[test]
    fn a_shorter_life_replaces_the_client_and_a_longer_one_does_not() {
        let connections = connections();
        let rest = |value| rest_after(&connections, value).as_millis();
        assert_eq!(
            [rest("timeout=60"), rest("timeout=5"), rest("timeout=60"), rest("timeout=1")],
            [20_000, 2_500, 2_500, 500]
        );
    }

    #[test]
    fn a_loss_after_a_rest_shortens_the_rest_and_one_in_full_run_does_not() {
        let connections = connections();
        let lost = |millis| {
            let rested = Some(Duration::from_millis(millis));
            connections.lost(&Checkout { client: connections.client(), rested }, &Clock::real());
            connections.state().rest.as_millis()
        };
        assert_eq!(
            [lost(900), lost(10_000), lost(30_000), lost(1000), lost(1000)],
            [20_000, 5_000, 5_000, 500, 500]
        );
    }
}
