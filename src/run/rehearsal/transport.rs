//! The transport of a rehearsal: it records each message that would be sent or recalled.

use crate::core::UserScope;
use crate::delivery::{OutgoingCall, Transport};
use crate::ledger::{AnnouncementUse, Broadcast};

use super::{AppTotals, Rehearsal, RehearsedAnnouncement, SkippedEffect};

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
        self.ids(message.recipient_count())
    }

    fn announces(&self, app: &str, scope: UserScope, counted: &AnnouncementUse) {
        let (app, counted) = (app.to_owned(), *counted);
        self.announcements.borrow_mut().push(RehearsedAnnouncement { app, scope, counted });
    }

    fn recall(&self, messages: u64, broadcast: Option<&Broadcast>) {
        let of = broadcast.map_or_else(String::new, |Broadcast { name, run, .. }| {
            format!("broadcast {name} (run {run}): ")
        });
        self.list(SkippedEffect { what: format!("recall of {of}{messages} messages"), bytes: 0 });
    }
}
