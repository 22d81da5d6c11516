//! Opens the ledger at the first send, so a script that sends nothing does not pay for it.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Clock;
use crate::core::{Act, Person};
use crate::ledger::{Instance, Ledger, LedgerError, LedgerLocation, NewCommandRun, SendOutcome, SendTicket};

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
    location: LedgerLocation,
    clock: Clock,
    command: String,
    durability: Durability,
    open: tokio::sync::OnceCell<OpenLedger>,
    failure: OnceCell<LedgerError>,
    /// The act that begins when the ledger is opened.
    act: OnceCell<Act>,
    /// The run of the command line that is recorded when the ledger is opened.
    run: OnceCell<NewCommandRun>,
}

/// Whether a ledger is kept, and when a temporary one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    Durable,
    /// [`Ledger::open_scratch`]
    Scratch,
    /// [`Ledger::open_timed_scratch`]
    TimedScratch,
}

#[derive(Debug)]
pub struct OpenLedger {
    /// The ledger's handle.
    pub ledger: Ledger,
    /// This process's registration in the ledger.
    pub instance: Instance,
    /// The person who started this process's command. `None` for a daemon.
    pub begun_by: Option<Person>,
    /// The run of the command line that this process executes: its name and its scheduled time.
    pub command_run: Option<(String, Duration)>,
    /// Outcomes that could not be written yet, the oldest first. Each stays here until it is written.
    deferred: RefCell<VecDeque<(SendTicket, SendOutcome)>>,
    /// Held while they are written.
    writing: tokio::sync::Mutex<()>,
}

impl OpenLedger {
    /// Keeps an outcome that could not be written. No new send begins before it is written.
    pub(super) fn defer_outcome(&self, ticket: SendTicket, outcome: SendOutcome) {
        self.deferred.borrow_mut().push_back((ticket, outcome));
    }

    /// Writes the deferred outcomes.
    pub(super) async fn write_deferred(&self) -> Result<(), LedgerError> {
        if self.deferred.borrow().is_empty() {
            return Ok(());
        }
        let _turn = self.writing.lock().await;
        loop {
            let Some((ticket, outcome)) = self.deferred.borrow().front().cloned() else { return Ok(()) };
            match self.ledger.settle_send(&ticket, outcome).await {
                Err(error) if error.is_fault() => return Err(error),
                // An operator or another process has settled the send meanwhile; its outcome stands.
                _ => {}
            }
            self.deferred.borrow_mut().pop_front();
        }
    }
}

impl LazyLedger {
    /// The ledger in `location`, not opened yet. `command` is shown to people as the name of the sending process.
    pub fn new(location: LedgerLocation, clock: Clock, command: &str) -> Self {
        let command = command.to_owned();
        Self {
            location,
            clock,
            command,
            durability: Durability::Durable,
            open: tokio::sync::OnceCell::new(),
            failure: OnceCell::new(),
            act: OnceCell::new(),
            run: OnceCell::new(),
        }
    }

    /// A ledger in a folder that is deleted at the end.
    pub fn scratch(folder: PathBuf, clock: Clock, command: &str) -> Self {
        let durability = Durability::Scratch;
        Self { durability, ..Self::new(LedgerLocation::Folder(folder), clock, command) }
    }

    /// As [`Self::scratch`], for a simulated service whose records are compared with the ledger's times.
    pub fn timed_scratch(folder: PathBuf, clock: Clock, command: &str) -> Self {
        let durability = Durability::TimedScratch;
        Self { durability, ..Self::new(LedgerLocation::Folder(folder), clock, command) }
    }

    /// Has the ledger's audit record this act when it is opened, before anything is sent. Only the first act counts.
    pub fn begins(&self, act: Act) {
        let _ = self.act.set(act);
    }

    /// Has the ledger record this run of the command line when it is opened. Only the first run counts.
    pub fn records(&self, run: NewCommandRun) {
        let _ = self.run.set(run);
    }

    /// The open ledger, and the scheduled time of the recorded run of the command line. `None` if it is not open or records
    /// no run.
    pub fn recorded(&self) -> Option<(&Ledger, Duration)> {
        let open = self.open.get()?;
        Some((&open.ledger, open.command_run.as_ref()?.1))
    }

    /// As [`Ledger::keeps_app_tokens`], before it is opened.
    pub const fn keeps_app_tokens(&self) -> bool {
        matches!(self.location, LedgerLocation::Server(_))
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
            let opening = match (&self.location, self.durability) {
                (LedgerLocation::Folder(folder), Durability::Scratch) => {
                    Ledger::open_scratch(folder, clock).await
                }
                (LedgerLocation::Folder(folder), Durability::TimedScratch) => {
                    Ledger::open_timed_scratch(folder, clock).await
                }
                (location, _) => Ledger::open_at(location, clock).await,
            };
            let ledger = opening?;
            if let Some(act) = self.act.get() {
                ledger.append_audit(act).await?;
            }
            let instance = ledger.register(&self.command).await?;
            let reaped = ledger.reap_dead().await?;
            if reaped.in_doubt > 0 {
                tracing::warn!(
                    in_doubt = reaped.in_doubt,
                    "an earlier run ended before the answers to some sends; they may have been sent"
                );
            }
            let begun_by = self.act.get().map(|act| Person::of(&act.actor));
            let command_run = match self.run.get() {
                Some(run) => Some((run.job.clone(), ledger.begin_command_run(&instance, run).await?)),
                None => None,
            };
            Ok(OpenLedger {
                ledger,
                instance,
                begun_by,
                command_run,
                deferred: RefCell::default(),
                writing: tokio::sync::Mutex::default(),
            })
        });
        open.await.inspect_err(|error: &LedgerError| {
            // The first error names the cause; later ones follow from it.
            let _ = self.failure.set(error.clone());
        })
    }

    /// Writes the deferred outcomes. It tries once.
    pub async fn write_deferred(&self) {
        if let Some(open) = self.open.get()
            && let Err(error) = open.write_deferred().await
        {
            // The ledger has already logged that it cannot write.
            tracing::debug!("could not write an outcome to the ledger; trying again: {error}");
        }
    }

    /// Writes the deferred outcomes, and unregisters this process, so that other hosts of a fleet do not wait for it.
    pub async fn close(&self) {
        let Some(open) = self.open.get() else { return };
        let written = match open.write_deferred().await {
            // A server that is away was waited for when they were deferred.
            Err(error) if !error.is_away() => {
                retry_until_written(&self.clock, || open.write_deferred()).await
            }
            written => written,
        };
        if let Err(error) = written {
            let lost = open.deferred.borrow().len();
            tracing::error!(
                "could not write the outcomes of {lost} messages to the ledger; they will be in doubt: {error}"
            );
        }
        if let Err(error) = open.ledger.unregister(&open.instance).await {
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
