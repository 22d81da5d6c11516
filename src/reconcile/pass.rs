//! One pass over all doubts of an app: asks for history files, matches records, settles.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::core::InDoubtPolicy;
use crate::ledger::{
    BroadcastDoubts, BroadcastId, Doubts, LedgerError, QuotaClaim, RecipientSettlement, RecipientState,
    SendDoubt, SendSettlement, ServiceRecord, SettledCounts,
};
use crate::records::DoubtState;

use super::doubts::{DoubtId, DoubtSet, groups};
use super::history::{DueHours, WantedRecords, history_reads, next_look};
use super::states::states;
use super::{Ask, HistoryError, Outlook, ReconcileError, ReconcileTarget, Reconciler, ms};

/// The name under which processes take turns, in the table of shared quotas.
const TURN: &str = "reconcile";
/// How long a process keeps its turn after its last pass.
const TURN_LENGTH: Duration = Duration::from_secs(30);

const NOT_ACCEPTED: &str = "the service did not accept it, by its history";

impl Reconciler {
    /// Matches the messages in doubt with the service's records, and settles those about which the records
    /// prove something. If nothing has changed since this process's last pass, it returns the last result.
    /// While another process settles this app's doubts, this one reads no history files and settles nothing,
    /// except with [`Ask::Now`].
    ///
    /// # Errors
    ///
    /// [`ReconcileError`]. A history file that cannot be read is logged, and is not an error.
    pub async fn pass(&self, target: ReconcileTarget<'_>, ask: Ask) -> Result<Outlook, ReconcileError> {
        let count = target.ledger.count_doubts(target.app).await?;
        if count == 0 {
            self.seen.set(None);
            self.outlook.replace(Outlook::default());
            return Ok(Outlook::default());
        }
        let now = self.clock.unix_time();
        let latest = target.ledger.last_record_at().await?;
        let is_known =
            self.seen.get().is_some_and(|seen| (seen.1, seen.2) == (latest, count) && now < seen.0);
        if is_known && ask == Ask::Due {
            return Ok(self.outlook());
        }
        // An operator's request does not wait for the turn. Settling twice has no effect.
        let ask = if ask == Ask::Now || self.has_turn(target).await? { ask } else { Ask::Nothing };
        let reads = self.reads(target).await?;
        let mut found = target.ledger.doubts(target.app, false).await?;
        let mut set = DoubtSet::new(&found, self.window);
        let due = DueHours::of(set.doubts.iter(), &reads, ask, ms(now));
        let any = target.ledger.records_alike(target.app, &set.fingerprints()).await?;
        if !any.is_empty() || !due.hours.is_empty() {
            // A record may belong to a message that is being sent.
            found = target.ledger.doubts(target.app, true).await?;
            set = DoubtSet::new(&found, self.window);
        }
        self.read_files(target, &set, &due, ask).await?;
        let (states, records) = states(target.ledger, target.app, &set, self.now_ms()).await?;
        let reads = history_reads(target.ledger, target.app).await?;
        let outlook = Outlook::new(&states, &set, &reads, self.clock.unix_time());
        if ask != Ask::Nothing {
            self.apply(target, &found, &set, &states, &records).await?;
        }
        self.seen.set(Some((next_look(now, &due), latest, count)));
        self.outlook.replace(outlook.clone());
        Ok(outlook)
    }

    /// Makes the recipients of a broadcast pending that the service did not accept, by its history; returns how many.
    ///
    /// # Errors
    ///
    /// [`ReconcileError`]
    pub async fn settle_absent(
        &self,
        target: ReconcileTarget<'_>,
        id: BroadcastId,
    ) -> Result<u64, ReconcileError> {
        let found = target.ledger.doubts(target.app, true).await?;
        let set = DoubtSet::new(&found, self.window);
        let (states, _) = states(target.ledger, target.app, &set, self.now_ms()).await?;
        let Some(broadcast) = found.broadcasts.iter().find(|broadcast| broadcast.id == id) else {
            return Ok(0);
        };
        let is_absent = |seq| {
            let doubt = DoubtId::Recipient(id, seq);
            set.in_doubt.contains(&doubt) && states.get(&doubt) == Some(&DoubtState::Absent)
        };
        let absent = broadcast.recipients.iter().filter(|one| is_absent(one.seq));
        let settled: Vec<_> = absent
            .map(|one| RecipientSettlement { seq: one.seq, intent_at: one.intent_at, message: None })
            .collect();
        Ok(target.ledger.settle_by_records(id, &settled, RecipientState::Pending).await?.absent)
    }

    /// Takes or keeps this process's turn for the app; false if another process has it.
    async fn has_turn(&self, target: ReconcileTarget<'_>) -> Result<bool, LedgerError> {
        let claim = QuotaClaim {
            app: target.app,
            quota: TURN,
            total: 1,
            need: 1,
            least: 1,
            keep: 1,
            used: 0,
            pace: 1000,
            weight: 1,
            lease: TURN_LENGTH,
            cool: Duration::ZERO,
        };
        Ok(target.ledger.claim_slots(target.instance, claim).await?.slots > 0)
    }

