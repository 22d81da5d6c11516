//! What a builder remembers of the messages that it has stored.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Lease;

/// How many messages a builder remembers. An equal message that comes later than that is stored once more.
const REMEMBERED: usize = 1024;

/// A message's SHA-256.
pub(super) type MessageHash = [u8; 32];

/// The desks of all broadcasts that are being built here.
#[derive(Debug, Default)]
pub(in crate::ledger) struct DedupRegistry(Mutex<HashMap<Lease, MessageDedup>>);

impl DedupRegistry {
    /// Takes a builder's desk, or a new one.
    pub(super) fn take(&self, lease: Lease) -> MessageDedup {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease).unwrap_or_default()
    }

    /// Puts it back, once what it remembers is committed.
    pub(super) fn put(&self, lease: Lease, desk: MessageDedup) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(lease, desk);
    }
}

/// What one builder remembers.
#[derive(Debug, Default)]
pub(super) struct MessageDedup {
    numbers: HashMap<MessageHash, i64>,
    order: VecDeque<MessageHash>,
    last: Option<(Bytes, MessageHash)>,
}

impl MessageDedup {
    /// The hash of a message; that of the very same bytes as just before is not computed again.
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

    /// The number of a stored message.
    pub(super) fn number(&self, hash: &MessageHash) -> Option<i64> {
        self.numbers.get(hash).copied()
    }

    /// Remembers a stored message, and forgets the oldest when there are too many.
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
