//! What doubts wait for, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::{HistoryResult, unix_time};
use crate::ledger::{BroadcastId, HistoryRead};
use crate::records::{DoubtState, Hour, UnsettledReason, hours_of};

use super::doubts::{DoubtId, DoubtSet};
use super::history::next_ask_ms;
use super::ms;

/// What the doubts of an app wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    pub broadcasts: BTreeMap<BroadcastId, BroadcastOutlook>,
    /// Single sends by their number.
    pub sends: BTreeMap<i64, BroadcastOutlook>,
    /// The history files that may still settle doubts of a broadcast, in order.
    pub files: BTreeMap<BroadcastId, Vec<AwaitedFile>>,
}

/// A history file that may still settle doubts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwaitedFile {
    /// When its hour began.
    pub hour: Duration,
    /// When it was last requested from the service, and the result.
    pub asked: Option<(Duration, HistoryResult)>,
    /// When it is requested next; `None` if it is not requested again.
    pub next: Option<Duration>,
}

/// What the doubts of a broadcast, or of a single send, wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BroadcastOutlook {
    /// Doubts that a record may still settle.
    pub waiting: u64,
    /// When all of them are settled at the latest, since 1970; `None` if none waits.
    pub until: Option<Duration>,
    /// Doubts that the service did not accept, by its history.
    pub absent: u64,
    /// Doubts that records will probably not settle: a person has to.
    pub open: u64,
    /// Those of `waiting` and `open` that share a record with other sends of the same message.
    pub ambiguous: u64,
}

impl Outlook {
    pub(super) fn new(
        states: &BTreeMap<DoubtId, DoubtState>,
        set: &DoubtSet,
        reads: &[HistoryRead],
        now: Duration,
    ) -> Self {
        let mut outlook = Self { files: awaited_files(states, set, reads, ms(now)), ..Self::default() };
        for (id, state) in states.iter().filter(|(id, _)| set.in_doubt.contains(id)) {
            let entry = match id {
                DoubtId::Recipient(broadcast, _) => outlook.broadcasts.entry(*broadcast).or_default(),
                DoubtId::Send(send, _) => outlook.sends.entry(*send).or_default(),
            };
            entry.add(state);
        }
        outlook
    }
}

fn awaited_files(
    states: &BTreeMap<DoubtId, DoubtState>,
    set: &DoubtSet,
    reads: &[HistoryRead],
    now_ms: i64,
) -> BTreeMap<BroadcastId, Vec<AwaitedFile>> {
    let mut awaited: BTreeMap<BroadcastId, BTreeSet<(Hour, Hour)>> = BTreeMap::new();
    for doubt in set.doubts.iter().filter(|doubt| set.in_doubt.contains(&doubt.id)) {
        let waits = matches!(states.get(&doubt.id), Some(DoubtState::Waiting { until_ms: Some(_), .. }));
        if let (DoubtId::Recipient(broadcast, _), true) = (doubt.id, waits) {
            let hours = || hours_of(doubt.from_ms, doubt.until_ms);
            let Some(last) = hours().next_back() else { continue };
            awaited.entry(broadcast).or_default().extend(hours().map(|hour| (hour, last)));
        }
    }
    let mut files = BTreeMap::new();
    for (broadcast, hours) in awaited {
        let mut of_one: BTreeMap<Hour, AwaitedFile> = BTreeMap::new();
        for (hour, last) in hours {
            let start = unix_time(hour.start_ms());
            let read = reads.iter().find(|read| read.hour == start);
            let next = next_ask_ms(hour, last, read, now_ms).map(unix_time);
            let asked = read.map(|read| (read.read_at, read.result));
            let file = of_one.entry(hour).or_insert(AwaitedFile { hour: start, asked, next });
            file.next = [file.next, next].into_iter().flatten().min();
        }
        files.insert(broadcast, of_one.into_values().collect());
    }
    files
}

impl BroadcastOutlook {
    fn add(&mut self, state: &DoubtState) {
        match state {
            DoubtState::Arrived { .. } => {}
            DoubtState::Absent => self.absent += 1,
            DoubtState::Waiting { reason, until_ms } => {
                self.ambiguous += u64::from(*reason == UnsettledReason::FitsSeveral);
                match until_ms {
                    Some(until) => {
                        self.waiting += 1;
                        self.until = self.until.max(Some(unix_time(*until)));
                    }
                    None => self.open += 1,
                }
            }
        }
    }
}
