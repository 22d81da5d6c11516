//! In what a draft differs from the broadcast beside it.

use serde::{Deserialize, Serialize};

use crate::ledger::sql::sql;
use crate::ledger::store::count;
use crate::ledger::{Ledger, LedgerError};

use super::BroadcastId;

/// How many recipients are named.
const NAMED: i64 = 5;

/// The states of recipients that are never sent to: skipped and cancelled.
const SENT_TO_NONE: &str = "5, 6";

/// In what the recipients and messages of two plans differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDifference {
    /// Recipients that only the new plan has.
    pub added: u64,
    /// The first of them, by group.
    pub first_added: Vec<String>,
    /// Recipients that only the stored plan has.
    pub removed: u64,
    /// The first of them, by group.
    pub first_removed: Vec<String>,
    /// The first recipient whose message differs; where none does, the first that both plans have.
    pub first: Option<MessageChange>,
}

/// One recipient's message in both plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageChange {
    /// The group.
    pub group_id: String,
    /// The message of the stored plan, as JSON.
    pub old: String,
    /// The message of the new plan, as JSON.
    pub new: String,
}

/// What changed under an unfinished broadcast.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroadcastChanges {
    /// The inputs that are not what they were, as people call them: `the module words`.
    pub inputs: Vec<String>,
    /// In what the new plan differs, where one was built. Its messages may be cut short.
    #[serde(default)]
    pub difference: Option<PlanDifference>,
}

impl Ledger {
    /// In what the new plan differs from the stored one. Recipients that are skipped count in neither.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn difference(
        &self,
        old: BroadcastId,
        new: BroadcastId,
    ) -> Result<PlanDifference, LedgerError> {
        let (removed, first_removed) = self.only_in(old, new, SENT_TO_NONE).await?;
        let (added, first_added) = self.only_in(new, old, SENT_TO_NONE).await?;
        let question = sql("SELECT n.group_id, om.content, nm.content FROM recipients n
                JOIN messages nm ON nm.broadcast = n.broadcast AND nm.id = n.message
                JOIN recipients o ON o.broadcast = ?1 AND o.group_id = n.group_id AND o.users = n.users
                JOIN messages om ON om.broadcast = o.broadcast AND om.id = o.message
                WHERE n.broadcast = ?2 AND n.state = 0
                ORDER BY CASE WHEN om.hash = nm.hash THEN 1 ELSE 0 END, n.seq LIMIT 1");
        let mut read = self.store().read_now().await?;
        let first: Option<(String, String, String)> = read.row(question.bind(old.0).bind(new.0)).await?;
        read.done();
        let first = first.map(|(group_id, old, new)| MessageChange { group_id, old, new });
        Ok(PlanDifference { added, first_added, removed, first_removed, first })
    }

    /// In what recipients two plans differ, whatever their messages. One that the stored plan skips is not new.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn recipients_differ(
        &self,
        old: BroadcastId,
        new: BroadcastId,
    ) -> Result<PlanDifference, LedgerError> {
        let (removed, first_removed) = self.only_in(old, new, SENT_TO_NONE).await?;
        let (added, first_added) = self.only_in(new, old, "6").await?;
        Ok(PlanDifference { added, first_added, removed, first_removed, first: None })
    }

    /// How many recipients the one has and the other has not, and the first of them. Those of the other in the states
    /// `but` do not count.
    async fn only_in(
        &self,
        one: BroadcastId,
        other: BroadcastId,
        but: &str,
    ) -> Result<(u64, Vec<String>), LedgerError> {
        let only = format!(
            "FROM recipients r WHERE r.broadcast = ? AND r.state NOT IN ({SENT_TO_NONE}) AND (r.group_id, r.users) NOT IN
            (SELECT o.group_id, o.users FROM recipients o WHERE o.broadcast = ? AND o.state NOT IN ({but}))"
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
