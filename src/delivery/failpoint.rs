//! Named points at which a crash test ends the process, as a power cut would.

use std::cell::Cell;
use std::rc::Rc;
use std::str::FromStr;

/// A point at which a crash test can end the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// The call has its permit. The ledger has no record of it yet.
    BeforeIntent,
    /// The intent is on disk. The request is not sent.
    AfterIntent,
    /// The answer has arrived.
    AfterRequest,
    /// The meaning of the answer is known and not recorded.
    BeforeOutcome,
    /// The build of a new plan beside a stored one is about to begin.
    BeforeDraft,
    /// Recipients are about to be added to the new plan.
    InDraft,
    /// The new plan is complete and about to replace the stored plan.
    BeforeReplan,
    /// Within the transaction that replaces the plan.
    InReplan,
    /// The new plan has replaced the stored plan.
    AfterReplan,
    /// A backup is written under a temporary name.
    InBackup,
    /// A restored ledger is complete beside the one that it replaces.
    BeforeRestore,
    /// The replaced ledger is set aside. The restored one is not in its place yet.
    InRestore,
}

impl CrashPoint {
    const ALL: [(&'static str, Self); 12] = [
        ("before-intent", Self::BeforeIntent),
        ("after-intent", Self::AfterIntent),
        ("after-request", Self::AfterRequest),
        ("before-outcome", Self::BeforeOutcome),
        ("before-draft", Self::BeforeDraft),
        ("in-draft", Self::InDraft),
        ("before-replan", Self::BeforeReplan),
        ("in-replan", Self::InReplan),
        ("after-replan", Self::AfterReplan),
        ("in-backup", Self::InBackup),
        ("before-restore", Self::BeforeRestore),
        ("in-restore", Self::InRestore),
    ];
}

/// Ends the process when it passes a point for the n-th time; the default never does. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct FailPoint(Option<(CrashPoint, Rc<Cell<u64>>)>);

/// The error for a text that is not a fail point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not POINT:COUNT, with before-intent, after-intent, after-request, before-outcome, before-draft, in-draft, before-replan, in-replan, after-replan, in-backup, before-restore or in-restore, and a count from 1"
)]
pub struct FailPointError(String);

impl FailPoint {
    /// Ends the process if the count for `point` is reached.
    pub fn pass(&self, point: CrashPoint) {
        let Some((armed, left)) = &self.0 else { return };
        if *armed != point {
            return;
        }
        left.set(left.get().saturating_sub(1));
        if left.get() == 0 {
            std::process::abort();
        }
    }
}

impl FromStr for FailPoint {
    type Err = FailPointError;

    fn from_str(text: &str) -> Result<Self, FailPointError> {
        let wrong = || FailPointError(text.to_owned());
        let (name, count) = text.split_once(':').ok_or_else(wrong)?;
        let point = CrashPoint::ALL.iter().find(|(known, _)| *known == name).ok_or_else(wrong)?.1;
        let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
        Ok(Self(Some((point, Rc::new(Cell::new(count))))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_and_a_count_arm_it() {
        let armed: FailPoint = "after-intent:3".parse().unwrap();
        armed.pass(CrashPoint::BeforeIntent);
        armed.pass(CrashPoint::AfterIntent);
        armed.clone().pass(CrashPoint::AfterIntent);
        assert_eq!(armed.0.unwrap().1.get(), 1);
        for wrong in ["", "after-intent", "after-intent:0", "after-intent:x", "sometime:1"] {
            assert!(wrong.parse::<FailPoint>().is_err(), "{wrong}");
        }
    }
}
