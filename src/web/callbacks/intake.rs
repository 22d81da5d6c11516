//! Looks up and stores callbacks in batches: what arrives while one batch is looked up or written forms the next one.
//! A slow write does not delay callbacks that concern nothing here.
//!
//! Senders and messages that were found once are remembered, and cost no further read of the ledger. Those that were not
//! found are looked up each time: another process can begin to send as that user at any moment, and its first callback
//! must not be dropped. So callbacks that concern nothing here share one read in [`GATHER`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::ledger::{AppId, CallbackContent, Ledger, LedgerError, NewCallback, StoredCallbacks};

use super::selection::{Concern, SelectedCallback};
use super::{CallbackResult, DroppedEvents};

/// The most callbacks of one batch.
const BATCH: usize = 1024;

/// The most callbacks that wait for each step. A callback takes about a kilobyte.
const QUEUE: usize = 4096;

/// The least time between the look-ups of two batches.
const GATHER: Duration = Duration::from_millis(2);

/// How many senders, and how many messages, of an app are remembered at least. A message id takes about 100 bytes.
const REMEMBERED: usize = 10_000;

/// The queue of callbacks to the [`CallbackWriter`].
pub(in crate::web) struct CallbackIntake(mpsc::Sender<QueuedCallback>);

/// Looks up and writes the callbacks of a [`CallbackIntake`].
pub(in crate::web) struct CallbackWriter {
    ledger: Ledger,
    clock: Clock,
    queue: mpsc::Receiver<QueuedCallback>,
    dropped: DroppedEvents,
    /// Tells the daemon that runs were requested.
    wake: Box<dyn Fn()>,
}

/// A callback, the key of its app in the ledger, and the channel for its result. `None` is sent if the ledger failed.
struct QueuedCallback {
    app: String,
    selected: SelectedCallback,
    answer: oneshot::Sender<Option<CallbackResult>>,
}

/// A callback to be written.
struct WantedCallback {
    app: AppId,
    callback: NewCallback,
    answer: oneshot::Sender<Option<CallbackResult>>,
}

impl CallbackIntake {
    /// Creates an intake and its writer. The writer calls `wake` when it has requested runs of jobs.
    pub(in crate::web) fn new(ledger: Ledger, clock: Clock, wake: Box<dyn Fn()>) -> (Self, CallbackWriter) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let dropped = DroppedEvents::new(clock.clone());
        (Self(sender), CallbackWriter { ledger, clock, queue, dropped, wake })
    }

    /// Stores a callback, if it concerns messages of this ledger or starts jobs. Returns once it is on disk. `None` if the
    /// queue is full or the ledger failed. The callback may be stored even if the caller stops waiting.
    pub(super) async fn store(&self, app: String, selected: SelectedCallback) -> Option<CallbackResult> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(QueuedCallback { app, selected, answer }).ok()?;
        answered.await.ok().flatten()
    }
}

impl CallbackWriter {
    /// Works until the intake is dropped.
    pub(in crate::web) async fn run(self) {
        let (wanted, queue) = mpsc::channel(QUEUE);
        let Self { ledger, clock, queue: arrived, dropped, wake } = self;
        tokio::join!(look_up(ledger.clone(), &clock, arrived, wanted), write(ledger, queue, dropped, wake));
    }
}

