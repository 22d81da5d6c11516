//! The quotas of an app.

use std::num::NonZeroU32;

use super::acquire::Quota;
use super::settings::{GROUPS_A_CALL, QuotaPeriod, QuotaSettings, SendHistory};
use crate::clock::Clock;
use crate::config::{AppLimits, TargetedCost};
use crate::core::Call;

/// The most users that one targeted call may name (vendor's page: 20).
const USERS_A_CALL: u32 = 20;

/// The most users that one call to users may name (contract: 600).
const RECIPIENT_USERS_A_CALL: u32 = 600;

/// The most rooms that one room call may name (contract: 10).
const ROOMS_A_CALL: u32 = 10;

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
    /// Reads of lists, recalls and announcements. Each costs one. The ledger holds the limits of announcements.
    pub reads: Quota,
    /// Edits of sent messages. Each costs one.
    pub edits: Quota,
    /// Messages to users, over a minute. A call to k users costs k.
    pub user_messages: Quota,
    /// Calls to users. Each costs one.
    pub user_calls: Quota,
    /// Messages to rooms. A call to k rooms costs k.
    pub room_messages: Quota,
    /// Calls to rooms. Each costs one. `None` if the settings limit only the messages.
    pub room_calls: Option<Quota>,
}

impl Quotas {
    /// All quotas, for display.
    pub fn all(&self) -> Vec<&Quota> {
        let always = [
            &self.group,
            &self.targeted,
            &self.uploads,
            &self.reads,
            &self.edits,
            &self.user_messages,
            &self.user_calls,
            &self.room_messages,
        ];
        always.into_iter().chain(&self.room_calls).collect()
    }

    /// The quota that a call takes the permits for its messages from.
    pub fn of_call(&self, call: Call) -> &Quota {
        match call {
            Call::Group => &self.group,
            Call::Targeted => &self.targeted,
            Call::Edit => &self.edits,
            Call::User => &self.user_messages,
            Call::Room => &self.room_messages,
            Call::Announce => &self.reads,
        }
    }

    /// The quota that counts such calls beside their messages; `None` if there is none.
    pub fn counting_calls(&self, call: Call) -> Option<&Quota> {
        match call {
            Call::User => Some(&self.user_calls),
            Call::Room => self.room_calls.as_ref(),
            Call::Group | Call::Targeted | Call::Edit | Call::Announce => None,
        }
    }

    /// The quotas that these limits grant. A limit of 0 counts as 1.
    pub fn new(limits: &AppLimits, clock: &Clock) -> Self {
        Self::of(limits, clock, &SendHistory::Unknown, false)
    }

    /// The same for a service to which nothing was sent before.
    pub fn fresh(limits: &AppLimits, clock: &Clock) -> Self {
        Self::of(limits, clock, &SendHistory::Unused, false)
    }

    /// A quota beside these, of `rate` calls a second. It is shared with other processes if these are.
    pub fn own(&self, rate: NonZeroU32, share: f64, clock: Clock) -> Quota {
        let shared = self.reads.is_shared();
        let history = if shared { SendHistory::Unused } else { SendHistory::Unknown };
        let settings = QuotaSettings { share, history, shared, ..QuotaSettings::new("requests", rate) };
        Quota::new(settings, clock)
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
            limits.edit_per_second,
            limits.user_messages_per_minute,
            limits.user_calls_per_second,
            limits.room_messages_per_second,
            limits.room_calls_per_second,
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
        let quota_over = |name, period, limit, largest_cost: u32| {
            let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
            let settings = QuotaSettings {
                name,
                period,
                limit: at_least_one(limit),
                largest_cost: at_least_one(largest_cost),
                share: limits.share,
                history: history.clone(),
                shared,
            };
            Quota::new(settings, clock.clone())
        };
        let quota = |name, limit, largest_cost| quota_over(name, QuotaPeriod::Second, limit, largest_cost);
        Self {
            group: quota("group messages", limits.group_per_second, GROUPS_A_CALL),
            targeted: quota("targeted calls", limits.targeted_per_second, users),
            uploads: quota("uploads", limits.upload_per_second, 1),
            reads: quota("reads", limits.read_per_second, 1),
            edits: quota("edits", limits.edit_per_second, 1),
            user_messages: quota_over(
                "user messages",
                QuotaPeriod::Minute,
                limits.user_messages_per_minute,
                RECIPIENT_USERS_A_CALL,
            ),
            user_calls: quota("user calls", limits.user_calls_per_second, 1),
            room_messages: quota("room messages", limits.room_messages_per_second, ROOMS_A_CALL),
            room_calls: (limits.room_calls_per_second > 0)
                .then(|| quota("room calls", limits.room_calls_per_second, 1)),
        }
    }
}
