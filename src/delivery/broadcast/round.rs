//! One round: sends to all pending recipients, many calls at once, until none is left or something stops it.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::clock::Instant;
use crate::ledger::{BroadcastCommand, LedgerError, Recipient};
use crate::quota::Quota;

use super::batches::Batches;
use super::verdict::CallResult;
use super::window::ConcurrencyWindow;
use super::{BroadcastDriver, FAILURES_IN_A_ROW, LOOK};

/// The most calls that wait for a permit at once: a second's quota divided by this, but at least 2 and at most 64.
/// Enough calls wait that no permit goes unused. Few enough wait that a pause takes effect soon and single sends do not
/// wait long.
const WAITING_PART: u32 = 50;

/// Why a round ended. No call is in flight then.
#[derive(Debug)]
pub(super) enum StopReason {
    /// The last pending recipient has been sent to.
    AllSent,
    /// A command other than run is requested, or a file has expired.
    StateChanged,
    /// The process asked the driver to stop.
    Stopped,
    /// The driver cannot go on, for this reason.
    Paused(String),
}

/// Calls in progress, and results that are not processed yet.
struct PendingCalls<F: Future> {
    under_way: FuturesUnordered<F>,
    ended: VecDeque<F::Output>,
}

impl<F: Future> Default for PendingCalls<F> {
    fn default() -> Self {
        Self { under_way: FuturesUnordered::new(), ended: VecDeque::new() }
    }
}

impl<F: Future> PendingCalls<F> {
    fn are_over(&self) -> bool {
        self.under_way.is_empty() && self.ended.is_empty()
    }

    /// Waits until a call has ended.
    async fn ended(&mut self) {
        if self.ended.is_empty()
            && let Some(ended) = self.under_way.next().await
        {
            self.ended.push_back(ended);
        }
    }

    /// Takes the result of a call that has ended by now.
    fn take(&mut self) -> Option<F::Output> {
        self.ended.pop_front().or_else(|| self.under_way.next().now_or_never().flatten())
    }

    /// Waits for `other` while the calls go on. They must be polled meanwhile, because a call may hold what `other`
    /// waits for, such as the ledger's writer.
    async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                biased;
                done = &mut other => return done,
                Some(ended) = self.under_way.next(), if !self.under_way.is_empty() => self.ended.push_back(ended),
            }
        }
    }
}

impl BroadcastDriver<'_> {
    pub(super) async fn round(&self) -> Result<StopReason, LedgerError> {
        let clock = &self.delivery.clock;
        let most_bytes = self.delivery.settings().message_bytes;
        let mut packs =
            Batches::new(self.ledger, self.lease, self.app, self.spec, most_bytes, self.released.get());
        let mut window = ConcurrencyWindow::new(clock.now());
        let mut calls = PendingCalls::default();
        let stop_calls = CancellationToken::new();
        let mut stop_reason: Option<Result<StopReason, LedgerError>> = None;
        let mut next_look = clock.now() + LOOK;
        let most_waiting = self.most_waiting();
        loop {
            while stop_reason.is_none()
                && !packs.ended()
                && calls.under_way.len() < window.size()
                && self.waiting.get() < most_waiting
            {
                let next = calls.beside(packs.next(|recipient| self.opens_at(recipient))).await;
                self.progress.skipped(packs.take_skipped());
                match next {
                    Ok(Some(pack)) => {
                        calls.under_way.push(self.call(pack, stop_calls.clone(), self.waiting_call()));
                    }
                    Ok(None) => {}
                    Err(error) => {
                        stop_reason = Some(Err(error));
                        stop_calls.cancel();
                    }
                }
            }
            if calls.are_over() && (stop_reason.is_some() || packs.ended()) {
                self.opens_at.set(packs.opens_at());
                return stop_reason.unwrap_or(Ok(StopReason::AllSent));
            }
            if self.waiting.get() >= most_waiting {
                window.paced(clock.now());
            }
            let mut news = None;
            tokio::select! {
                biased;
                () = self.stop.cancelled(), if stop_reason.is_none() => news = Some(Ok(StopReason::Stopped)),
                () = calls.ended(), if !calls.are_over() => {}
                () = self.room.notified(), if stop_reason.is_none() => {}
                () = clock.sleep_until(next_look) => {
                    news = calls.beside(self.poll_commands(&mut next_look)).await;
                }
            }
            // All calls that have ended by now make room at once.
            while let Some(ended) = calls.take() {
                window.ended(clock.now());
                let heard = self.stop_after(ended);
                news = news.or(heard);
            }
            if let Some(news) = news
                && stop_reason.is_none()
            {
                stop_reason = Some(news);
                stop_calls.cancel();
            }
        }
    }

    /// When a recipient with a time zone of its own can be sent to. None if it can be now.
    fn opens_at(&self, recipient: &Recipient) -> Option<Duration> {
        let zone = recipient.zone.as_deref()?;
        let now = self.delivery.clock.unix_time();
        let closed = self.hours.closed_for(now, Some(zone));
        (closed > Duration::ZERO).then(|| now + closed)
    }

    fn stop_after(&self, ended: Result<CallResult, LedgerError>) -> Option<Result<StopReason, LedgerError>> {
        match ended {
            Ok(CallResult::Delivered) => self.failures.set(0),
            Ok(CallResult::Untouched) => return None,
            Ok(CallResult::Locked(why)) => return Some(Ok(StopReason::Paused(why))),
            Ok(CallResult::Failed(why)) => {
                let failures = self.failures.get() + 1;
                self.failures.set(failures);
                if failures >= self.spec.stop_after_failures.unwrap_or(FAILURES_IN_A_ROW).max(1) {
                    let why = format!("{failures} failures in a row, the last: {why}");
                    return Some(Ok(StopReason::Paused(why)));
                }
            }
            Err(error) => return Some(Err(error)),
        }
        self.stops_if().map(|why| Ok(StopReason::Paused(why)))
    }

    /// Reads the broadcast's commands and renews the lease.
    async fn poll_commands(&self, next: &mut Instant) -> Option<Result<StopReason, LedgerError>> {
        let looked = async {
            self.renew().await?;
            if let Some(counts) = self.ledger.counts_beside_others(self.lease.broadcast).await? {
                self.progress.begin(counts);
            }
            self.read_stop_counts().await?;
            self.demand_approval().await?;
            self.ledger.poll_command(self.lease.broadcast).await
        }
        .await;
        *next = self.delivery.clock.now() + LOOK;
        match looked {
            // The next round begins with a check of the files.
            Ok(BroadcastCommand::Run) if !self.files_expired() => None,
            Ok(_) => Some(Ok(StopReason::StateChanged)),
            Err(error) => Some(Err(error)),
        }
    }

    pub(super) fn quota(&self) -> &Quota {
        self.delivery.quotas.of_call(self.spec.call)
    }

    fn most_waiting(&self) -> u64 {
        let calls = self.delivery.quotas.counting_calls(self.spec.call).unwrap_or_else(|| self.quota());
        u64::from((calls.status().limit / WAITING_PART).clamp(2, 64))
    }
}
