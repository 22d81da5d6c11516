//! Deferred writes of a scratch ledger: moves of recipients, which need not be on disk until something reads them.
//!
//! In a rehearsal the clock stands still while the ledger works, so no two calls share a commit, and each would wait
//! for its own. A scratch ledger's data need not survive a crash. So its moves are acknowledged at once, and are
//! written together before any other read or write.

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