/// Drops the callbacks that concern nothing here, and passes the others on.
async fn look_up(
    ledger: Ledger,
    clock: &Clock,
    mut queue: mpsc::Receiver<QueuedCallback>,
    wanted: mpsc::Sender<WantedCallback>,
) {
    let mut batch = Vec::new();
    let mut apps: HashMap<String, KnownApp> = HashMap::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let mut by_app: BTreeMap<String, Vec<QueuedCallback>> = BTreeMap::new();
        for queued in batch.drain(..) {
            by_app.entry(queued.app.clone()).or_default().push(queued);
        }
        for (key, queued) in by_app {
            let found = match apps.get_mut(&key) {
                Some(app) => app.wanted(&ledger, &queued).await.map(|wanted| Some((app.id, wanted))),
                None => match known_app(&ledger, &key, &queued).await {
                    Ok(Some(id)) => {
                        let app = apps.entry(key).or_insert(KnownApp::new(id));
                        app.wanted(&ledger, &queued).await.map(|wanted| Some((id, wanted)))
                    }
                    // The app has sent nothing.
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = &found {
                tracing::debug!("cannot look up what callbacks concern: {error}");
            }
            pass_on(queued, &found, &wanted);
        }
        clock.sleep(GATHER).await;
    }
}

/// Answers the callbacks that concern nothing here, and those that could not be looked up; passes the others on.
fn pass_on(
    queued: Vec<QueuedCallback>,
    found: &Result<Option<(AppId, Vec<WantedParts>)>, LedgerError>,
    wanted: &mpsc::Sender<WantedCallback>,
) {
    let mut parts = found.as_ref().ok().and_then(Option::as_ref).into_iter().flat_map(|(_, parts)| parts);
    for QueuedCallback { selected, answer, .. } in queued {
        let parts = parts.next().copied().unwrap_or_default();
        let result = match found {
            Ok(Some((app, _))) if parts.content || parts.events => {
                let SelectedCallback { call_id, content, events, .. } = selected;
                let content = content.map(|(_, content)| content).filter(|_| parts.content);
                let events = if parts.events { events } else { Vec::new() };
                let callback = NewCallback { call_id, content, events };
                let one = WantedCallback { app: *app, callback, answer };
                match wanted.try_send(one) {
                    Ok(()) => continue,
                    // The writer is behind.
                    Err(mpsc::error::TrySendError::Full(one) | mpsc::error::TrySendError::Closed(one)) => {
                        let _ = one.answer.send(None);
                        continue;
                    }
                }
            }
            Ok(_) => Some(CallbackResult::Dropped),
            Err(_) => None,
        };
        // A receiver that has stopped waiting is no error.
        let _ = answer.send(result);
    }
}

/// Returns the app of this key. `None` if it has sent nothing and these callbacks start no job. An app that has sent
/// nothing is stored if its callbacks start jobs.
async fn known_app(
    ledger: &Ledger,
    key: &str,
    queued: &[QueuedCallback],
) -> Result<Option<AppId>, LedgerError> {
    if queued.iter().any(|one| !one.selected.events.is_empty()) {
        return ledger.app(key).await.map(Some);
    }
    ledger.known_app(key).await
}

/// Which parts of a callback are wanted.
#[derive(Debug, Clone, Copy, Default)]
struct WantedParts {
    content: bool,
    events: bool,
}

/// An app, and what this process has found out about it.
struct KnownApp {
    id: AppId,
    /// Users as which messages are sent.
    senders: LatestTexts,
    /// The same in lower case.
    own: LatestTexts,
    /// Messages that the service has a record of.
    messages: LatestTexts,
}

impl KnownApp {
    fn new(id: AppId) -> Self {
        let empty = LatestTexts::default;
        Self { id, senders: empty(), own: empty(), messages: empty() }
    }

    /// Returns which parts of each callback are stored. That depends on the senders and messages that the
    /// ledger knows.
    async fn wanted(
        &mut self,
        ledger: &Ledger,
        queued: &[QueuedCallback],
    ) -> Result<Vec<WantedParts>, LedgerError> {
        let (mut users, mut messages) = (HashSet::new(), HashSet::new());
        for concern in queued.iter().flat_map(|one| one.selected.concerns()) {
            match concern {
                Concern::Sender(user) if !self.senders.contains(user) => users.insert(user.as_str()),
                Concern::Message(message) => messages.insert(message.as_str()),
                Concern::Sender(_) => false,
            };
        }
        let found = ledger.known_senders(self.id, &users.into_iter().collect::<Vec<_>>()).await?;
        self.own.extend(found.iter().map(|sender| sender.to_ascii_lowercase()));
        self.senders.extend(found);
        // The records of messages that are still being written count too.
        for one in queued {
            if let Some((Concern::Sender(user), CallbackContent::Record(record))) = &one.selected.content
                && self.senders.contains(user)
            {
                self.messages.insert(record.message_id.clone());
            }
        }
        messages.retain(|message| !self.messages.contains(message));
        let found = ledger.recorded_messages(self.id, &messages.into_iter().collect::<Vec<_>>()).await?;
        self.messages.extend(found);
        let is_early = |one: &QueuedCallback| match &one.selected.content {
            Some((Concern::Message(message), _)) => !self.messages.contains(message),
            _ => false,
        };
        // A receipt can be about a message in flight or in doubt. The ledger keeps a limited number of them.
        let keeps_early = queued.iter().any(is_early) && ledger.awaits_message_ids(self.id).await?;
        let is_known = |concern: &Concern| match concern {
            Concern::Sender(user) => self.senders.contains(user),
            Concern::Message(message) => self.messages.contains(message),
        };
        // The service does not distinguish upper and lower case in the ids of users.
        let is_own = |concern: &Concern| match concern {
            Concern::Sender(user) => self.own.contains(&user.to_ascii_lowercase()),
            Concern::Message(message) => self.messages.contains(message),
        };
        let parts =
            |SelectedCallback { content, events, needs, unless, .. }: &SelectedCallback| WantedParts {
                content: content.as_ref().is_some_and(|(concern, _)| {
                    is_known(concern) || keeps_early && matches!(concern, Concern::Message(_))
                }),
                events: !events.is_empty() && needs.iter().all(is_known) && !unless.iter().any(is_own),
            };
        Ok(queued.iter().map(|one| parts(&one.selected)).collect())
    }
}

/// The texts that were added last: at least [`REMEMBERED`], and at most twice as many.
#[derive(Default)]
struct LatestTexts {
    new: HashSet<String>,
    old: HashSet<String>,
}

impl LatestTexts {
    fn contains(&self, text: &str) -> bool {
        self.new.contains(text) || self.old.contains(text)
    }

    fn insert(&mut self, text: String) {
        if self.new.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(text);
    }

    fn extend(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            self.insert(text);
        }
    }
}

/// Writes the callbacks that arrive meanwhile in one transaction for each app.
async fn write(
    ledger: Ledger,
    mut queue: mpsc::Receiver<WantedCallback>,
    mut dropped: DroppedEvents,
    wake: Box<dyn Fn()>,
) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let mut by_app: BTreeMap<AppId, (Vec<NewCallback>, Vec<_>)> = BTreeMap::new();
        for WantedCallback { app, callback, answer } in batch.drain(..) {
            let (callbacks, answers) = by_app.entry(app).or_default();
            callbacks.push(callback);
            answers.push(answer);
        }
        for (app, (callbacks, answers)) in by_app {
            let stored = ledger.store_callbacks(app, &callbacks).await;
            if let Err(error) = &stored {
                tracing::debug!("cannot store callbacks: {error}");
            } else if callbacks.iter().any(|callback| !callback.events.is_empty()) {
                wake();
            }
            let StoredCallbacks { new, dropped: lost } = stored.unwrap_or_default();
            dropped.log(lost);
            let mut new = new.into_iter();
            for answer in answers {
                let result = new
                    .next()
                    .map(|is_new| if is_new { CallbackResult::Stored } else { CallbackResult::Repeated });
                // A receiver that has stopped waiting is no error.
                let _ = answer.send(result);
            }
        }
    }
}
