//! Saved scripts are loaded completely, once, and soon. The tests use the library's registry and watcher and the real
//! binary's workers. `MOONCAST_SOAK=1` runs many more rounds.
//!
//! On a server: in the soak

mod folders;
mod jobs;
mod partly;
mod saves;
mod serve;
mod settings;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mooncast::{
    App, AppFlags, AppLimits, Clock, Credentials, Delivery, Environment, LoadedJob, Project as Place,
    ScriptLoader, ScriptRegistry, ScriptStatus, ScriptWatcher, Settings, SettingsReload, Timeouts,
};

use crate::support::Project;
use crate::support::service::Service;

/// The longest wait. A healthy machine never needs it, however loaded it is.
const GUARD: Duration = Duration::from_mins(1);

/// Returns the number of rounds: `many` in the soak test.
fn rounds(few: usize, many: usize) -> usize {
    if std::env::var_os("MOONCAST_SOAK").is_some_and(|value| !value.is_empty()) { many } else { few }
}

/// A script with one job, which prints its number.
fn script(job: &str, number: usize) -> String {
    format!(
        "-- version {number}\nlocal schedule = require(\"schedule\")\nschedule.every(\"1h\", {{ name = \"{job}\" }}, function() return {number} end)\n"
    )
}

/// A daemon's registry and watcher for a project.
struct Scene {
    registry: ScriptRegistry,
    clock: Clock,
    root: PathBuf,
    service: Service,
}

impl Scene {
    /// Loads the project's scripts, watches them, and runs `play`. No message may have been sent at the end.
    fn play<F: Future<Output = ()>>(project: &Project, play: impl FnOnce(Rc<Self>) -> F) {
        let clock = Clock::real();
        let place = Place::at(&project.path("")).unwrap();
        let service = Service::accepting();
        let app = App {
            name: "default".into(),
            prefix: format!("{}/org/app", service.url()),
            credentials: Credentials::Token("token".into()),
            limits: AppLimits::default(),
            records: mooncast::RecordSettings::default(),
            timeouts: Timeouts::default(),
        };
        let apps = vec![Rc::new(Delivery::new(&app, clock.clone(), None).unwrap())];
        let read = {
            let place = place.clone();
            move || {
                Settings::load(
                    &place,
                    &Environment::of(vec![]),
                    &AppFlags { offline: true, ..AppFlags::default() },
                )
            }
        };
        let settings = read().unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_mooncast"));
        let loader = ScriptLoader::new(place.clone(), apps, clock.clone(), program);
        let registry = ScriptRegistry::new(loader, settings);
        let scene = Rc::new(Self { registry, clock: clock.clone(), root: place.root, service });
        clock
            .block_on(async {
                let watch = ScriptWatcher::new(scene.registry.clone(), SettingsReload::new(read));
                let mut watching = scene.registry.watching();
                scene.registry.load_all().await.unwrap();
                let watch = tokio::task::spawn_local(watch.run());
                // The folders are watched from the first scan on.
                watching.wait_for(|looks| *looks > 0).await.unwrap();
                play(Rc::clone(&scene)).await;
                watch.abort();
            })
            .unwrap();
        let requests = scene.service.requests();
        assert!(requests.is_empty(), "something was sent: {requests:?}");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Waits until the registry is in this state.
    #[track_caller]
    fn until(
        &self,
        what: impl Into<String>,
        so: impl Fn(&ScriptRegistry) -> bool,
    ) -> impl Future<Output = ()> {
        let what = what.into();
        let mut changed = self.registry.changed();
        let place = std::panic::Location::caller();
        async move {
            let so = async {
                while !so(&self.registry) {
                    changed.changed().await.unwrap();
                }
            };
            let came = self.clock.timeout(GUARD, so).await.is_ok();
            assert!(came, "{place}: never came: {what}; {:#?}", self.registry.scripts());
        }
    }

    /// Waits until the job exists and comes from a script with exactly this text.
    #[track_caller]
    fn active(&self, job: &str, text: &str) -> impl Future<Output = ()> {
        self.until(format!("{job} of {text}"), move |registry| {
            registry.find(job).is_some_and(|found| source(&found) == text)
        })
    }

    fn status(&self, name: &str) -> ScriptStatus {
        self.registry.scripts().into_iter().find(|script| script.name == name).unwrap()
    }

    /// Waits until a script has failed to load, and returns the error.
    async fn stale(&self, name: &str) -> String {
        let is = |registry: &ScriptRegistry| {
            registry.scripts().iter().any(|script| script.name == name && script.stale.is_some())
        };
        self.until(format!("{name} is stale"), is).await;
        self.status(name).stale.unwrap().error
    }

    /// Saves one more script and waits until it is active. Then all earlier saves have been seen too.
    async fn sentinel(&self, number: usize) {
        let text = script("sentinel", number);
        replace(&self.path("scripts/sentinel.lua"), &text);
        self.active("sentinel", &text).await;
    }
}

/// Returns the text of a job's script.
fn source(found: &LoadedJob) -> String {
    String::from_utf8(found.version.script.text.to_vec()).unwrap()
}

/// Saves as most editors do: writes a new file beside the old one and renames it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("lua.new~");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// Many durations.
#[derive(Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn since(&mut self, start: Instant) {
        self.0.push(start.elapsed());
    }

    /// Prints the durations, and checks the promised bounds if there are enough.
    fn judge(mut self, what: &str) {
        self.0.sort_unstable();
        let at = |part: usize| self.0[(self.0.len() * part / 100).min(self.0.len() - 1)];
        let (median, most) = (at(50), at(99));
        println!("{what}: {} saves, median {median:?}, 99th percentile {most:?}", self.0.len());
        if self.0.len() >= 100 {
            assert!(median < Duration::from_millis(400), "{what}: median {median:?}");
            assert!(most < Duration::from_secs(1), "{what}: 99th percentile {most:?}");
        }
    }
}
