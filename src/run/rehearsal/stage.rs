//! The transport of a rehearsal: it records each message that would be sent.

use crate::delivery::{OutgoingCall, Transport};
use crate::ledger::{Broadcast, BroadcastPlan, BroadcastSpec};

use super::{AppTotals, BroadcastOrigin, Rehearsal, RehearsedBroadcast};

impl Transport for Rehearsal {
    fn deliver(&self, staged: &OutgoingCall<'_>) -> u64 {
        let (message, at) = (staged.message, self.start + staged.at.since_start());
        let mut apps = self.apps.borrow_mut();
        if let Some(totals) = apps.iter_mut().find(|totals| totals.app == staged.app) {
            totals.add(message, at);
        } else {
            let mut totals = AppTotals { app: staged.app.to_owned(), ..AppTotals::default() };
            totals.add(message, at);
            apps.push(totals);
        }
        if let Some(targets) = &self.targets {
            targets.borrow_mut().entry(staged.app.to_owned()).or_default().add(message);
        }
        match staged.broadcast {
            None => self.singles.borrow_mut().taken(message),
            Some(id) => {
                let mut broadcasts = self.broadcasts.borrow_mut();
                if let Some(seen) = broadcasts.iter_mut().rev().find(|seen| seen.id == id) {
                    seen.add(message, at);
                }
            }
        }
        self.ids(message.group_count())
    }
}

/// A broadcast whose plan is known.
pub(in super::super) struct PlannedBroadcast<'a> {
    pub(in super::super) app: &'a str,
    pub(in super::super) broadcast: &'a Broadcast,
    pub(in super::super) spec: &'a BroadcastSpec,
    pub(in super::super) how: BroadcastOrigin,
    pub(in super::super) plan: BroadcastPlan,
    pub(in super::super) bad_lines: u64,
    pub(in super::super) read: Option<String>,
}

impl Rehearsal {
    /// Records a broadcast that is about to be sent.
    pub(in super::super) fn planned(&self, planned: PlannedBroadcast<'_>) {
        let PlannedBroadcast { app, broadcast, spec, how, plan, bad_lines, read } = planned;
        self.broadcasts.borrow_mut().push(RehearsedBroadcast {
            id: broadcast.id,
            app: app.to_owned(),
            key: broadcast.app_key.clone(),
            name: broadcast.name.clone(),
            run: broadcast.run.clone(),
            how,
            plan,
            spec: spec.clone(),
            bad_lines,
            read,
            calls: 0,
            sent: 0,
            first: None,
            last: None,
            samples: Vec::new(),
            largest: None,
        });
    }
}
