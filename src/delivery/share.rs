//! Shares a quota's slots with the other processes on the ledger.
//!
//! While permits of a quota are requested, one task claims slots from the ledger, several times before each claim
//! expires. A second after the last message it gives them back. A process that is killed or hangs loses its slots when
//! its claim expires. A process must not use the slots of an expired claim. So the claim's end counts from before the
//! request for it, on the monotonic clock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Delivery;
use crate::clock::Clock;
use crate::core::RequestFailure;
use crate::ledger::{AppId, Instance, Ledger, LedgerError, QuotaClaim};
use crate::quota::{Demand, LentSlots, Quota};

#[cfg(test)]
mod tests;

/// How long a claim is valid.
const LEASE: Duration = Duration::from_secs(1);
/// How often a claim is renewed.
const RENEW: Duration = Duration::from_millis(250);
/// How often a process with too few slots claims again.
const AGAIN: Duration = Duration::from_millis(100);

/// The claiming tasks, by the names of the quotas in the ledger.
#[derive(Debug, Default)]
pub(super) struct QuotaLeases(RefCell<HashMap<String, JoinHandle<()>>>);

impl QuotaLeases {
    fn keeps(&self, name: &str) -> bool {
        self.0.borrow().get(name).is_some_and(|renewal| !renewal.is_finished())
    }
}

impl Drop for QuotaLeases {
    fn drop(&mut self) {
        self.0.borrow().values().for_each(JoinHandle::abort);
    }
}

/// Claims slots of one quota for one process.
#[derive(Debug, Clone)]
pub(super) struct QuotaClaimer {
    pub(super) ledger: Ledger,
    pub(super) instance: Instance,
    pub(super) app: AppId,
    /// The quota's name in the ledger.
    pub(super) name: String,
    pub(super) quota: Quota,
    pub(super) clock: Clock,
}

impl Delivery {
    /// Starts the task that claims slots for a shared quota, unless it runs. `name` is the quota's name in the ledger.
    pub(super) async fn share_as(&self, name: &str, quota: &Quota) -> Result<(), RequestFailure> {
        if !quota.is_shared() || self.quota_leases.keeps(name) {
            return Ok(());
        }
        if let Some(claimant) = Box::pin(self.claimant(name, quota)).await?
            && !self.quota_leases.keeps(name)
        {
            let renewal = tokio::spawn(claimant.renew_claims());
            self.quota_leases.0.borrow_mut().insert(name.to_owned(), renewal);
        }
        Ok(())
    }

    async fn claimant(&self, name: &str, quota: &Quota) -> Result<Option<QuotaClaimer>, RequestFailure> {
        Ok(self.entry().await?.map(|(open, app)| QuotaClaimer {
            ledger: open.ledger.clone(),
            instance: open.instance.clone(),
            app,
            name: name.to_owned(),
            quota: quota.clone(),
            clock: self.clock.clone(),
        }))
    }

    /// Gives back the slots of all quotas, so that the next process need not wait until the claims expire, and writes
    /// the last activity to the ledger. The caller sends nothing for a moment after this.
    pub async fn release(&self) {
        self.write_remaining().await;
        let mut quotas: Vec<(String, Quota)> = self.own_quotas.borrow().clone().into_iter().collect();
        quotas.extend(self.quotas.all().into_iter().map(|quota| (quota.name().to_owned(), quota.clone())));
        for (name, quota) in quotas {
            let renewal = self.quota_leases.0.borrow_mut().remove(&name);
            let Some(renewal) = renewal else { continue };
            renewal.abort();
            // The task must not claim again after the slots are given back.
            let _ = renewal.await;
            if let Ok(Some(claimant)) = self.claimant(&name, &quota).await
                && let Err(error) = claimant.give_back().await
            {
                tracing::debug!(
                    "could not release this process's share of the quota; it expires soon: {error}"
                );
            }
        }
    }
}

impl QuotaClaimer {
    /// Claims slots whenever permits are requested, for as long as the process runs.
    pub(super) async fn renew_claims(self) {
        loop {
            self.quota.wanted().await;
            let mut failing = false;
            let mut slots = 0;
            loop {
                let demand = self.quota.demand();
                if demand.need == 0 {
                    break;
                }
                match self.claim(demand, slots).await {
                    Ok((mine, again)) => {
                        slots = mine;
                        failing = false;
                        self.clock.sleep(again).await;
                    }
                    Err(error) => {
                        if !failing {
                            tracing::warn!(
                                "could not claim a share of the quota, so nothing is sent: {error}"
                            );
                        }
                        failing = true;
                        self.clock.sleep(RENEW).await;
                    }
                }
            }
            if slots > 0
                && let Err(error) = self.give_back().await
            {
                tracing::debug!(
                    "could not release this process's share of the quota; it expires soon: {error}"
                );
            }
        }
    }

    /// Makes one claim. Returns the slots that it brought, and when to claim again.
    async fn claim(&self, demand: Demand, slots: u32) -> Result<(u32, Duration), LedgerError> {
        let until = self.clock.now() + LEASE;
        let share = self.ledger.claim_slots(&self.instance, self.ask(demand, demand.need, slots)).await?;
        // The smaller number applies at once; the next claim writes it to the ledger.
        let mine = share.slots.min(share.fair);
        self.quota.lend(LentSlots { slots: mine, until });
        let again = if mine < share.slots {
            Duration::from_millis(1)
        } else if mine < demand.need {
            AGAIN
        } else {
            RENEW
        };
        Ok((mine, again))
    }

    async fn give_back(&self) -> Result<(), LedgerError> {
        self.quota.lend(LentSlots { slots: 0, until: self.clock.now() });
        let demand = self.quota.demand();
        self.ledger.claim_slots(&self.instance, self.ask(demand, 0, 0)).await.map(drop)
    }

    fn ask(&self, demand: Demand, need: u32, keep: u32) -> QuotaClaim<'_> {
        QuotaClaim {
            app: self.app,
            quota: &self.name,
            total: demand.total,
            need,
            least: demand.least,
            keep,
            used: demand.used,
            pace: demand.pace,
            weight: demand.weight,
            lease: LEASE,
            cool: demand.cool,
        }
    }
}
