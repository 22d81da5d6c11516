//! Verifies by the service's records that the sent messages of a broadcast were accepted and not stopped.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::HistoryResult;
use crate::ledger::{BroadcastId, VerifiedState};
use crate::records::{CLOCK_SKEW_MS, Hour, KEPT_MS, hours_of};

use super::doubts::DoubtSet;
use super::history::WantedRecords;
use super::{Ask, HistoryError, ReconcileError, ReconcileTarget, Reconciler, ms};

/// The messages that are read from the ledger at once.
const PAGE: u32 = 500;

/// The missing messages that a verification names.
const NAMED: usize = 20;

/// Which sent messages of a broadcast the service has a record of. Recalled messages are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// Messages with a record.
    pub verified: u64,
    /// Messages without one in the complete history: most likely the service's moderation stopped them.
    pub missing: u64,
    /// Messages of which nothing is known yet.
    pub unknown: u64,
    /// When the history of the unknown ones is complete, in milliseconds since 1970; None if nothing more will be known.
    pub until_ms: Option<i64>,
    /// The groups of the first 20 missing messages.
    pub first_missing: Vec<String>,
}

impl Verification {
    /// Whether another verification would say the same.
    pub const fn is_final(&self) -> bool {
        self.unknown == 0 || self.until_ms.is_none()
    }

    /// Reads the verification of a broadcast from its stored report.
    pub fn of_report(report: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Stored {
            verification: Option<Verification>,
        }
        serde_json::from_str::<Stored>(report).ok()?.verification
    }
}

/// A sent message whose record was not seen yet.
struct UnseenMessage {
    seq: i64,
    group: String,
    hours: Vec<Hour>,
}

impl Reconciler {
    /// Verifies the sent messages of a broadcast, by the stored records and, with another `ask` than [`Ask::Nothing`], by
    /// the history files of all hours that have ended. Waits for the turn of each file.
    ///
    /// # Errors
    ///
    /// [`ReconcileError`]. A file that cannot be read is logged, and its messages are unknown.
    pub async fn verify(
        &self,
        target: ReconcileTarget<'_>,
        id: BroadcastId,
        ask: Ask,
    ) -> Result<Verification, ReconcileError> {
        let mut result = Verification { at_ms: self.now_ms(), ..Verification::default() };
        let mut unseen = self.unseen(target, id, &mut result).await?;
        let hours: BTreeSet<Hour> = unseen.values().flat_map(|one| one.hours.iter().copied()).collect();
        let mut read = HashSet::new();
        for hour in hours {
            let now = self.now_ms();
            if ask == Ask::Nothing || hour.end_ms() > now || now >= hour.start_ms() + KEPT_MS {
                continue;
            }
            let wanted = self.wanted(target, &unseen, hour).await?;
            match self.read_hour(target, hour, Ask::Now, &wanted).await {
                Ok(Some(found)) => {
                    let found: Vec<i64> =
                        found.iter().filter_map(|id| Some(unseen.remove(id)?.seq)).collect();
                    result.verified += found.len() as u64;
                    target.ledger.mark_verified(id, VerifiedState::Verified, &found).await?;
                    read.insert(hour);
                }
                Ok(None) => {}
                Err(HistoryError::Ledger(error)) => return Err(error.into()),
                Err(HistoryError::Call(error)) => tracing::warn!(app = self.name, "{error}"),
            }
        }
        let reads = self.reads(target).await?;
        let complete = |hour: &Hour| {
            let whole = reads.get(&hour.start_ms()).filter(|one| one.result == HistoryResult::Whole);
            read.contains(hour) && whole.is_some_and(|one| ms(one.read_at) >= hour.complete_ms())
        };
        let (mut missing, mut unknown) = (Vec::new(), Vec::new());
        let mut unseen: Vec<UnseenMessage> = unseen.into_values().collect();
        unseen.sort_unstable_by_key(|one| one.seq);
        for one in &unseen {
            if one.hours.iter().all(complete) {
                missing.push(one.seq);
                if result.first_missing.len() < NAMED {
                    result.first_missing.push(one.group.clone());
                }
            } else {
                unknown.push(one.seq);
                result.until_ms = result.until_ms.max(known_until(&one.hours, self.now_ms()));
            }
        }
        target.ledger.mark_verified(id, VerifiedState::Missing, &missing).await?;
        target.ledger.mark_verified(id, VerifiedState::Unknown, &unknown).await?;
        (result.missing, result.unknown) = (missing.len() as u64, unknown.len() as u64);
        Ok(result)
    }

    /// Returns the sent messages without a stored record, by their id, and counts the others.
    async fn unseen(
        &self,
        target: ReconcileTarget<'_>,
        id: BroadcastId,
        result: &mut Verification,
    ) -> Result<BTreeMap<String, UnseenMessage>, ReconcileError> {
        let (mut unseen, mut after) = (BTreeMap::new(), 0);
        loop {
            let page = target.ledger.sent_receipts(id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(unseen) };
            after = last.seq;
            let ids: Vec<String> = page.iter().map(|one| one.message_id.clone()).collect();
            let known = target.ledger.records_of(target.app, &ids).await?;
            let known: HashSet<&str> = known.iter().map(|record| record.message_id.as_str()).collect();
            let mut newly_verified = Vec::new();
            for one in &page {
                // Records are deleted after some days; what was verified stays so.
                let before = one.verified == VerifiedState::Verified;
                if before || known.contains(one.message_id.as_str()) {
                    result.verified += 1;
                    if !before {
                        newly_verified.push(one.seq);
                    }
                    continue;
                }
                // The outcome was written up to a timeout after the service took the message.
                let (from, until) =
                    (ms(one.sent_at.saturating_sub(self.window)), ms(one.sent_at) + CLOCK_SKEW_MS);
                let hours = hours_of(from, until).collect();
                unseen.insert(
                    one.message_id.clone(),
                    UnseenMessage { seq: one.seq, group: one.group_id.clone(), hours },
                );
            }
            target.ledger.mark_verified(id, VerifiedState::Verified, &newly_verified).await?;
        }
    }

    /// The records that are wanted of an hour. Those of doubts are among them, so that the read counts for these too.
    async fn wanted(
        &self,
        target: ReconcileTarget<'_>,
        unseen: &BTreeMap<String, UnseenMessage>,
        hour: Hour,
    ) -> Result<Arc<WantedRecords>, ReconcileError> {
        let set = DoubtSet::new(&target.ledger.doubts(target.app, true).await?, self.window);
        let of_hour = unseen.iter().filter(|(_, one)| one.hours.contains(&hour));
        Ok(Arc::new(WantedRecords {
            fingerprints: set.doubts.iter().map(|doubt| doubt.key.fingerprint).collect(),
            marks: set.marks().into_iter().collect(),
            message_ids: of_hour.map(|(id, _)| id.clone()).collect(),
        }))
    }
}

/// When the history of a message is complete, or as long as the service keeps it.
fn known_until(hours: &[Hour], now_ms: i64) -> Option<i64> {
    let complete = hours.last()?.complete_ms();
    let kept = hours.first()?.start_ms() + KEPT_MS;
    [complete, kept].into_iter().find(|until| now_ms < *until)
}
