//! Deduplication of the messages that a builder stores.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Lease;

/// How many of the latest messages a builder remembers. A message that equals an older one is stored again.
const REMEMBERED: usize = 1024;

/// The SHA-256 of a message.
pub(super) type MessageHash = [u8; 32];

/// The dedup state of all broadcasts that this process builds.
#[derive(Debug, Default)]
pub(in crate::ledger) struct DedupRegistry(Mutex<HashMap<Lease, MessageDedup>>);

impl DedupRegistry {
    /// Takes the state of a builder, or a new one.
    pub(super) fn take(&self, lease: Lease) -> MessageDedup {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease).unwrap_or_default()
    }

    /// Puts the state back after the messages in it are committed.
    pub(super) fn put(&self, lease: Lease, dedup: MessageDedup) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lease, dedup);
    }
}

/// The messages that one builder remembers.
#[derive(Debug, Default)]
pub(super) struct MessageDedup {
    numbers: HashMap<MessageHash, i64>,
    order: VecDeque<MessageHash>,
    last: Option<(Bytes, MessageHash)>,
}

impl MessageDedup {
    /// Returns the hash of a message. It is not computed again for the same buffer as in the call before.
    pub(super) fn hash(&mut self, content: &Bytes) -> MessageHash {
        if let Some((bytes, hash)) = &self.last
            && bytes.as_ptr() == content.as_ptr()
            && bytes.len() == content.len()
        {
            return *hash;
        }
        let hash = Sha256::digest(content).into();
        self.last = Some((content.clone(), hash));
        hash
    }

    /// Returns the number of a stored message.
    pub(super) fn number(&self, hash: &MessageHash) -> Option<i64> {
        self.numbers.get(hash).copied()
    }

    /// Remembers a stored message, and drops the oldest one when there are too many.
    pub(super) fn remember(&mut self, hash: MessageHash, number: i64) {
        if self.numbers.insert(hash, number).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(&oldest);
        }
    }
}
