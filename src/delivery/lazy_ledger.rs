//! The ledger as the road uses it: opened at the first send, so that a script that sends nothing pays nothing for it.

use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{Instance, Ledger, LedgerError, LedgerLocation, SendOutcome, SendTicket};

/// How often an outcome is written before it is given up.
const TRIES: u32 = 6;

/// The wait after the first failure to write an outcome; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// For how long an outcome waits for a store that is away.
const OUTAGE: Duration = Duration::from_mins(10);

/// How often it is looked meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// One process's way to the ledger. The apps of a process share it.
#[derive(Debug)]
pub struct LazyLedger {
    place: LedgerLocation,
    clock: Clock,
    command: String,
    scratch: bool,
    open: tokio::sync::OnceCell<OpenLedger>,
    failure: OnceCell<LedgerError>,
}

/// An open ledger.
#[derive(Debug)]
pub struct OpenLedger {
    /// The ledger.
    pub ledger: Ledger,
    /// Who this process is in it.
    pub owner: Instance,
    deferred: RefCell<Vec<(SendTicket, SendOutcome)>>,
}

impl OpenLedger {
    /// Keeps what could not be written down; nothing is begun before it is.
    pub(super) fn defer_outcome(&self, ticket: SendTicket, outcome: SendOutcome) {
        self.deferred.borrow_mut().push((ticket, outcome));
    }

    /// Writes down what is owed.
    pub(super) async fn write_deferred(&self) -> Result<(), LedgerError> {
        loop {
            let Some((ticket, outcome)) = self.deferred.borrow_mut().pop() else { return Ok(()) };
            match self.ledger.settle_send(&ticket, outcome.clone()).await {
                Err(error) if error.is_fault() => {
                    self.defer_outcome(ticket, outcome);
                    return Err(error);
                }
                // Another process has settled it meanwhile: that stands.
                _ => {}
            }
        }
    }
}

impl LazyLedger {
    /// The ledger in `place`, not opened yet. `command` is shown to people who ask who sends.
    #[must_use]
    pub fn new(place: LedgerLocation, clock: Clock, command: &str) -> Self {
        let command = command.to_owned();
        Self {
            place,
            clock,
            command,
            scratch: false,
            open: tokio::sync::OnceCell::new(),
            failure: OnceCell::new(),
        }
    }

    /// The same for a folder that is thrown away in the end.
    #[must_use]
    pub fn scratch(folder: PathBuf, clock: Clock, command: &str) -> Self {
        Self { scratch: true, ..Self::new(LedgerLocation::Folder(folder), clock, command) }
    }

    /// Whether the ledger is in a store that many machines share.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.place, LedgerLocation::Server(_))
    }

    /// Opens the ledger, or gives it when it is open. What dead processes had in flight of single sends is in doubt
    /// from then on.
    ///
    /// # Errors
    ///
    /// Whatever keeps the ledger from being opened and written. Nothing may be sent then.
    pub async fn open(&self) -> Result<&OpenLedger, LedgerError> {
        let open = self.open.get_or_try_init(async || {
            let clock = self.clock.clone();
            let opening = match &self.place {
                LedgerLocation::Folder(folder) if self.scratch => Ledger::open_scratch(folder, clock).await,
                place => Ledger::open_at(place, clock).await,
            };
            let ledger = opening?;
            let owner = ledger.register(&self.command).await?;
            let buried = ledger.reap_dead().await?;
            if buried.in_doubt > 0 {
                tracing::warn!(
                    in_doubt = buried.in_doubt,
                    "an earlier run ended before the answers to some sends; they may have been sent"
                );
            }
            Ok(OpenLedger { ledger, owner, deferred: RefCell::default() })
        });
        open.await.inspect_err(|error: &LedgerError| {
            // The first one says why; the others follow from it.
            let _ = self.failure.set(error.clone());
        })
    }

    /// Says that this process sends nothing any more, so that on a store of a fleet nobody waits for it.
    pub async fn close(&self) {
        if let Some(open) = self.open.get()
            && let Err(error) = open.ledger.unregister(&open.owner).await
        {
            tracing::debug!("the others learn a little later that this process has ended: {error}");
        }
    }

    /// The ledger, if it is open.
    pub(super) fn get(&self) -> Option<&OpenLedger> {
        self.open.get()
    }

    /// Why the ledger could not be opened, when that was tried and never came to be.
    #[must_use]
    pub fn failure(&self) -> Option<&LedgerError> {
        if self.open.initialized() { None } else { self.failure.get() }
    }
}

/// Writes an outcome down, again and again while the store fails: what was sent must not be forgotten.
///
/// # Errors
///
/// The last fault of the store, or what it refuses.
pub(super) async fn retry_until_written<F>(clock: &Clock, write: impl Fn() -> F) -> Result<(), LedgerError>
where
    F: Future<Output = Result<(), LedgerError>>,
{
    let mut wait = FIRST_WAIT;
    let began = clock.now();
    let mut tries = 1;
    while tries < TRIES {
        match write().await {
            // A server that is away comes back.
            Err(error) if error.is_away() && clock.now().saturating_since(began) < OUTAGE => {
                clock.sleep(LOOK).await;
            }
            Err(error) if error.is_fault() => {
                tries += 1;
                // The ledger has told it already, once for all that it could not write.
                tracing::debug!("an outcome could not be written down, trying again: {error}");
                clock.sleep(wait).await;
                wait *= 2;
            }
            other => return other,
        }
    }
    write().await
}
