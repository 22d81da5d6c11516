//! What a broadcast waits for.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::instant;
use crate::clock::Clock;
use crate::delivery::{Look, Waits};
use crate::quota::Status;

/// What a broadcast waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitView {
    /// What it is.
    pub kind: WaitKind,
    /// How many seconds it will take, where that is known.
    pub seconds: Option<f64>,
    /// Until when, where that is an instant.
    pub until: Option<String>,
    /// How many calls it concerns, where they are counted.
    pub calls: Option<u64>,
    /// Why, where somebody said so.
    pub note: Option<String>,
}

/// The kinds of waiting, the rarest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitKind {
    /// It is paused, and waits for somebody who resumes it.
    Resume,
    /// Its window is closed.
    Window,
    /// The store does not answer, so nothing is sent.
    Store,
    /// The service cannot be reached.
    Unreachable,
    /// The service fails, and calls are tried again.
    Retry,
    /// The service said when to come back.
    ServiceSaid,
    /// The service has refused calls as too many, and the pace is lowered.
    Throttled,
    /// Its turn in the quota.
    Quota,
    /// Answers of the service.
    Answers,
    /// Other hosts, which send to the rest.
    Hosts,
    /// A process that drives it.
    Driver,
}

impl WaitView {
    /// Nothing but a kind.
    pub(in crate::web) const fn of(kind: WaitKind) -> Self {
        Self { kind, seconds: None, until: None, calls: None, note: None }
    }

    /// What a broadcast that is driven here waits for.
    pub(in crate::web) fn underway(look: &Look, quota: &Status, clock: &Clock) -> Option<Self> {
        let view = match &look.waits_for {
            Some(Waits::Resume(note)) => Self { note: note.clone(), ..Self::of(WaitKind::Resume) },
            Some(Waits::Window(opens)) => Self {
                seconds: Some(opens.saturating_sub(clock.unix_time()).as_secs_f64()),
                until: Some(instant(*opens)),
                ..Self::of(WaitKind::Window)
            },
            Some(Waits::Retry { calls, at, unreachable }) => Self {
                calls: Some(*calls),
                seconds: Some(at.saturating_since(clock.now()).as_secs_f64()),
                ..Self::of(if *unreachable { WaitKind::Unreachable } else { WaitKind::Retry })
            },
            Some(Waits::Store(why)) => Self { note: Some(why.clone()), ..Self::of(WaitKind::Store) },
            Some(Waits::Hosts) => Self::of(WaitKind::Hosts),
            None => {
                if let Some(wait) = quota.resumes_in {
                    Self { seconds: Some(wait.as_secs_f64()), ..Self::of(WaitKind::ServiceSaid) }
                } else if quota.throttled_last_minute > 0 {
                    Self { calls: Some(quota.throttled_last_minute), ..Self::of(WaitKind::Throttled) }
                } else if quota.waiting.iter().any(|waiting| waiting.calls > 0) {
                    Self::of(WaitKind::Quota)
                } else if look.in_flight > 0 {
                    Self { calls: Some(look.in_flight), ..Self::of(WaitKind::Answers) }
                } else {
                    return None;
                }
            }
        };
        Some(view)
    }
}
