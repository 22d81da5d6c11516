//! Decides which sends in doubt arrived, by the service's records.
//!
//! The rules:
//!
//! - A record fits a send if their keys are equal (fingerprint and mark) and the record's time is in the send's window.
//!   So a record with a mark fits only sends with that mark.
//! - One record settles one send. A record that already belongs to a send (`used`) settles none.
//! - A send has arrived if it has a record in each possible assignment of the records to the sends. So two sends that one
//!   record fits stay open; with two records that fit both, both have arrived. Which of the two records belongs to which
//!   send is then unknown and does not matter, as the messages are the same: the earlier send gets the earlier record.
//! - A send is absent only if no record fits it, and the history files of all its hours were read whole, at least 24 hours
//!   after the end of the hour. A record that could be the send's if a clock is wrong prevents this: one with its mark at
//!   any time, as each try has a mark of its own, or one without a mark in the send's hours.
//!
//! The result does not depend on the order of the input. When records come one by one, a send that is settled stays
//! settled: its record is `used` from then on, and the sends that are left keep all other records. A record that fits two
//! sends settles none of them until another record, or the settling of one of them, leaves one possibility.
//!
//! All sends without an outcome belong in the input, those under way included: a record that fits a send under way would
//! otherwise look like that of a send in doubt.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use super::assignment::assign;
use super::{Hour, KEPT_MS, MatchKey, hours_of};

/// Milliseconds by which the service's clock may be ahead of the host's. The caller has to add them to the end of a window.
pub const CLOCK_SKEW_MS: i64 = 60 * 1000;

/// A send without an outcome, to one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt<I> {
    /// The caller's id of the send, unique in one call.
    pub id: I,
    pub key: MatchKey,
    /// When the intent was written, in milliseconds since 1970-01-01T00:00:00Z.
    pub from_ms: i64,
    /// The end of the window: the intent, the request's timeout and [`CLOCK_SKEW_MS`].
    pub until_ms: i64,
    /// The id of the group.
    pub sent_to: String,
}

/// A record of the service, seen in a callback or in a history file. The same message may be given several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSighting {
    pub message_id: String,
    /// The id of the group.
    pub group: String,
    pub key: MatchKey,
    /// Milliseconds since 1970-01-01T00:00:00Z, by the service's clock.
    pub at_ms: i64,
    /// Whether the message belongs to a send whose outcome is known, which has its message id.
    pub used: bool,
}

/// A history file that was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryFile {
    pub hour: Hour,
    /// When the service was asked for the file, in milliseconds since 1970-01-01T00:00:00Z.
    pub asked_at_ms: i64,
    /// [`HistorySummary::proves_absence`](super::HistorySummary::proves_absence).
    pub proves_absence: bool,
}

/// What the records prove about a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoubtState {
    /// The service accepted the message.
    Arrived { message_id: String },
    /// The service did not accept the message.
    Absent,
    /// Nothing is proven yet.
    Waiting {
        reason: UnsettledReason,
        /// When the records can settle the send at the latest, in milliseconds since 1970-01-01T00:00:00Z. None if they
        /// probably never will, so that a person has to.
        until_ms: Option<i64>,
    },
}

/// Why a send is not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsettledReason {
    /// No record was seen, and the history of the send's hours is not complete yet.
    NoRecordYet,
    /// No record was seen, and the complete history of the send's hours was not read whole.
    HistoryUnread,
    /// There are fewer records than sends that they fit.
    FitsSeveral,
    /// A record that fits otherwise is not in the window, as if the host's or the service's clock were wrong.
    OutsideWindow,
    /// A record to the same group has the send's mark and other contents.
    OtherContents,
}

/// Decides about each send. `now_ms` is in milliseconds since 1970-01-01T00:00:00Z.
pub fn settle<I: Clone + Ord + Hash>(
    doubts: &[Doubt<I>],
    records: &[RecordSighting],
    files: &[HistoryFile],
    now_ms: i64,
) -> BTreeMap<I, DoubtState> {
    let complete: HashSet<Hour> = files
        .iter()
        .filter(|file| file.proves_absence && file.asked_at_ms >= file.hour.complete_ms())
        .map(|file| file.hour)
        .collect();
    let mut alike: HashMap<&MatchKey, Vec<&Doubt<I>>> = HashMap::new();
    for doubt in doubts {
        alike.entry(&doubt.key).or_default().push(doubt);
    }
    let seen = SeenRecords::new(records);
    let mut states = BTreeMap::new();
    for (key, mut doubts) in alike {
        doubts.sort_by(|a, b| (a.from_ms, a.until_ms, &a.id).cmp(&(b.from_ms, b.until_ms, &b.id)));
        let messages = seen.with_key(key);
        let fits: Vec<Vec<usize>> =
            doubts.iter().map(|doubt| positions(&messages, doubt.from_ms, doubt.until_ms)).collect();
        let certain = assign(&fits, messages.len());
        let settled: HashSet<usize> = certain.iter().copied().flatten().collect();
        for ((doubt, fits), certain) in doubts.into_iter().zip(fits).zip(certain) {
            let outside = possible_positions(&messages, doubt);
            let state = if let Some(record) = certain {
                DoubtState::Arrived { message_id: messages[record].id.to_owned() }
            } else if !fits.is_empty() {
                waiting(doubt, UnsettledReason::FitsSeveral, now_ms)
            } else if seen.has_other_contents(doubt) {
                DoubtState::Waiting { reason: UnsettledReason::OtherContents, until_ms: None }
            } else if outside.iter().any(|record| !settled.contains(record)) {
                waiting(doubt, UnsettledReason::OutsideWindow, now_ms)
            } else if hours_of(doubt.from_ms, doubt.until_ms).all(|hour| complete.contains(&hour)) {
                DoubtState::Absent
            } else {
                waiting(doubt, UnsettledReason::NoRecordYet, now_ms)
            };
            states.insert(doubt.id.clone(), state);
        }
    }
    states
}

