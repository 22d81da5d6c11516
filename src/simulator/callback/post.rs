//! Posts callbacks as they are due.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::header::CONTENT_TYPE;

use super::{CallbackSettings, NextCallback};
use crate::simulator::service::Simulator;
use crate::simulator::time::ClockReading;

/// How many posts run at once. So callbacks may arrive in another order than they were due.
const AT_ONCE: usize = 64;
/// Only an answer of at most this many characters counts as taken (contract).
const ANSWER_CHARACTERS: usize = 1_000;

impl Simulator {
    /// Posts callbacks as they are due. It never returns. [`Simulator::serve`] does this too, so call it only where
    /// another server runs the service.
    pub async fn post_callbacks(&self) {
        let Some(settings) = &self.settings().callback else { return std::future::pending().await };
        let client = match client() {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "the simulator cannot post callbacks");
                return std::future::pending().await;
            }
        };
        let due = stream::unfold((), |()| async { Some((self.next_callback().await, ())) });
        due.for_each_concurrent(AT_ONCE, |body| self.post(&client, settings, body)).await;
    }

    /// Waits for the next callback that is due, and takes it.
    async fn next_callback(&self) -> Bytes {
        loop {
            let queued = self.callback_queued().notified();
            let next = self.state().callbacks.next(self.time().elapsed());
            match next {
                NextCallback::Due(body) => return body,
                NextCallback::Empty => queued.await,
                NextCallback::After(wait) => tokio::select! {
                    () = queued => {}
                    () = self.time().sleep(wait) => {}
                },
            }
        }
    }

    /// Posts one callback, and once more at once if it was not taken.
    async fn post(&self, client: &reqwest::Client, settings: &CallbackSettings, body: Bytes) {
        for _ in 0..2 {
            if self.state().callbacks.is_banned(self.time().elapsed()) {
                return self.state().count_callback("banned", 1);
            }
            *self.state().stats.calls.entry("callback").or_default() += 1;
            let taken = tokio::select! {
                taken = attempt(client, &settings.url, body.clone()) => taken.unwrap_or(false),
                () = self.time().sleep(settings.timeout) => false,
            };
            let mut state = self.state();
            if taken {
                return state.count_callback("taken", 1);
            }
            state.count_callback("failed", 1);
            let now = ClockReading::of(self.time());
            if state.callbacks.failed(now.elapsed) {
                tracing::warn!("callbacks failed 90 times in 30 s; none is posted for 5 minutes");
            }
        }
        self.state().count_callback("lost", 1);
    }
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    // The address has no TLS, so there are no roots to trust.
    let provider = rustls::crypto::ring::default_provider().into();
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let builder = builder.retry(reqwest::retry::never()).connect_timeout(Duration::from_secs(5));
    match tls {
        Ok(tls) => {
            let roots = rustls::RootCertStore::empty();
            let tls = tls.with_root_certificates(roots).with_no_client_auth();
            builder.tls_backend_preconfigured(tls).build()
        }
        Err(_) => builder.build(),
    }
}

/// Posts once and returns whether the answer counts as taken.
async fn attempt(client: &reqwest::Client, url: &str, body: Bytes) -> Result<bool, reqwest::Error> {
    let request = client.post(url).header(CONTENT_TYPE, "application/json").body(body);
    let mut response = request.send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Ok(false);
    }
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        answer.extend_from_slice(&chunk);
        // A character has at most 4 bytes.
        if answer.len() > 4 * ANSWER_CHARACTERS {
            return Ok(false);
        }
    }
    Ok(String::from_utf8_lossy(&answer).chars().count() <= ANSWER_CHARACTERS)
}
