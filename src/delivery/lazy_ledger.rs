//! Opens the ledger at the first send, so a script that sends nothing does not pay for it.

use std::cell::{OnceCell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{Instance, Ledger, LedgerError, LedgerLocation, SendOutcome, SendTicket};

/// How often the write of an outcome is tried, not counting the tries while the store is away.
const TRIES: u32 = 6;

/// The wait after the first failure to write an outcome. It doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// How long the write of an outcome waits for a store that is away.
const OUTAGE: Duration = Duration::from_mins(10);

/// How often the write is tried while the store is away.
const LOOK: Duration = Duration::from_secs(1);

/// One process's access to the ledger. All apps of a process share it.
#[derive(Debug)]
pub struct LazyLedger {
    place: LedgerLocation,
    clock: Clock,
    command: String,
    scratch: bool,
    open: tokio::sync::OnceCell<OpenLedger>,
    failure: OnceCell<LedgerError>,
}

#[derive(Debug)]
pub struct OpenLedger {
    /// The ledger's handle.
    pub ledger: Ledger,
    /// This process's registration in the ledger.
    pub owner: Instance,
    deferred: RefCell<Vec<(SendTicket, SendOutcome)>>,
}

impl OpenLedger {
    /// Keeps an outcome that could not be written. No new send begins before it is written.
    pub(super) fn defer_outcome(&self, ticket: SendTicket, outcome: SendOutcome) {
        self.deferred.borrow_mut().push((ticket, outcome));
    }

    /// Writes the deferred outcomes.
    pub(super) async fn write_deferred(&self) -> Result<(), LedgerError> {
        loop {
            let Some((ticket, outcome)) = self.deferred.borrow_mut().pop() else { return Ok(()) };
            match self.ledger.settle_send(&ticket, outcome.clone()).await {
                Err(error) if error.is_fault() => {
                    self.defer_outcome(ticket, outcome);
                    return Err(error);
                }
                // Another process has settled the send meanwhile; its outcome stands.
                _ => {}
            }
        }
    }
}

impl LazyLedger {
    /// The ledger in `place`, not opened yet. `command` is shown to people as the name of the sending process.
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

    /// A ledger in a folder that is deleted at the end.
    pub fn scratch(folder: PathBuf, clock: Clock, command: &str) -> Self {
        Self { scratch: true, ..Self::new(LedgerLocation::Folder(folder), clock, command) }
    }

    /// Whether the ledger is in a store that several machines can share.
    pub const fn is_shared(&self) -> bool {
        matches!(self.place, LedgerLocation::Server(_))
    }

    /// Opens the ledger, or returns the open one. Opening marks the single sends that dead processes left in flight as
    /// in doubt.
    ///
    /// # Errors
    ///
    /// Any error that prevents opening or writing the ledger. Nothing may be sent then.
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
            // The first error names the cause; later ones follow from it.
            let _ = self.failure.set(error.clone());
        })
    }

    /// Unregisters this process, so that other hosts of a fleet do not wait for it.
    pub async fn close(&self) {
        if let Some(open) = self.open.get()
            && let Err(error) = open.ledger.unregister(&open.owner).await
        {
            tracing::debug!(
                "could not write the end of this process to the ledger; the other hosts notice \
             it later: {error}"
            );
        }
    }

    /// The ledger; `None` if it is not open.
    pub(super) fn get(&self) -> Option<&OpenLedger> {
        self.open.get()
    }

    /// Why the ledger could not be opened; `None` if it is open or was not tried.
    pub fn failure(&self) -> Option<&LedgerError> {
        if self.open.initialized() { None } else { self.failure.get() }
    }
}

/// Writes an outcome, and retries while the store fails, because a sent message must not go unrecorded.
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
                // The ledger has already logged that it cannot write.
                tracing::debug!("could not write an outcome to the ledger; trying again: {error}");
                clock.sleep(wait).await;
                wait *= 2;
            }
            other => return other,
        }
    }
    write().await
}