/// Returns the state of a send that is not settled: until its history is complete, then as long as the service keeps it.
fn waiting<I>(doubt: &Doubt<I>, reason: UnsettledReason, now_ms: i64) -> DoubtState {
    let mut hours = hours_of(doubt.from_ms, doubt.until_ms);
    let first = hours.next().unwrap_or_else(|| Hour::of(doubt.from_ms));
    let complete_ms = hours.next_back().unwrap_or(first).complete_ms();
    let kept_ms = first.start_ms() + KEPT_MS;
    let (reason, until_ms) = match reason {
        UnsettledReason::NoRecordYet if now_ms >= complete_ms => {
            (UnsettledReason::HistoryUnread, (now_ms < kept_ms).then_some(kept_ms))
        }
        _ => (reason, (now_ms < complete_ms).then_some(complete_ms)),
    };
    DoubtState::Waiting { reason, until_ms }
}

/// A message of which records were seen.
struct SeenMessage<'record> {
    id: &'record str,
    /// The times of its records, which differ between a callback and a history file.
    at_ms: Vec<i64>,
}

/// Returns which messages have a record from `from_ms` to `until_ms`.
fn positions(messages: &[SeenMessage<'_>], from_ms: i64, until_ms: i64) -> Vec<usize> {
    let is_within =
        |message: &SeenMessage<'_>| message.at_ms.iter().any(|at| (from_ms..=until_ms).contains(at));
    (0..messages.len()).filter(|position| is_within(&messages[*position])).collect()
}

/// Returns which messages could be the send's if a clock is wrong.
fn possible_positions<I>(messages: &[SeenMessage<'_>], doubt: &Doubt<I>) -> Vec<usize> {
    if doubt.key.mark.is_some() {
        return (0..messages.len()).collect();
    }
    let mut hours = hours_of(doubt.from_ms, doubt.until_ms);
    let first = hours.next().unwrap_or_else(|| Hour::of(doubt.from_ms));
    let last = hours.next_back().unwrap_or(first);
    positions(messages, first.start_ms(), last.end_ms().saturating_sub(1))
}

/// The records that belong to no send yet.
struct SeenRecords<'record> {
    by_key: HashMap<&'record MatchKey, Vec<&'record RecordSighting>>,
    by_mark: HashMap<(&'record str, &'record str), Vec<&'record RecordSighting>>,
}

impl<'record> SeenRecords<'record> {
    fn new(records: &'record [RecordSighting]) -> Self {
        let used: HashSet<&str> =
            records.iter().filter(|record| record.used).map(|record| record.message_id.as_str()).collect();
        let mut seen = Self { by_key: HashMap::new(), by_mark: HashMap::new() };
        for record in records.iter().filter(|record| !used.contains(record.message_id.as_str())) {
            seen.by_key.entry(&record.key).or_default().push(record);
            if let Some(mark) = &record.key.mark {
                seen.by_mark.entry((&record.group, mark)).or_default().push(record);
            }
        }
        seen
    }

    /// Returns the messages with this key, the earliest first.
    fn with_key(&self, key: &MatchKey) -> Vec<SeenMessage<'record>> {
        let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for record in self.by_key.get(key).into_iter().flatten() {
            times.entry(&record.message_id).or_default().push(record.at_ms);
        }
        let mut messages: Vec<_> = times.into_iter().map(|(id, at_ms)| SeenMessage { id, at_ms }).collect();
        messages.sort_by_key(|message| (message.at_ms.iter().min().copied(), message.id));
        messages
    }

    /// Whether a record has the mark of a send to the same group, and not its fingerprint.
    fn has_other_contents<I>(&self, doubt: &Doubt<I>) -> bool {
        let Some(mark) = doubt.key.mark.as_deref() else { return false };
        let mut marked = self.by_mark.get(&(doubt.sent_to.as_str(), mark)).into_iter().flatten();
        marked.any(|record| record.key.fingerprint != doubt.key.fingerprint)
    }
}
