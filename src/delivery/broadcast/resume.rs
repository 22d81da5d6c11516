//! Goes on with a broadcast whose plan an earlier process fixed. With `preflight`, the groups that are left are looked up
//! again first: some may have gone since.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::{GroupFindings, RequestFailure};
use crate::ledger::{BroadcastCommand, DriverPause, Lease, Ledger, LedgerError, PlannedGroup, StoredSpec};

use super::super::Delivery;
use super::{BroadcastProgress, BroadcastSummary, DriveEnd, DriveResult, LEASE};

/// The most groups that are looked up between two renewals of the lease: as many as go into the calls at once.
const PAGE: u32 = 2_500;

/// Why a group gets no message.
const MISSING: &str = "the group does not exist";
const DISABLED: &str = "the group is disabled";

impl Delivery {
    /// As [`Delivery::drive`], for a broadcast whose plan an earlier process fixed.
    ///
    /// # Errors
    ///
    /// Those of [`Delivery::drive`].
    pub async fn resume(
        &self,
        ledger: &Ledger,
        lease: Lease,
        spec: &StoredSpec,
        stop: &CancellationToken,
        watch: &BroadcastProgress,
    ) -> Result<DriveResult, LedgerError> {
        if spec.preflight && self.transport.is_none() {
            match self.look_up_again(ledger, lease, stop).await? {
                Err(failure) if !stop.is_cancelled() => {
                    let why = format!("its groups could not be looked up again: {}", failure.message);
                    if let Some(paused) = self.pause_before(ledger, lease, why).await? {
                        return Ok(paused);
                    }
                }
                // The driver ends at once if it is to stop.
                _ => {}
            }
        }
        self.drive(ledger, lease, spec, stop, watch).await
    }

    /// Looks up the groups of the pending recipients. Those that do not exist or are disabled are skipped. Does nothing while
    /// another host sends it, or if nothing is to be sent.
    async fn look_up_again(
        &self,
        ledger: &Ledger,
        lease: Lease,
        stop: &CancellationToken,
    ) -> Result<Result<(), RequestFailure>, LedgerError> {
        let broadcast = ledger.show(lease.broadcast).await?;
        if broadcast.command == BroadcastCommand::Cancel || broadcast.counts.pending == 0 {
            return Ok(Ok(()));
        }
        let (mut findings, mut after) = (GroupFindings::default(), 0);
        loop {
            if ledger.has_other_drivers(lease).await? {
                return Ok(Ok(()));
            }
            let page = ledger.planned_groups(lease.broadcast, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            if let Err(failure) = self.look_up_page(ledger, lease, &page, &mut findings, stop).await? {
                return Ok(Err(failure));
            }
            ledger.renew(lease, LEASE).await?;
        }
        let name = broadcast.full_name();
        if let Some(problem) = findings.problem() {
            tracing::warn!(
                "broadcast {name}: looked up again before it goes on: {problem}; no message is sent there"
            );
        }
        if let Some(warning) = findings.warning() {
            tracing::warn!("broadcast {name}: looked up again before it goes on: {warning}");
        }
        ledger.keep_findings(lease.broadcast, findings).await?;
        Ok(Ok(()))
    }

    /// Looks up the groups of some recipients, and skips those that get no message.
    async fn look_up_page(
        &self,
        ledger: &Ledger,
        lease: Lease,
        page: &[PlannedGroup],
        findings: &mut GroupFindings,
        stop: &CancellationToken,
    ) -> Result<Result<(), RequestFailure>, LedgerError> {
        let mut groups: BTreeMap<String, bool> = BTreeMap::new();
        let mut seqs: HashMap<&str, Vec<i64>> = HashMap::new();
        for group in page {
            *groups.entry(group.group_id.clone()).or_default() |= group.asks_receipts;
            seqs.entry(&group.group_id).or_default().push(group.seq);
        }
        let groups: Vec<(String, bool)> = groups.into_iter().collect();
        let unreachable = match self.look_up_groups(&groups, findings, stop).await {
            Ok(unreachable) => unreachable,
            Err(failure) => return Ok(Err(failure)),
        };
        let of = |ids: &[String]| -> Vec<i64> {
            ids.iter().filter_map(|id| seqs.get(id.as_str())).flatten().copied().collect()
        };
        let skipped = [(MISSING, of(&unreachable.missing)), (DISABLED, of(&unreachable.disabled))];
        let skipped = skipped.into_iter().filter(|(_, seqs)| !seqs.is_empty());
        let skipped = skipped.map(|(why, seqs)| (why.to_owned(), seqs)).collect();
        ledger.skip_unreachable(lease, &skipped).await?;
        Ok(Ok(()))
    }

    /// Pauses a broadcast before anything of it is sent now. If a person paused it meanwhile, that pause stays in effect.
    /// `None` if a command cancelled it.
    async fn pause_before(
        &self,
        ledger: &Ledger,
        lease: Lease,
        why: String,
    ) -> Result<Option<DriveResult>, LedgerError> {
        if ledger.pause_by_itself(lease.broadcast, &why).await? == DriverPause::Ending {
            return Ok(None);
        }
        let broadcast = ledger.show(lease.broadcast).await?;
        ledger.release(lease).await?;
        let report = BroadcastSummary::new(&broadcast, &broadcast.counts, 0, Duration::ZERO);
        Ok(Some(DriveResult { end: DriveEnd::Paused(why), report }))
    }
}
