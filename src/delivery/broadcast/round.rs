//! One round: everything that waits is sent, many calls at once, until nothing waits or something halts it.

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};

use crate::clock::Instant;
use crate::ledger::{BroadcastCommand, LedgerError};
use crate::message::MessageCall;
use crate::quota::Quota;

use super::super::StopSwitch;
use super::batches::Batches;
use super::verdict::CallResult;
use super::window::ConcurrencyWindow;
use super::{BroadcastDriver, FAILURES_IN_A_ROW, LOOK};

/// The most calls that wait for a permit at once, as a part of a second's quota: enough that none goes unused, and few
/// enough that a pause is soon heard and single sends do not wait long.
const WAITING_PART: u32 = 50;

/// Why a round ended. Nothing is in flight then.
#[derive(Debug)]
pub(super) enum StopReason {
    /// It came to the last recipient that waited.
    Over,
    /// Somebody wants something else than running.
    Wish,
    /// The driver is asked to stop.
    Stopped,
    /// It cannot go on like this, and this is why.
    Paused(String),
}

/// What is under way, and what has ended and was not looked at yet.
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

    /// Waits until one has ended.
    async fn ended(&mut self) {
        if self.ended.is_empty()
            && let Some(ended) = self.under_way.next().await
        {
            self.ended.push_back(ended);
        }
    }

    /// One that has ended by now.
    fn take(&mut self) -> Option<F::Output> {
        self.ended.pop_front().or_else(|| self.under_way.next().now_or_never().flatten())
    }

    /// Waits for something else while they go on: what it waits for, the ledger's writer for one, a call may have.
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
        let mut packs = Batches::new(self.ledger, self.lease, self.spec, self.delivery.limits.get());
        let mut window = ConcurrencyWindow::new(clock.now());
        let mut calls = PendingCalls::default();
        let (switch, halted) = StopSwitch::new();
        let mut halt: Option<Result<StopReason, LedgerError>> = None;
        let mut next_look = clock.now() + LOOK;
        let most_waiting = self.most_waiting();
        loop {
            while halt.is_none()
                && !packs.ended()
                && calls.under_way.len() < window.size()
                && self.waiting.get() < most_waiting
            {
                match calls.beside(packs.next()).await {
                    Ok(Some(pack)) => calls.under_way.push(self.call(pack, halted.clone(), self.place())),
                    Ok(None) => {}
                    Err(error) => {
                        halt = Some(Err(error));
                        switch.press();
                    }
                }
            }
            if calls.are_over() && (halt.is_some() || packs.ended()) {
                return halt.unwrap_or(Ok(StopReason::Over));
            }
            if self.waiting.get() >= most_waiting {
                window.paced(clock.now());
            }
            let mut news = None;
            tokio::select! {
                biased;
                () = self.stop.asked(), if halt.is_none() => news = Some(Ok(StopReason::Stopped)),
                () = calls.ended(), if !calls.are_over() => {}
                () = self.room.notified(), if halt.is_none() => {}
                () = clock.sleep_until(next_look) => {
                    news = calls.beside(self.poll_commands(&mut next_look)).await;
                }
            }
            // All that have ended by now make room at once.
            while let Some(ended) = calls.take() {
                window.ended(clock.now());
                let heard = self.stop_after(ended);
                news = news.or(heard);
            }
            if let Some(news) = news
                && halt.is_none()
            {
                halt = Some(news);
                switch.press();
            }
        }
    }

    /// What the end of a call means for the others.
    fn stop_after(&self, ended: Result<CallResult, LedgerError>) -> Option<Result<StopReason, LedgerError>> {
        match ended {
            Ok(CallResult::Delivered) => self.failures.set(0),
            Ok(CallResult::Untouched) => {}
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
        None
    }

    /// Asks what people want, and keeps the lease.
    async fn poll_commands(&self, next: &mut Instant) -> Option<Result<StopReason, LedgerError>> {
        let looked = async {
            self.renew().await?;
            if self.ledger.is_shared() {
                // Others move recipients too.
                self.progress.begin(self.ledger.counts(self.lease.broadcast).await?);
            }
            // In a scratch ledger nobody steers, and hours of a simulated clock have many looks.
            if self.ledger.is_scratch() {
                return Ok(BroadcastCommand::Run);
            }
            Ok(self.ledger.requested_command(self.lease.broadcast).await?.command)
        }
        .await;
        *next = self.delivery.clock.now() + LOOK;
        match looked {
            // The next round begins with a look at the files.
            Ok(BroadcastCommand::Run) if !self.files_expired() => None,
            Ok(_) => Some(Ok(StopReason::Wish)),
            Err(error) => Some(Err(error)),
        }
    }

    pub(super) fn quota(&self) -> &Quota {
        match self.spec.call {
            MessageCall::Group => &self.delivery.quotas.group,
            MessageCall::Targeted => &self.delivery.quotas.targeted,
        }
    }

    fn most_waiting(&self) -> u64 {
        u64::from((self.quota().status().per_second / WAITING_PART).clamp(2, 64))
    }
}
