//! Which broadcasts need an approval by this host's settings.

use crate::config::ApprovalRules;
use crate::core::{AskedApproval, RequestFailure};
use crate::ledger::{RecipientCounts, StoredSpec};

use super::Delivery;

impl Delivery {
    /// Demands approvals by these rules.
    pub fn with_approval(self, rules: &ApprovalRules) -> Self {
        self.set_approval(rules);
        self
    }

    /// Demands approvals by other rules from now on, also of broadcasts that are being sent.
    pub fn set_approval(&self, rules: &ApprovalRules) {
        self.approval.replace(rules.clone());
    }

    /// The most recipients that a broadcast may have without an approval, by the settings and by what its script asks for;
    /// the stricter counts. None if it needs none.
    ///
    /// # Errors
    ///
    /// The script refuses what the settings demand.
    pub fn approval_over(
        &self,
        script: Option<&str>,
        requested: Option<AskedApproval>,
    ) -> Result<Option<u64>, RequestFailure> {
        let demanded = self.approval.borrow().over(script);
        match (demanded, requested) {
            (Some(over), Some(AskedApproval::Always(false))) => Err(RequestFailure::invalid(
                "approval",
                format!(
                    "`approval = false` cannot lift what [approval] in mooncast.toml demands for {}; leave it out",
                    demand(over)
                ),
            )),
            (demanded, requested) => Ok(match (demanded, requested.and_then(AskedApproval::over)) {
                (Some(demanded), Some(requested)) => Some(demanded.min(requested)),
                (demanded, requested) => demanded.or(requested),
            }),
        }
    }

    /// Whether this host's settings demand an approval of a stored broadcast.
    pub(super) fn demands_approval(&self, spec: &StoredSpec, counts: &RecipientCounts) -> bool {
        let script = spec.script.as_ref().map(|script| script.path.as_str());
        let recipients = counts.total().saturating_sub(counts.skipped);
        self.approval.borrow().over(script).is_some_and(|over| recipients > over)
    }
}

fn demand(over: u64) -> String {
    match over {
        0 => "every broadcast".to_owned(),
        over => format!("broadcasts with more than {over} recipients"),
    }
}
