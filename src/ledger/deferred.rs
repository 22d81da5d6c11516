//! Deferred writes of a scratch ledger: moves of recipients, which need not be on disk until something reads them.
//!
//! In a rehearsal the clock stands still while the ledger works, so no two calls share a commit, and each would wait
//! for its own. A scratch ledger's data need not survive a crash. So its moves are acknowledged at once, and are
//! written together before any other read or write.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::LedgerError;
use super::broadcast::Lease;
use super::commit::{CommitMode, CommitRequest, commit};
use super::store::{Store, Transaction};

/// The most requests that are deferred.
const MOST: usize = 8192;

/// The deferred requests, in their order.
#[derive(Debug, Default)]
pub(super) struct DeferredWrites(Mutex<Vec<CommitRequest>>);

impl DeferredWrites {
    /// Defers a move of recipients; returns any other request to the caller.
    pub(super) fn take(&self, request: CommitRequest) -> Option<CommitRequest> {
        if request.moves_of().is_some() {
            self.kept().push(request);
            return None;
        }
        Some(request)
    }

    pub(super) fn is_full(&self) -> bool {
        self.kept().len() >= MOST
    }

    fn kept(&self) -> MutexGuard<'_, Vec<CommitRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Writes the deferred requests.
    pub(super) async fn flush_deferred(&self) -> Result<(), LedgerError> {
        let kept = match self.later() {
            Some(later) => std::mem::take(&mut *later.kept()),
            None => return Ok(()),
        };
        if kept.is_empty() {
            return Ok(());
        }
        let mut write = self.write_now().await?;
        let result = write_all(&mut write, kept).await;
        write.end(result).await
    }
}

/// A commit writes outcomes before intents, so a recipient's intent and its outcome need separate commits.
async fn write_all(write: &mut Transaction<'_>, kept: Vec<CommitRequest>) -> Result<(), LedgerError> {
    let mut moved: HashSet<(Lease, i64)> = HashSet::new();
    let (mut intents, mut outcomes) = (Vec::new(), Vec::new());
    for request in kept {
        match &request {
            CommitRequest::Intend { lease, seqs } => {
                if seqs.iter().any(|seq| moved.contains(&(*lease, *seq))) {
                    commit(write, &std::mem::take(&mut intents), CommitMode::Carefully).await?;
                    commit(write, &std::mem::take(&mut outcomes), CommitMode::Carefully).await?;
                    moved.clear();
                }
                moved.extend(seqs.iter().map(|seq| (*lease, *seq)));
                intents.push(request);
            }
            CommitRequest::Settle { lease, outcomes: settled } => {
                moved.extend(settled.iter().map(|outcome| (*lease, outcome.seq)));
                outcomes.push(request);
            }
            _ => outcomes.push(request),
        }
    }
    commit(write, &intents, CommitMode::Carefully).await?;
    commit(write, &outcomes, CommitMode::Carefully).await.map(drop)
}
