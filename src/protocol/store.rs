//! What a script asks of its durable data.

use serde::{Deserialize, Serialize};

/// The names of the options of the functions of `store` that write.
pub const STORE_OPTIONS: [&str; 1] = ["ttl"];

/// The most bytes of a key, and of the name of shared data; each has one at least.
pub const STORE_KEY_BYTES: usize = 256;

/// A look at a script's data, or a change to it. Values are JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreRequest {
    /// Whose data: that of the scripts which open this name, or, without one, the script's own.
    pub space: Option<String>,
    /// What to do.
    pub step: StoreStep,
}

/// What to do with a script's data. A `ttl_ms` is how many milliseconds a value lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreStep {
    /// A key's value. Answered by a list of it, or by an empty one.
    Get(String),
    /// Give a key a value. Answered by nothing.
    Set {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
        /// How long it lives; for ever without one.
        ttl_ms: Option<u64>,
    },
    /// Delete a key. Answered by whether there was one.
    Delete(String),
    /// Give a key a value if it has the one expected; none is no value. Answered by whether that was so.
    Swap {
        /// The key.
        key: String,
        /// The value that it is to have now.
        expected: Option<String>,
        /// Its new value.
        new: Option<String>,
        /// How long the new value lives.
        ttl_ms: Option<u64>,
    },
    /// Add to a number. Answered by what it is then.
    Increment {
        /// The key; one without a value begins at 0.
        key: String,
        /// How much.
        by: i64,
        /// How long a value lives that begins here.
        ttl_ms: Option<u64>,
    },
    /// A page of keys and values, in the order of the keys. Answered by `{items = {{key, value}…}, next?}`.
    List {
        /// What the keys begin with.
        prefix: String,
        /// The last key of the page before.
        after: Option<String>,
    },
}

impl StoreStep {
    /// Whether nothing changes by it.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        matches!(self, Self::Get(_) | Self::List { .. })
    }
}
