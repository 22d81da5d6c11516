//! Watches the scripts and loads changed ones while the daemon runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::{JoinError, JoinSet};

use crate::clock::Instant;
use crate::protocol::LuaSource;

use super::file_watcher::{FileWatcher, WatchEvent};
use super::files::FileEvents;
use super::load::LoadResult;
use super::registry::{LoadAttempt, ScriptRegistry};
use super::script_scanner::{ScanRequest, ScanResult, ScriptScanner};
use super::settings::SettingsReload;

/// The interval of full scans, for file systems without events.
const SCAN: Duration = Duration::from_secs(5);

/// How long finished loads are collected while others are running.
const GATHER: Duration = Duration::from_millis(50);

/// A finished load: the script's path, its source, and the result.
type LoadedScript = (PathBuf, LuaSource, LoadResult);

/// Watches the scripts. It must be created before the first load, so that no change between the two is missed.
pub struct ScriptWatcher {
    registry: ScriptRegistry,
    reread: SettingsReload,
    events: UnboundedReceiver<Vec<WatchEvent>>,
    /// `None` only while a scan is running.
    scanner: Option<ScriptScanner>,
    loads: JoinSet<LoadedScript>,
    loading: BTreeMap<PathBuf, LuaSource>,
}

impl ScriptWatcher {
    /// Starts to watch the registry's project. `reread` reloads the settings when their file changes.
    pub fn new(registry: ScriptRegistry, reread: SettingsReload) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let loader = registry.loader();
        let scanner =
            ScriptScanner::new(Arc::clone(&loader.held), loader.clock.clone(), FileWatcher::new(sender));
        Self {
            registry,
            reread,
            events,
            scanner: Some(scanner),
            loads: JoinSet::new(),
            loading: BTreeMap::new(),
        }
    }

    /// Sets the path that was given for the project, so that scans also check where it leads.
    pub fn named(mut self, path: PathBuf) -> Self {
        if let Some(scanner) = &mut self.scanner {
            scanner.named(path);
        }
        self
    }

    /// Loads changes until it is dropped.
    pub async fn run(mut self) {
        let clock = self.registry.loader().clock.clone();
        let mut file_events = FileEvents::default();
        let mut loaded: Vec<LoadedScript> = Vec::new();
        let mut reread = false;
        loop {
            let due =
                self.scan_once(std::mem::take(&mut file_events), std::mem::take(&mut loaded), reread).await;
            reread = false;
            let scan = clock.now() + SCAN;
            let next = due.map_or(scan, |due| due.min(scan));
            loop {
                let concerned = tokio::select! {
                    events = self.events.recv() => {
                        // The sender lives as long as the scanner does.
                        for event in events.into_iter().flatten() {
                            match event {
                                WatchEvent::Sign(path, sign) => file_events.note(path, sign),
                                WatchEvent::Lost => file_events.all = true,
                            }
                        }
                        let concerned = self.scanner.as_ref().is_none_or(|scanner| scanner.is_concerned(&file_events));
                        if !concerned {
                            file_events = FileEvents::default();
                        }
                        concerned
                    }
                    Some(done) = self.loads.join_next() => {
                        self.gather(done, &mut loaded).await;
                        true
                    }
                    () = self.registry.asked_to_look() => {
                        file_events.all = true;
                        reread = true;
                        self.registry.forget_refused();
                        tracing::info!("scanning all scripts and the settings again");
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

    /// Scans once and applies the result. Returns when to scan again.
    async fn scan_once(
        &mut self,
        file_events: FileEvents,
        loaded: Vec<LoadedScript>,
        reread: bool,
    ) -> Option<Instant> {
        let tried = |(path, script, loaded): &LoadedScript| {
            (path.clone(), LoadAttempt { script: script.clone(), asked: loaded.asked.clone() })
        };
        let question = ScanRequest {
            file_events,
            tried: self.registry.tried(),
            unreadable: self.registry.unreadable(),
            loading: self.loading.keys().cloned().collect(),
            loaded: loaded.iter().map(tried).collect(),
            secret_files: self.registry.settings().secret_files.clone(),
        };
        let verdict = self.run_scan(question).await?;
        if verdict.settings || reread {
            self.reread.apply(&self.registry);
        }
        if let Some(there) = &verdict.there {
            self.registry.retain(there);
        }
        let is_good = |path: &PathBuf| {
            let gone = verdict.there.as_ref().is_some_and(|there| !there.contains(path));
            verdict.believed.contains(path) && !gone
        };
        let (good, others): (Vec<LoadedScript>, Vec<LoadedScript>) =
            loaded.into_iter().partition(|(path, ..)| is_good(path));
        for (_, script, _) in others {
            let script = script.name;
            tracing::debug!(script, "load dropped: the script's files changed during the load");
        }
        self.registry.decide_together(good);
        for (path, error) in verdict.unreadable {
            self.registry.refuse_unreadable(&path, error);
        }
        for (path, script) in verdict.load {
            self.load(path, script);
        }
        // Files that were saved together are decided together: the script that has a job's name now may be about to
        // give it up.
        if self.loading.is_empty() && verdict.due.is_none() {
            self.registry.refuse_waiting();
        }
        self.registry.looked();
        verdict.due
    }

    /// Runs the scanner on a thread that may block on the file system.
    async fn run_scan(&mut self, question: ScanRequest) -> Option<ScanResult> {
        let mut scanner = self.scanner.take()?;
        let asked = tokio::task::spawn_blocking(move || {
            let verdict = scanner.scan(question);
            (scanner, verdict)
        });
        match asked.await {
            Ok((scanner, verdict)) => {
                self.scanner = Some(scanner);
                Some(verdict)
            }
            Err(error) => {
                tracing::error!(
                    "the scanner of scripts failed, so changes of scripts are no longer loaded; restart the daemon: {error}"
                );
                std::future::pending().await
            }
        }
    }

    /// Collects this load and those that finish soon: a change of a module loads many scripts, and each decision is
    /// published.
    async fn gather(&mut self, first: Result<LoadedScript, JoinError>, loaded: &mut Vec<LoadedScript>) {
        let clock = self.registry.loader().clock.clone();
        let mut next = Some(first);
        let gathering = async {
            while let Some(done) = next.take() {
                match done {
                    Ok(done) => {
                        self.loading.remove(&done.0);
                        loaded.push(done);
                    }
                    Err(error) => tracing::error!("loading a script failed: {error}"),
                }
                next = self.loads.join_next().await;
            }
        };
        // The next call collects the loads that take longer.
        let _ = clock.timeout(GATHER, gathering).await;
    }

    fn load(&mut self, path: PathBuf, script: LuaSource) {
        self.loading.insert(path.clone(), script.clone());
        let registry = self.registry.clone();
        let settings = registry.settings();
        self.loads.spawn_local(async move {
            let loaded = Box::pin(registry.loader().load(&path, script.clone(), &settings)).await;
            (path, script, loaded)
        });
    }
}
