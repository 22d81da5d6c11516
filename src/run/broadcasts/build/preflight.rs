//! Looks up the groups of a plan before it is fixed (`preflight`).

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::core::{Call, GroupFindings};
use crate::protocol::RequestFailure;
use crate::run::services::{RunServices, no_app};

use super::super::fault;
use super::PlanBuilder;

/// The most groups that are looked up at once.
const PAGE: u32 = 10_000;

impl PlanBuilder {
    /// Looks up every group of the plan. Where one does not exist or is disabled, the plan is refused.
    pub(super) async fn preflight(&mut self, services: &RunServices) -> Result<(), RequestFailure> {
        if self.request.preflight != Some(true) {
            return Ok(());
        }
        if matches!(self.call, Some(Call::User | Call::Room | Call::Edit)) {
            let why = "`preflight` looks up groups; leave it out for users, chat rooms and edits";
            return Err(RequestFailure::invalid("preflight", why));
        }
        let app = services.apps.iter().position(|app| Rc::ptr_eq(app, &self.role.delivery));
        let app = app.and_then(|app| u32::try_from(app).ok()).ok_or_else(no_app)?;
        let (lists, _hold) = match services.lists.open(app) {
            Ok(opened) => opened,
            Err(why) => {
                tracing::warn!("broadcast `{}`: its groups were not looked up: {why}", self.request.name);
                return Ok(());
            }
        };
        let (stop, mut findings, mut after) = (services.stop.stop(), GroupFindings::default(), 0);
        loop {
            let page = self.role.ledger.planned_groups(self.role.broadcast.id, after, PAGE).await;
            let page = page.map_err(fault)?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            let mut groups: BTreeMap<String, bool> = BTreeMap::new();
            for group in page {
                *groups.entry(group.group_id).or_default() |= group.asks_receipts;
            }
            let groups: Vec<(String, bool)> = groups.into_iter().collect();
            lists.look_up_groups(&groups, &mut findings, &stop).await?;
        }
        let name = &self.request.name;
        if let Some(warning) = findings.warning() {
            tracing::warn!("broadcast `{name}`: {warning}");
        }
        match findings.problem() {
            None => {
                self.spec.targets = Some(Box::new(findings));
                Ok(())
            }
            Some(problem) => {
                let why = format!(
                    "{problem}; nothing of broadcast `{name}` was sent. Take them out of the audience, or leave out `preflight` to send to the others as well"
                );
                self.note(services, "", RequestFailure::invalid("preflight", why))
            }
        }
    }
}
