//! Group commits: one transaction writes the requests of many callers.
//!
//! There is no delay: requests that arrive while a commit runs form the next commit. A single caller therefore waits
//! for one commit, and thousands share one.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::commit::{CommitMode, commit, is_one_broadcast, is_one_statement};
use super::commit_request::CommitRequest;
use super::sends;
use super::store::{Store, Transaction};
use super::{LedgerError, StoreFault};

/// The most requests of one commit, so that other processes do not wait for long.
const MOST: usize = 4096;

/// How often a commit is retried on a server that drops the connection each time.
const TRIES: u32 = 10;

/// A request, and the channel for its answer.
struct QueuedCommit {
    request: CommitRequest,
    answer: oneshot::Sender<Result<i64, LedgerError>>,
}

/// The queue of requests to the writer task.
pub(super) struct CommitQueue {
    sender: mpsc::UnboundedSender<QueuedCommit>,
    store: Arc<Store>,
}

impl CommitQueue {
    /// Starts a writer task on the current runtime; it ends when the queue is dropped.
    pub(super) fn start(store: Arc<Store>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(write_all(Arc::clone(&store), receiver));
        Self { sender, store }
    }

    /// Queues a request and waits until it is on disk. The request is written even if the caller stops waiting.
    pub(super) async fn ask(&self, request: CommitRequest) -> Result<i64, LedgerError> {
        let request = match self.store.driver.deferred() {
            Some(deferred) => match deferred.take(request) {
                None if deferred.is_full() => {
                    return Box::pin(self.store.flush_deferred()).await.map(|()| 0);
                }
                None => return Ok(0),
                Some(request) => request,
            },
            None => request,
        };
        let (answer, answered) = oneshot::channel();
        self.sender.send(QueuedCommit { request, answer }).map_err(|_| StoreFault::Closed)?;
        answered.await.map_err(|_| StoreFault::Closed)?
    }
}

/// The new sends of this process that a server may have written without an acknowledgement. None of them is sent, because a
/// send waits for its acknowledgement.
#[derive(Default)]
struct UnacknowledgedSends {
    /// The instances that may have some.
    instances: BTreeSet<i64>,
    /// The highest number of a send that was acknowledged.
    acknowledged: i64,
}

impl UnacknowledgedSends {
    /// Deletes them. They would be in doubt at the end of their instance.
    async fn remove(&self, write: &mut Transaction<'_>) -> Result<(), LedgerError> {
        for instance in &self.instances {
            sends::remove_unacknowledged(write, *instance, self.acknowledged).await?;
        }
        Ok(())
    }

    /// Takes account of the result of a commit.
    fn committed(&mut self, requests: &[CommitRequest], result: &Result<Vec<i64>, LedgerError>) {
        let instances = requests.iter().filter_map(|request| match request {
            CommitRequest::NewSend { instance, .. } => Some(*instance),
            _ => None,
        });
        match result {
            Ok(answers) => {
                // The other answers are 0.
                self.acknowledged = answers.iter().copied().fold(self.acknowledged, i64::max);
                self.instances.clear();
            }
            Err(error) if error.broke() => self.instances.extend(instances),
            Err(_) => {}
        }
    }
}

async fn write_all(store: Arc<Store>, mut receiver: mpsc::UnboundedReceiver<QueuedCommit>) {
    let mut batch = Vec::new();
    let mut unacknowledged = UnacknowledgedSends::default();
    while receiver.recv_many(&mut batch, MOST).await > 0 {
        // Tasks that are about to add a request run first, until no new request arrives.
        let mut before = 0;
        while before < batch.len() && batch.len() < MOST {
            before = batch.len();
            tokio::task::yield_now().await;
            while batch.len() < MOST
                && let Ok(more) = receiver.try_recv()
            {
                batch.push(more);
            }
        }
        let (requests, answers): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|QueuedCommit { request, answer }| (request, answer)).unzip();
        for (answer, result) in answers.into_iter().zip(write(&store, &mut unacknowledged, &requests).await) {
            // The receiver may have stopped waiting.
            let _ = answer.send(result);
        }
    }
}

/// Writes requests together. If one of them fails the commit, writes each one by itself.
async fn write(
    store: &Store,
    unacknowledged: &mut UnacknowledgedSends,
    requests: &[CommitRequest],
) -> Vec<Result<i64, LedgerError>> {
    let healthy = store.is_healthy();
    let mut written = together(store, unacknowledged, requests, None).await;
    // If a server does not answer a commit, its result is unknown. Repeating the commit has the same effect, because new
    // sends that were written are deleted first.
    let mut by_itself = CommitMode::Carefully;
    let mut tries = 0;
    while written.as_ref().is_err_and(LedgerError::broke) && !store.clock.is_simulated() && tries < TRIES {
        tries += 1;
        by_itself = CommitMode::Again;
        written = together(store, unacknowledged, requests, Some(CommitMode::Again)).await;
    }
    match written {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) if error.is_fault() => {
            // Logged once, and not at each retry until writing works again. The driver of a server logs its absence.
            if healthy && !error.is_away() {
                tracing::error!("nothing is sent until this fault is repaired: {error}");
            }
            requests.iter().map(|_| Err(error.clone())).collect()
        }
        Err(_) => {
            let mut results = Vec::with_capacity(requests.len());
            for request in requests {
                let request = std::slice::from_ref(request);
                let alone = together(store, unacknowledged, request, Some(by_itself)).await;
                results.push(alone.map(|answers| answers.first().copied().unwrap_or_default()));
            }
            results
        }
    }
}

/// Writes requests in one commit, in the given mode or the fastest possible one.
async fn together(
    store: &Store,
    unacknowledged: &mut UnacknowledgedSends,
    requests: &[CommitRequest],
    mode: Option<CommitMode>,
) -> Result<Vec<i64>, LedgerError> {
    let all_known = unacknowledged.instances.is_empty();
    let quickest =
        if all_known && is_one_broadcast(requests) { CommitMode::Whole } else { CommitMode::Together };
    let mode = mode.unwrap_or(quickest);
    let single = all_known && (mode == CommitMode::Whole || is_one_statement(requests));
    let mut write = store.write_group(single).await?;
    let result = match unacknowledged.remove(&mut write).await {
        Ok(()) => commit(&mut write, requests, mode).await,
        Err(error) => Err(error),
    };
    let result = write.end(result).await;
    unacknowledged.committed(requests, &result);
    result
}
