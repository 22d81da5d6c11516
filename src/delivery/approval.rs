//! Which broadcasts need an approval by this host's settings.

use crate::config::{AnnouncementRule, ApprovalRules};
use crate::core::{AskedApproval, Call, RequestFailure};
use crate::ledger::{RecipientCounts, StoredSpec};
use crate::message::counted;

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

    /// Refuses a single call, which cannot wait for an approval, if a broadcast to as many recipients would need one.
    /// `recipients` are those of the call; of an edit, the messages.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Denied`](crate::core::FailureKind::Denied), with what to call instead.
    pub fn check_single(
        &self,
        script: Option<&str>,
        call: Call,
        recipients: usize,
    ) -> Result<(), RequestFailure> {
        let rules = self.approval.borrow();
        let Some(over) = rules.over(script) else { return Ok(()) };
        let is_held = match call {
            Call::Announce => rules.announcements == AnnouncementRule::Refused,
            Call::Edit => recipients as u64 > over,
            // A message to one recipient is no campaign, whatever the rule.
            _ => recipients as u64 > over.max(1),
        };
        if !is_held {
            return Ok(());
        }
        let (function, demanded) = (call.function(), demand(over));
        let problem = match call {
            Call::Announce => format!(
                "{function}: an announcement cannot wait for an approval, and [approval] in mooncast.toml demands one for \
                 {demanded}; nothing was sent. im.broadcast with `kind = \"user\"` waits for an approval. To permit \
                 announcements without one: `announcements = \"permitted\"` under [approval]"
            ),
            Call::Edit => format!(
                "{function}: edits by receipts cannot wait for an approval, and [approval] in mooncast.toml demands one for \
                 {demanded}; this call edits {}, and nothing was edited. im.edit with `broadcast` and `run` waits for an \
                 approval, and so does `mooncast runs edit`",
                counted(recipients as u64, "message")
            ),
            _ => format!(
                "{function}: a single call cannot wait for an approval, and [approval] in mooncast.toml demands one for \
                 {demanded}; this call has {}, and nothing was sent. im.broadcast with `kind = \"{call}\"` waits for an \
                 approval",
                counted(recipients as u64, call.recipient())
            ),
        };
        Err(RequestFailure::denied(problem))
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
