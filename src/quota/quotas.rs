//! The four quotas of an app.

use std::num::NonZeroU32;

use super::acquire::Quota;
use super::settings::{GROUPS_A_CALL, QuotaSettings, SendHistory};
use crate::clock::Clock;
use crate::config::{AppLimits, TargetedCost};

/// The most users that one targeted call may name (seed: 20).
const USERS_A_CALL: u32 = 20;

/// The quotas of one app. Clones are the same quotas.
#[derive(Debug, Clone)]
pub struct Quotas {
    /// Group messages. A call to k groups costs k. The service also counts calls, at the same rate. Every call has at
    /// least one message, so the limit on messages also keeps the limit on calls.
    pub group: Quota,
    /// Targeted calls. A call costs one, or the number of its users, depending on how the service counts for the app.
    pub targeted: Quota,
    /// Uploads of files. Each costs one.
    pub uploads: Quota,
    /// Reads of lists, and recalls. Each costs one.
    pub reads: Quota,
}

impl Quotas {
    /// All four quotas, for display.
    pub fn all(&self) -> [&Quota; 4] {
        [&self.group, &self.targeted, &self.uploads, &self.reads]
    }

    /// The quotas that these limits grant. A limit of 0 counts as 1.
    pub fn new(limits: &AppLimits, clock: &Clock) -> Self {
        Self::of(limits, clock, &SendHistory::Unknown, false)
    }

    /// The same for a service to which nothing was sent before.
    pub fn fresh(limits: &AppLimits, clock: &Clock) -> Self {
        Self::of(limits, clock, &SendHistory::Unused, false)
    }

    /// The same for several processes that share them. No permit is given before slots are lent ([`Quota::lend`]).
    pub fn shared(limits: &AppLimits, clock: &Clock) -> Self {
        // The lender knows which slots earlier processes still hold.
        Self::of(limits, clock, &SendHistory::Unused, true)
    }

    /// Applies other limits from now on. Returns the names of the quotas for which that needs a restart.
    pub fn grant(&self, limits: &AppLimits) -> Vec<&'static str> {
        let rates = [
            limits.group_per_second,
            limits.targeted_per_second,
            limits.upload_per_second,
            limits.read_per_second,
        ];
        let mut refused = Vec::new();
        for (quota, rate) in self.all().into_iter().zip(rates) {
            if !quota.set_rate(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN), limits.share) {
                refused.push(quota.name());
            }
        }
        refused
    }

    fn of(limits: &AppLimits, clock: &Clock, history: &SendHistory, shared: bool) -> Self {
        let users = match limits.targeted_cost {
            TargetedCost::Call => 1,
            // A call with more users than a second's quota could never be sent.
            TargetedCost::User => USERS_A_CALL.min(limits.targeted_per_second),
        };
        let quota = |name, per_second, largest_cost| {
            let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
            let settings = QuotaSettings {
                name,
                per_second: at_least_one(per_second),
                largest_cost: at_least_one(largest_cost),
                share: limits.share,
                history: history.clone(),
                shared,
            };
            Quota::new(settings, clock.clone())
        };
        Self {
            group: quota("group messages", limits.group_per_second, GROUPS_A_CALL),
            targeted: quota("targeted calls", limits.targeted_per_second, users),
            uploads: quota("uploads", limits.upload_per_second, 1),
            reads: quota("reads", limits.read_per_second, 1),
        }
    }
}
