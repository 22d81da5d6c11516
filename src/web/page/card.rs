//! A broadcast as a card: a bar by state, and its actions.

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::control::BroadcastAction;
use crate::control::BroadcastView;
use crate::ledger::{RecipientCounts, RecipientState};

/// The length of a bar.
const LENGTH: u64 = 1_000;

/// The minimum length of a segment, so that even one recipient is visible.
const LEAST: u64 = 6;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct BarSegment {
    pub(super) state: &'static str,
    pub(super) count: u64,
    pub(super) x: u64,
    pub(super) width: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct BroadcastCard {
    #[serde(flatten)]
    view: BroadcastView,
    bar: Vec<BarSegment>,
    /// The percentage of settled recipients.
    percent: u64,
    acts: Vec<BroadcastAction>,
}

impl BroadcastCard {
    pub(super) fn of(view: &BroadcastView) -> Self {
        let counts = view.counts;
        let settled = counts.total() - counts.pending - counts.sending;
        Self {
            bar: bar(&counts),
            percent: (settled * 100).checked_div(counts.total()).unwrap_or_default(),
            acts: BroadcastAction::sensible(view),
            view: view.clone(),
        }
    }

    /// The card as a template value.
    pub(super) fn value(view: &BroadcastView) -> Value {
        Value::from(Serde(Self::of(view)))
    }
}

/// The segments of a bar, finished states first, each long enough to be visible.
fn bar(counts: &RecipientCounts) -> Vec<BarSegment> {
    let order = [
        RecipientState::Sent,
        RecipientState::Rejected,
        RecipientState::InDoubt,
        RecipientState::Skipped,
        RecipientState::Cancelled,
        RecipientState::Sending,
        RecipientState::Pending,
    ];
    let total = counts.total();
    let there: Vec<(RecipientState, u64)> =
        order.into_iter().map(|state| (state, counts.of(state))).filter(|(_, count)| *count > 0).collect();
    let mut widths: Vec<u64> = there.iter().map(|(_, count)| (count * LENGTH / total).max(LEAST)).collect();
    let sum: u64 = widths.iter().sum();
    if let Some(longest) = widths.iter_mut().max() {
        *longest = (*longest + LENGTH).saturating_sub(sum);
    }
    let mut x = 0;
    let piece = |((state, count), width): ((RecipientState, u64), u64)| {
        let piece = BarSegment { state: state.name(), count, x, width };
        x += width;
        piece
    };
    there.into_iter().zip(widths).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_whole_and_shows_the_few_too() {
        let counts = RecipientCounts {
            pending: 60_000,
            sent: 39_998,
            rejected: 1,
            in_doubt: 1,
            ..RecipientCounts::default()
        };
        let bar = bar(&counts);
        let states: Vec<&str> = bar.iter().map(|piece| piece.state).collect();
        assert_eq!(states, ["sent", "rejected", "in_doubt", "pending"]);
        assert!(bar.iter().all(|piece| piece.width >= LEAST));
        let last = bar.last().unwrap();
        assert_eq!(last.x + last.width, LENGTH);
        assert!(super::bar(&RecipientCounts::default()).is_empty());
    }
}
