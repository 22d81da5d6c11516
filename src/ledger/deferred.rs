//! The writes that a scratch ledger has deferred; see `sqlite/scratch.rs`. `flush.rs` writes them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::commit_request::CommitRequest;

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

    /// Takes all of them out.
    pub(super) fn drain(&self) -> Vec<CommitRequest> {
        std::mem::take(&mut *self.kept())
    }

    fn kept(&self) -> MutexGuard<'_, Vec<CommitRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
