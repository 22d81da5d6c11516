//! Requests to a script's durable data.

use serde::{Deserialize, Serialize};

/// The most bytes of a key and of the name of shared data. The least is one byte.
pub const STORE_KEY_BYTES: usize = 256;

/// A request that reads or changes a script's data. Values are JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRequest {
    /// The name of the shared data. None means the script's own data.
    pub space: Option<String>,
    /// The operation.
    pub step: StoreStep,
}

/// An operation on a script's data. A `ttl_ms` is the lifetime of a value in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreStep {
    /// Read a key's value. Answered by a list with the value, or by an empty list.
    Get(String),
    /// Set a key's value. Answered by nothing.
    Set {
        key: String,
        value: String,
        /// The value's lifetime. None means that it never expires.
        ttl_ms: Option<u64>,
    },
    /// Delete a key. Answered by whether the key existed.
    Delete(String),
    /// Replace a key's value if it equals `expected`; None means no value. Answered by whether the value was
    /// replaced.
    Swap {
        key: String,
        /// The value that the key must have now.
        expected: Option<String>,
        new: Option<String>,
        /// The new value's lifetime.
        ttl_ms: Option<u64>,
    },
    /// Add to a number. Answered by the sum.
    Increment {
        /// The key. A key without a value starts at 0.
        key: String,
        /// The number to add.
        by: i64,
        /// The lifetime of a value that this request creates.
        ttl_ms: Option<u64>,
    },
    /// Read a page of keys and values, ordered by key. Answered by `{items = {{key, value}…}, next?}`.
    List {
        /// The prefix of the keys.
        prefix: String,
        /// The last key of the page before. None for the first page.
        after: Option<String>,
    },
}

impl StoreStep {
    /// Whether the operation changes nothing.
    pub const fn only_looks(&self) -> bool {
        matches!(self, Self::Get(_) | Self::List { .. })
    }
}
