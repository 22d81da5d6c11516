//! Watches the scripts and takes changed ones in, for as long as the daemon lives.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinSet;

use crate::clock::Instant;
use crate::protocol::Source;

use super::eyes::{Event, Eyes};
use super::files::Told;
use super::load::Loaded;
use super::look::{Looker, Question, Verdict};
use super::registry::{Registry, Tried};
use super::settings::Reread;

/// Between two looks at everything, for file systems that tell nothing.
const SCAN: Duration = Duration::from_secs(5);

/// What watches. Made before the scripts are loaded first, so that no change falls between the two.
pub struct Watch {
    registry: Registry,
    reread: Reread,
    events: UnboundedReceiver<Vec<Event>>,
    /// Gone only while a look is under way.
    looker: Option<Looker>,
    loads: JoinSet<(PathBuf, Source, Loaded)>,
    loading: BTreeMap<PathBuf, Source>,
}

impl Watch {
    /// Begins to watch the registry's project. `reread` reads its settings when their file changed.
    #[must_use]
    pub fn new(registry: Registry, reread: Reread) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let loader = registry.loader();
        let looker = Looker::new(loader.project.clone(), loader.clock.clone(), Eyes::new(sender));
        Self {
            registry,
            reread,
            events,
            looker: Some(looker),
            loads: JoinSet::new(),
            loading: BTreeMap::new(),
        }
    }

    /// Takes changes in until it is dropped.
    pub async fn run(mut self) {
        let clock = self.registry.loader().clock.clone();
        let mut told = Told::default();
        let mut loaded: Vec<(PathBuf, Source, Loaded)> = Vec::new();
        let mut reread = false;
        loop {
            let due = self.look(std::mem::take(&mut told), std::mem::take(&mut loaded), reread).await;
            reread = false;
            let scan = clock.now() + SCAN;
            let next = due.map_or(scan, |due| due.min(scan));
            loop {
                let concerned = tokio::select! {
                    events = self.events.recv() => {
                        // The other end lives as long as the looker does.
                        for event in events.into_iter().flatten() {
                            match event {
                                Event::Sign(path, sign) => told.note(path, sign),
                                Event::Lost => told.all = true,
                            }
                        }
                        let concerned = self.looker.as_ref().is_none_or(|looker| looker.is_concerned(&told));
                        if !concerned {
                            told = Told::default();
                        }
                        concerned
                    }
                    Some(done) = self.loads.join_next() => {
                        match done {
                            Ok(done) => {
                                self.loading.remove(&done.0);
                                loaded.push(done);
                            }
                            Err(error) => tracing::error!("a load broke off: {error}"),
                        }
                        true
                    }
                    () = self.registry.asked_to_look() => {
                        told.all = true;
                        reread = true;
                        self.registry.forget_refused();
                        tracing::info!("looking at all scripts and the settings again");
                        true
                    }
                    () = clock.sleep_until(next) => true,
                };
                if concerned {
                    break;
                }
            }
        }
    }

    /// Looks once and does what follows from it; gives when to look again.
    async fn look(
        &mut self,
        told: Told,
        loaded: Vec<(PathBuf, Source, Loaded)>,
        reread: bool,
    ) -> Option<Instant> {
        let tried = |(path, script, loaded): &(PathBuf, Source, Loaded)| {
            (path.clone(), Tried { script: script.clone(), asked: loaded.asked.clone() })
        };
        let question = Question {
            told,
            tried: self.registry.tried(),
            loading: self.loading.keys().cloned().collect(),
            loaded: loaded.iter().map(tried).collect(),
        };
        let verdict = self.ask(question).await?;
        if verdict.settings || reread {
            self.reread.apply(&self.registry);
        }
        if let Some(there) = &verdict.there {
            self.registry.retain(there);
        }
        for (path, script, loaded) in loaded {
            let gone = verdict.there.as_ref().is_some_and(|there| !there.contains(&path));
            if verdict.believed.contains(&path) && !gone {
                self.registry.decide(&path, script, loaded);
            } else {
                let script = script.name;
                tracing::debug!(script, "a load is let go of: its files changed meanwhile");
            }
        }
        for (path, error) in verdict.unreadable {
            self.registry.refuse(&path, error);
        }
        for (path, script) in verdict.load {
            self.load(path, script);
        }
        self.registry.looked();
        verdict.due
    }

    /// Has the looker look, on a thread where it can wait for the file system.
    async fn ask(&mut self, question: Question) -> Option<Verdict> {
        let mut looker = self.looker.take()?;
        let asked = tokio::task::spawn_blocking(move || {
            let verdict = looker.look(question);
            (looker, verdict)
        });
        match asked.await {
            Ok((looker, verdict)) => {
                self.looker = Some(looker);
                Some(verdict)
            }
            Err(error) => {
                tracing::error!(
                    "a look at the scripts broke off, changes are not taken in any more: {error}"
                );
                std::future::pending().await
            }
        }
    }

    fn load(&mut self, path: PathBuf, script: Source) {
        self.loading.insert(path.clone(), script.clone());
        let registry = self.registry.clone();
        let settings = registry.settings();
        self.loads.spawn_local(async move {
            let loaded = registry.loader().load(&path, script.clone(), &settings).await;
            (path, script, loaded)
        });
    }
}
