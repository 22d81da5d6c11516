//! The difference between a draft and the broadcast next to it.

use const_format::formatcp;
use serde::{Deserialize, Serialize};

use crate::core::Call;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{CANCELLED, PENDING, SKIPPED};
use crate::ledger::store::count;
use crate::ledger::{Ledger, LedgerError};

use super::BroadcastId;
use super::identity::identity;

/// The most recipients that are listed by name.
const NAMED: i64 = 5;

/// The states of recipients that are never sent to: skipped and cancelled.
const SENT_TO_NONE: &str = formatcp!("{SKIPPED}, {CANCELLED}");

/// The difference between two plans, in recipients and messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDifference {
    /// Recipients that only the new plan has.
    pub added: u64,
    /// The groups of the first of them.
    pub first_added: Vec<String>,
    /// The number of recipients that only the stored plan has.
    pub removed: u64,
    /// The groups of the first of them.
    pub first_removed: Vec<String>,
    /// The first recipient whose message differs. If none differs, the first recipient that both plans have.
    pub first: Option<MessageChange>,
}

/// The message of one recipient in both plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct MessageChange {
    pub group_id: String,
    /// The message of the stored plan, as JSON.
    pub old: String,
    /// The message of the new plan, as JSON.
    pub new: String,
}

/// The changes of an unfinished broadcast's inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastChanges {
    /// The changed inputs, as they are shown to people: `the module words`.
    pub inputs: Vec<String>,
    /// The difference of the new plan, if one was built. Its messages may be truncated.
    #[serde(default)]
    pub difference: Option<PlanDifference>,
}

impl Ledger {
    /// Returns the difference between a stored plan and a new one. Skipped recipients are left out of both.
    pub async fn difference(
        &self,
        old: BroadcastId,
        new: BroadcastId,
    ) -> Result<PlanDifference, LedgerError> {
        let call = self.show(new).await?.spec.call;
        let (removed, first_removed) = self.only_in(call, old, new, SENT_TO_NONE).await?;
        let (added, first_added) = self.only_in(call, new, old, SENT_TO_NONE).await?;
        let (of_new, of_old) = (identity(call, "n."), identity(call, "o."));
        let question = sql(format!(
            "SELECT n.group_id, om.content AS old, nm.content AS new FROM recipients n
                JOIN messages nm ON nm.broadcast = n.broadcast AND nm.id = n.message
                JOIN recipients o ON o.broadcast = ?1 AND ({of_old}) = ({of_new})
                JOIN messages om ON om.broadcast = o.broadcast AND om.id = o.message
                WHERE n.broadcast = ?2 AND n.state = {PENDING}
                ORDER BY CASE WHEN om.hash = nm.hash THEN 1 ELSE 0 END, n.seq LIMIT 1"
        ));
        let first = self.store().row_now(question.bind(old.0).bind(new.0)).await?;
        Ok(PlanDifference { added, first_added, removed, first_removed, first })
    }

    /// Returns the difference in recipients between two plans, without their messages. A recipient that the stored
    /// plan skips does not count as added.
    pub async fn recipients_differ(
        &self,
        old: BroadcastId,
        new: BroadcastId,
    ) -> Result<PlanDifference, LedgerError> {
        let call = self.show(new).await?.spec.call;
        let (removed, first_removed) = self.only_in(call, old, new, SENT_TO_NONE).await?;
        let (added, first_added) = self.only_in(call, new, old, formatcp!("{CANCELLED}")).await?;
        Ok(PlanDifference { added, first_added, removed, first_removed, first: None })
    }

    /// Counts the recipients that `one` has and `other` does not, and lists the first of them. Recipients of `other`
    /// in the states `but` are treated as absent.
    async fn only_in(
        &self,
        call: Call,
        one: BroadcastId,
        other: BroadcastId,
        but: &str,
    ) -> Result<(u64, Vec<String>), LedgerError> {
        let (of_one, of_other) = (identity(call, "r."), identity(call, "o."));
        let only = format!(
            "FROM recipients r WHERE r.broadcast = ? AND r.state NOT IN ({SENT_TO_NONE}) AND ({of_one}) NOT IN
            (SELECT {of_other} FROM recipients o WHERE o.broadcast = ? AND o.state NOT IN ({but}))"
        );
        let mut read = self.store().read_now().await?;
        let many: Option<(i64,)> =
            read.row(sql(format!("SELECT count(*) {only}")).bind(one.0).bind(other.0)).await?;
        let first = sql(format!("SELECT r.group_id {only} ORDER BY r.seq LIMIT ?"));
        let first: Vec<(String,)> = read.rows(first.bind(one.0).bind(other.0).bind(NAMED)).await?;
        read.done();
        Ok((count(many.unwrap_or_default().0), first.into_iter().map(|(group,)| group).collect()))
    }
}