    async fn read_files(
        &self,
        target: ReconcileTarget<'_>,
        set: &DoubtSet,
        due: &DueHours,
        ask: Ask,
    ) -> Result<(), LedgerError> {
        if due.hours.is_empty() {
            return Ok(());
        }
        let wanted = Arc::new(WantedRecords {
            fingerprints: set.doubts.iter().map(|doubt| doubt.key.fingerprint).collect(),
            marks: set.marks().into_iter().collect(),
            ..WantedRecords::default()
        });
        for hour in &due.hours {
            match self.read_hour(target, *hour, ask, &wanted).await {
                Ok(_) => {}
                Err(HistoryError::Ledger(error)) => return Err(error),
                Err(HistoryError::Call(error)) => tracing::warn!(app = self.name, "{error}"),
            }
        }
        Ok(())
    }

    async fn apply(
        &self,
        target: ReconcileTarget<'_>,
        found: &Doubts,
        set: &DoubtSet,
        states: &BTreeMap<DoubtId, DoubtState>,
        records: &[ServiceRecord],
    ) -> Result<(), LedgerError> {
        let times: BTreeMap<&str, Duration> =
            records.iter().map(|record| (record.message_id.as_str(), record.at)).collect();
        for broadcast in &found.broadcasts {
            let settled = settlements(broadcast, set, states, &times);
            if settled.is_empty() {
                continue;
            }
            let absent = absent_state(broadcast).unwrap_or(RecipientState::InDoubt);
            let SettledCounts { arrived, absent } =
                target.ledger.settle_by_records(broadcast.id, &settled, absent).await?;
            let (name, run) = (&broadcast.name, &broadcast.run);
            tracing::info!(name, run, arrived, absent, "the service's records settled messages in doubt");
        }
        for send in &found.sends {
            if let Some(settled) = send_settlement(send, states)
                && target.ledger.settle_send_by_records(&settled).await?
            {
                let (send, state) = (send.id, settled.state.name());
                tracing::info!(send, state, "the service's records settled a single message in doubt");
            }
        }
        Ok(())
    }
}

/// The state of a recipient that the service did not accept; None if a person decides.
fn absent_state(broadcast: &BroadcastDoubts) -> Option<RecipientState> {
    match broadcast.spec.in_doubt {
        InDoubtPolicy::Hold => None,
        InDoubtPolicy::Resend | InDoubtPolicy::Reconcile if broadcast.cancelled => {
            Some(RecipientState::Cancelled)
        }
        InDoubtPolicy::Resend | InDoubtPolicy::Reconcile => Some(RecipientState::Pending),
    }
}

fn settlements(
    broadcast: &BroadcastDoubts,
    set: &DoubtSet,
    states: &BTreeMap<DoubtId, DoubtState>,
    times: &BTreeMap<&str, Duration>,
) -> Vec<RecipientSettlement> {
    let settles_absence = absent_state(broadcast).is_some();
    let settled = broadcast.recipients.iter().filter_map(|one| {
        let id = DoubtId::Recipient(broadcast.id, one.seq);
        if !set.in_doubt.contains(&id) {
            return None;
        }
        let message = match states.get(&id)? {
            DoubtState::Arrived { message_id } => {
                let at = times.get(message_id.as_str()).copied().unwrap_or(one.intent_at);
                Some((message_id.clone(), at))
            }
            DoubtState::Absent if settles_absence => None,
            _ => return None,
        };
        Some(RecipientSettlement { seq: one.seq, intent_at: one.intent_at, message })
    });
    settled.collect()
}

/// What the records prove about a single send; None if nothing new.
fn send_settlement(send: &SendDoubt, states: &BTreeMap<DoubtId, DoubtState>) -> Option<SendSettlement> {
    if send.state != RecipientState::InDoubt {
        return None;
    }
    let groups = groups(&send.recipients);
    // A call of `im.request` has no recipients, and the service keeps no record of it.
    if groups.is_empty() {
        return None;
    }
    let (mut receipts, mut absent) = (send.receipts.clone(), Vec::new());
    for (index, group) in groups.iter().enumerate() {
        match states.get(&DoubtId::Send(send.id, index)) {
            Some(DoubtState::Arrived { message_id }) => receipts.push((group.clone(), message_id.clone())),
            Some(DoubtState::Absent) => absent.push(group.as_str()),
            _ => {}
        }
    }
    let is_complete = receipts.len() == groups.len();
    let (state, error) = if is_complete {
        (RecipientState::Sent, None)
    } else if absent.len() == groups.len() {
        (RecipientState::Pending, Some(NOT_ACCEPTED.to_owned()))
    } else if receipts.len() > send.receipts.len() {
        (RecipientState::InDoubt, Some("the service's records show it in some of its groups".to_owned()))
    } else {
        return None;
    };
    Some(SendSettlement { id: send.id, intent_at: send.intent_at, state, receipts, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_to_nobody_is_settled_by_no_record() {
        let send = SendDoubt {
            id: 1,
            recipients: r#"{"request":"POST /chatgroups/7/users/bob"}"#.to_owned(),
            fingerprints: Vec::new(),
            receipts: Vec::new(),
            state: RecipientState::InDoubt,
            intent_at: Duration::from_secs(1),
        };
        assert_eq!(send_settlement(&send, &BTreeMap::new()), None);
    }
}
