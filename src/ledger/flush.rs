//! Writes what a scratch ledger has deferred.

use std::collections::HashSet;

use super::LedgerError;
use super::broadcast::Lease;
use super::commit::{CommitMode, commit};
use super::commit_request::CommitRequest;
use super::store::{Store, Transaction};

impl Store {
    /// Writes the requests that were acknowledged but not yet written. Does nothing for a store that
    /// defers none.
    pub(super) async fn flush_deferred(&self) -> Result<(), LedgerError> {
        let Some(deferred) = self.driver.deferred() else { return Ok(()) };
        let kept = deferred.drain();
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
