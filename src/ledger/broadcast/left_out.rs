//! Leaves out recipients of a fixed plan: those on the suppression list, and those to whom no message can be sent.

use std::collections::{BTreeMap, HashMap};

use const_format::formatcp;

use crate::core::{Call, SuppressedKind};
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{IN_DOUBT, PENDING, SENDING, SENT, SKIPPED};
use crate::ledger::store::{Transaction, count, millis};
use crate::ledger::{AppId, Ledger, LedgerError, RecipientState, Suppression};

use super::build::json;
use super::{Broadcast, CountsDelta, Lease, Recipient, StoredSpec, apply};

/// The SQL condition that a row of `recipients` is not on the suppression list at the time `$now`, a
/// placeholder of the statement, or that its broadcast overrides the list. A targeted message is on the list
/// too if one of its `users` is.
macro_rules! not_suppressed {
    ($now:literal) => {
        concat!(
            "(NOT EXISTS (SELECT 1 FROM broadcasts b JOIN suppressions s ON s.app = b.app AND s.kind = b.kind
                WHERE b.id = recipients.broadcast AND NOT b.overrides 
                AND (s.id = recipients.group_id OR (s.kind = 'user' AND s.id = lower(recipients.group_id)))
                AND (s.expires_at IS NULL OR s.expires_at > ",
            $now,
            ")) AND (recipients.users = '' OR NOT EXISTS
                (SELECT 1 FROM broadcasts b JOIN suppressions s ON s.app = b.app AND s.kind = 'user'
                WHERE b.id = recipients.broadcast AND b.kind = 'group' AND NOT b.overrides
                AND (s.expires_at IS NULL OR s.expires_at > ",
            $now,
            ") AND EXISTS (SELECT 1 FROM json_each(coalesce(nullif(recipients.users, ''), '[]'))
                    WHERE s.id IN (atom, lower(atom))))))"
        )
    };
}

pub(in crate::ledger) use not_suppressed;

impl Ledger {
    /// Skips those of these pending recipients that are on the suppression list now; returns their sequence numbers. None
    /// are skipped if the broadcast overrides the list.
    pub async fn skip_suppressed(
        &self,
        lease: Lease,
        app: AppId,
        spec: &StoredSpec,
        recipients: &[Recipient],
    ) -> Result<Vec<i64>, LedgerError> {
        let kind = SuppressedKind::of(spec.call).filter(|_| !spec.overrides && !recipients.is_empty());
        let Some(kind) = kind else { return Ok(Vec::new()) };
        let ids: Vec<String> = recipients.iter().map(|recipient| recipient.group_id.clone()).collect();
        let of_ids = by_id(self.suppressed(app, kind, &ids).await?);
        let of_users = if spec.call == Call::Targeted {
            let users: Vec<String> = recipients.iter().flat_map(|one| one.users.iter().cloned()).collect();
            by_id(self.suppressed(app, SuppressedKind::User, &users).await?)
        } else {
            HashMap::new()
        };
        if of_ids.is_empty() && of_users.is_empty() {
            return Ok(Vec::new());
        }
        let mut left_out: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for recipient in recipients {
            let of_user = || {
                let spelled = |user| SuppressedKind::User.spelled(user);
                let listed = recipient.users.iter().find_map(|user| of_users.get(&*spelled(user)))?;
                Some(listed.why(&format!("its member {} is ", listed.id)))
            };
            let listed = of_ids.get(&*kind.spelled(&recipient.group_id));
            if let Some(why) = listed.map(|listed| listed.why("")).or_else(of_user) {
                left_out.entry(why).or_default().push(recipient.seq);
            }
        }
        self.store().transaction(async |write| skip(write, lease, &left_out).await).await?;
        Ok(left_out.into_values().flatten().collect())
    }

    /// Skips pending recipients to whom no message can be sent, each list of sequence numbers for its reason.
    pub async fn skip_unreachable(
        &self,
        lease: Lease,
        unreachable: &BTreeMap<String, Vec<i64>>,
    ) -> Result<(), LedgerError> {
        if unreachable.is_empty() {
            return Ok(());
        }
        self.store().transaction(async |write| skip(write, lease, unreachable).await).await
    }

