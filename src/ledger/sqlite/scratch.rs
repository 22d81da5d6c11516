//! A scratch ledger, as a rehearsal and a Lua test use: an SQLite file that ends with its process.
//!
//! In a rehearsal the clock stands still while the ledger works, so no two calls share a commit, and each would wait
//! for its own. A scratch ledger's data need not survive a crash. So its moves are acknowledged at once, and are
//! written together before any other read or write. A Lua test's ledger is a [`TimedScratch`]: its moves have the times at
//! which they were made, because the records of the simulated service are compared with them.

use crate::ledger::deferred::DeferredWrites;
use crate::ledger::driver::RetentionDriver;

use super::SqliteFile;

/// The kind of an SQLite file that ends with its process. It is deleted before it could be exported, no other process
/// opens it, and its messages never reach a service.
#[derive(Default)]
pub(super) struct ScratchFile<const DEFERS: bool>(DeferredWrites);

/// A scratch ledger that defers moves of recipients until something reads them.
pub(super) type Scratch = ScratchFile<true>;

/// A scratch ledger that writes each move at its time.
pub(super) type TimedScratch = ScratchFile<false>;

impl<const DEFERS: bool> RetentionDriver for SqliteFile<ScratchFile<DEFERS>> {
    fn deferred(&self) -> Option<&DeferredWrites> {
        DEFERS.then_some(&self.kind.0)
    }

    fn reaches_service(&self) -> bool {
        false
    }

    fn has_other_processes(&self) -> bool {
        false
    }

    fn is_exported(&self) -> bool {
        false
    }
}
