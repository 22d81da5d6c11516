//! The service's own records of messages: callbacks and history files. Pure: no network, no ledger, no clock.
//!
//! A send in doubt is settled with this room in four steps:
//!
//! 1. When a message is sent, [`MatchKey::of_message`] gives its key. The ledger stores the key's fingerprint and mark
//!    with the intent, with an index on the fingerprint.
//! 2. A callback proves its sender with [`SignedFields`], then [`CallbackEvent::parse`] reads it. A history file is read
//!    with [`HistoryReader`]. Both return [`MessageRecord`]s, and a record's key is made by the same rules as a message's.
//! 3. [`hours_of`] names the history files that a doubt needs, and [`Hour::name`] gives the part of their address.
//! 4. [`settle`] decides what the records prove: arrived, absent, or not yet known.
//!
//! May import: `core` and `message`.

mod assignment;
mod callback;
mod content;
mod error;
mod fields;
mod fingerprint;
mod history;
mod hours;
mod matching;
mod record;
mod signature;

#[cfg(test)]
mod tests;

pub use callback::{CallbackEvent, CallbackKind, ChangedMessage};
pub use error::RecordError;
pub use fingerprint::{Fingerprint, MARK_BYTES, MatchKey};
pub use history::{BadLine, HistoryEnd, HistoryReader, HistorySummary};
pub use hours::{COMPLETE_AFTER_MS, Hour, KEPT_MS, hours_of};
pub use matching::{CLOCK_SKEW_MS, Doubt, DoubtState, HistoryFile, RecordSighting, UnsettledReason, settle};
pub use record::MessageRecord;
pub use signature::{SignatureCheck, SignedFields};