    /// Counts the recipients of a plan whose groups are at the cap of its broadcast now.
    pub async fn count_capped(&self, broadcast: &Broadcast) -> Result<u64, LedgerError> {
        let Some(cap) = &broadcast.spec.cap else { return Ok(0) };
        let within = cap.within().map_err(|why| self.store().record(why))?;
        let question = sql(formatcp!(
            "SELECT count(*) FROM recipients p WHERE p.broadcast = ?1 AND p.state = {PENDING} AND ?5 <=
                (SELECT count(*) FROM recipients r JOIN broadcasts b ON b.id = r.broadcast
                    WHERE r.group_id = p.group_id AND r.state IN ({SENDING}, {SENT}, {IN_DOUBT}) AND r.updated_at > ?2
                    AND b.app = ?3 AND b.kind = 'group' AND (?4 IS NULL OR b.tag = ?4))"
        ));
        let since = self.store().now().saturating_sub(millis(within));
        let question = question.bind(broadcast.id.0).bind(since).bind(broadcast.app.0).bind(&cap.tag);
        let row: Option<(i64,)> = self.store().row(question.bind(cap.per_group)).await?;
        Ok(count(row.unwrap_or_default().0))
    }

    /// Counts the recipients of a plan that are on the suppression list now.
    pub async fn count_suppressed(&self, broadcast: &Broadcast) -> Result<u64, LedgerError> {
        // The columns of a broadcast hold these two only once its plan is fixed.
        let Some(kind) = SuppressedKind::of(broadcast.spec.call) else { return Ok(0) };
        let question = sql(formatcp!(
            "SELECT count(*) FROM recipients r WHERE r.broadcast = ?1 AND r.state = {PENDING} AND (
                EXISTS (SELECT 1 FROM suppressions s WHERE s.app = ?2 AND s.kind = ?3
                    AND (s.id = r.group_id OR (s.kind = 'user' AND s.id = lower(r.group_id)))
                    AND (s.expires_at IS NULL OR s.expires_at > ?4))
                OR (r.users <> '' AND EXISTS (SELECT 1 FROM suppressions s WHERE s.app = ?2 AND s.kind = 'user'
                    AND (s.expires_at IS NULL OR s.expires_at > ?4)
                    AND EXISTS (SELECT 1 FROM json_each(coalesce(nullif(r.users, ''), '[]'))
                        WHERE s.id IN (atom, lower(atom))))))"
        ));
        let question = question.bind(broadcast.id.0).bind(broadcast.app.0).bind(kind.name());
        let row: Option<(i64,)> = self.store().row(question.bind(self.store().now())).await?;
        Ok(count(row.unwrap_or_default().0))
    }
}

/// Skips pending recipients, each list of them for its reason.
pub(in crate::ledger) async fn skip(
    write: &mut Transaction<'_>,
    lease: Lease,
    left_out: &BTreeMap<String, Vec<i64>>,
) -> Result<(), LedgerError> {
    if left_out.is_empty() {
        return Ok(());
    }
    let mut delta = CountsDelta::default();
    for (why, seqs) in left_out {
        let statement = sql(formatcp!(
            "UPDATE recipients SET state = {SKIPPED}, error = ?, updated_at = ? WHERE broadcast = ? AND state = {PENDING}
                AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?))"
        ));
        let statement = statement.bind(why).bind(write.store.now()).bind(lease.broadcast.0);
        let skipped = write.run(statement.bind(json(write, seqs)?)).await?;
        delta.moved(RecipientState::Pending, RecipientState::Skipped, skipped);
    }
    apply(write, lease.broadcast, Some(lease.number), &delta).await
}

fn by_id(listed: Vec<Suppression>) -> HashMap<String, Suppression> {
    listed.into_iter().map(|one| (one.id.clone(), one)).collect()
}
