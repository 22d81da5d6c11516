//! Reuses connections between calls for as long as their server keeps them open.
//!
//! A server closes a connection that is idle for longer than the server's own limit. If a request is written while the
//! server closes, the send is in doubt, although the server never read it. So a connection is reused only well within
//! the lifetime that the server announces (`Keep-Alive: timeout=5`), or that the client learned from a closed
//! connection.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONNECTION, HeaderMap, HeaderName};

use crate::clock::{Clock, Instant};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// The last part of an announced lifetime that is not used; half of the lifetime if that is less.
const RESERVE: Duration = Duration::from_secs(5);
/// After an idle time this long, the runtime checks for closed connections before the next request.
const REST: Duration = Duration::from_millis(100);
/// A connection that was lost after a shorter idle time says nothing about the server's limit.
const LOSS_COUNTS: Duration = Duration::from_secs(1);
/// The shortest limit that is learned from a lost connection.
const LEARNED_LEAST: Duration = Duration::from_millis(500);

/// Makes a client that reuses a connection that was idle for at most this time; none if it is zero.
type ClientFactory = dyn Fn(Duration) -> Result<Client, reqwest::Error> + Send + Sync;

/// An HTTP client. It is replaced by one with a shorter idle limit when its server keeps connections for less.
pub struct ConnectionPool {
    build: Box<ClientFactory>,
    state: Mutex<PoolState>,
}

struct PoolState {
    client: Client,
    /// The longest idle time after which a connection is reused.
    rest: Duration,
    /// When the last exchange ended.
    used_at: Option<Instant>,
}

pub struct Checkout {
    pub client: Client,
    /// The time since the end of the last exchange, when this one began; `None` for the first.
    rested: Option<Duration>,
}

impl std::fmt::Debug for ConnectionPool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connections").field("rest", &self.state().rest).finish_non_exhaustive()
    }
}

impl ConnectionPool {
    /// A pool that reuses connections after an idle time of at most `rest`, or less if their server says so. `build`
    /// makes the client.
    pub fn new(
        rest: Duration,
        build: impl Fn(Duration) -> Result<Client, reqwest::Error> + Send + Sync + 'static,
    ) -> Result<Self, reqwest::Error> {
        let client = build(rest)?;
        let state = Mutex::new(PoolState { client, rest, used_at: None });
        Ok(Self { build: Box::new(build), state })
    }

    /// The current client, for uses that need no connection.
    pub fn client(&self) -> Client {
        self.state().client.clone()
    }

    /// The client for the next exchange. After an idle time, this first lets the runtime learn which connections were
    /// closed, so that it uses none of them.
    pub async fn checkout(&self, network: &Clock) -> Checkout {
        let (client, used_at) = {
            let state = self.state();
            (state.client.clone(), state.used_at)
        };
        let rested = used_at.map(|used_at| network.now() - used_at);
        if rested.is_some_and(|rested| rested >= REST) {
            // The runtime polls the network before it resumes this task.
            tokio::task::yield_now().await;
        }
        Checkout { client, rested }
    }

    /// Records an answer. Its headers announce the lifetime of its connection.
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

    /// Records that a connection was lost during a request. If it was idle before, the idle limit is lowered.
    pub fn lost(&self, checkout: &Checkout, network: &Clock) {
        let mut state = self.state();
        state.used_at = Some(network.now());
        let Some(rested) = checkout.rested.filter(|rested| *rested >= LOSS_COUNTS) else { return };
        let rest = (rested / 2).max(LEARNED_LEAST).min(state.rest);
        if rest < state.rest {
            tracing::info!(
                ?rested,
                ?rest,
                "the server closed an idle connection; from now on connections stay idle for less time"
            );
            self.replace(&mut state, rest);
        }
    }

    /// Replaces the client. The old client's connections close when their current exchanges end.
    fn replace(&self, state: &mut PoolState, rest: Duration) {
        match (self.build)(rest) {
            Ok(client) => (state.client, state.rest) = (client, rest),
            Err(error) => tracing::warn!(
                error = %error.without_url(),
                "connections may stay idle for longer than the server keeps them open"
            ),
        }
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parsed `Keep-Alive` header.
#[derive(Debug, Clone, Copy, PartialEq)]
struct KeepAliveHeader {
    life: Option<Duration>,
    /// Whether the connection accepts no more requests.
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
        // The library closes such a connection by itself.
        let closes = values(CONNECTION).any(|value| value.to_ascii_lowercase().contains("close"));
        announced.is_over &= !closes;
        Some(announced)
    }

    /// The longest usable idle time: the announced lifetime without its reserve.
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
