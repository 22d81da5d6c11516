//! Reports what somebody should know: scripts that failed to load, jobs that no event can reach, broadcasts that ended.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::delivery::DriveEnd;
use crate::run::SupervisedEnd;

use super::{Daemon, DaemonEvent, DaemonSetup};

impl Daemon {
    /// Reports jobs that newly run for the events of an app without a callback secret.
    pub(super) fn report_unheard(&self) {
        let DaemonSetup { registry, .. } = &*self.setup;
        let settings = registry.settings();
        let has_secret = |app: &str| {
            settings.callback_secrets.get(app).is_some_and(|secrets| !secrets.as_slice().is_empty())
        };
        let mut unheard = BTreeSet::new();
        for job in registry.reactions() {
            let Some(app) = job.event().map(|event| event.app.as_str()).filter(|app| !has_secret(app)) else {
                continue;
            };
            let job = job.name.as_str();
            if !self.unheard.borrow().contains(job) {
                tracing::warn!(
                    job,
                    app,
                    "this job never runs, because its app has no callback secret, so no events are accepted; set MOONCAST_CALLBACK_SECRET, or `callback_secret` of the app"
                );
            }
            unheard.insert(job.to_owned());
        }
        self.unheard.replace(unheard);
    }

    /// Reports scripts that newly failed to load.
    pub(super) async fn report_stale(&self) {
        let scripts = self.setup.registry.scripts();
        let stale: BTreeMap<String, String> =
            scripts.into_iter().filter_map(|script| Some((script.name, script.stale?.error))).collect();
        let before = self.stale.replace(stale.clone());
        for (script, error) in stale {
            if before.get(&script) != Some(&error) {
                self.setup.report(DaemonEvent::ScriptStale { script, error }).await;
            }
        }
    }
}

/// Handles a broadcast of this daemon that finished, paused or stopped.
pub(super) fn broadcast_ended(setup: &Rc<DaemonSetup>, kept: SupervisedEnd) {
    let SupervisedEnd { id, name, run, end } = kept;
    match end {
        Ok(driven) => match driven.end {
            DriveEnd::Finished | DriveEnd::Cancelled => {
                let report = driven.report;
                let (sent, total) = (report.sent, report.total);
                let (rejected, in_doubt, cancelled) = (report.rejected, report.in_doubt, report.cancelled);
                tracing::info!(name, run, sent, total, rejected, in_doubt, cancelled, "broadcast finished");
                let setup = Rc::clone(setup);
                tokio::task::spawn_local(async move { setup.report_end(id, report).await });
            }
            DriveEnd::Paused(why) => {
                tracing::error!(name, run, "broadcast paused: {why}; to continue it: `mooncast runs resume`");
                spawn_report(setup, DaemonEvent::BroadcastHalted { name, run, why });
            }
            DriveEnd::Stopped => {
                tracing::info!(name, run, "broadcast interrupted; the next start continues it");
            }
        },
        Err(why) => {
            tracing::error!(name, run, "cannot send the broadcast: {why}");
            spawn_report(setup, DaemonEvent::BroadcastHalted { name, run, why });
        }
    }
}

/// Reports an event from a place that cannot await.
fn spawn_report(setup: &Rc<DaemonSetup>, event: DaemonEvent) {
    let setup = Rc::clone(setup);
    tokio::task::spawn_local(async move { setup.report(event).await });
}
