//! The rules of matching, case by case.

use std::collections::BTreeMap;

use crate::records::{
    Doubt, DoubtState, Fingerprint, HistoryFile, Hour, MatchKey, RecordSighting, UnsettledReason, settle,
};

const HOUR: i64 = 60 * 60 * 1000;
/// The start of an hour.
const T: i64 = 500_000 * HOUR;
/// When all histories of the tests are complete.
const LATER: i64 = T + 30 * HOUR;

pub(super) fn key(content: u8, mark: Option<&str>) -> MatchKey {
    MatchKey { fingerprint: Fingerprint::from_bytes([content; 16]), mark: mark.map(str::to_owned) }
}

/// A send of content 1 whose window is from `from` to `until` seconds after T + 10 minutes.
fn doubt(id: u32, from: i64, until: i64) -> Doubt<u32> {
    let at = |seconds: i64| T + 600_000 + seconds * 1000;
    Doubt { id, key: key(1, None), from_ms: at(from), until_ms: at(until), sent_to: "g1".to_owned() }
}

fn seen(id: &str, at: i64) -> RecordSighting {
    RecordSighting {
        message_id: id.to_owned(),
        group: "g1".to_owned(),
        key: key(1, None),
        at_ms: T + 600_000 + at * 1000,
        used: false,
    }
}

fn whole() -> HistoryFile {
    HistoryFile { hour: Hour::of(T), asked_at_ms: T + 25 * HOUR, proves_absence: true }
}

fn arrived(id: &str) -> DoubtState {
    DoubtState::Arrived { message_id: id.to_owned() }
}

/// The reason of each send that waits; None for the others.
fn reasons(states: &BTreeMap<u32, DoubtState>) -> Vec<Option<UnsettledReason>> {
    let reason = |state: &DoubtState| match state {
        DoubtState::Waiting { reason, .. } => Some(*reason),
        _ => None,
    };
    states.values().map(reason).collect()
}

#[test]
fn a_record_in_the_window_proves_arrival_at_once() {
    let doubts = [doubt(1, 0, 90)];
    for at in [0, 45, 90] {
        assert_eq!(settle(&doubts, &[seen("m1", at)], &[], T)[&1], arrived("m1"));
    }
    let record = seen("m1", 91);
    assert_eq!(reasons(&settle(&doubts, &[record], &[], T)), [Some(UnsettledReason::OutsideWindow)]);
    let used = RecordSighting { used: true, ..seen("m1", 5) };
    assert_eq!(settle(&doubts, &[used.clone(), seen("m1", 5)], &[whole()], LATER)[&1], DoubtState::Absent);
    let others = RecordSighting { key: key(2, None), ..seen("m1", 5) };
    assert_eq!(settle(&doubts, &[others], &[whole()], LATER)[&1], DoubtState::Absent);
}

#[test]
fn only_a_complete_and_whole_history_of_all_hours_proves_absence() {
    let end = T + HOUR + 24 * HOUR;
    let waits = |reason, until_ms| DoubtState::Waiting { reason, until_ms };
    let inside = [doubt(1, 0, 90)];
    assert_eq!(settle(&inside, &[], &[whole()], LATER)[&1], DoubtState::Absent);
    assert_eq!(settle(&inside, &[], &[], T + HOUR)[&1], waits(UnsettledReason::NoRecordYet, Some(end)));
    for file in [
        HistoryFile { asked_at_ms: end - 1, ..whole() },
        HistoryFile { proves_absence: false, ..whole() },
        HistoryFile { hour: Hour::of(T + HOUR), asked_at_ms: end + HOUR, proves_absence: true },
    ] {
        let unread = waits(UnsettledReason::HistoryUnread, Some(T + 72 * HOUR));
        assert_eq!(settle(&inside, &[], &[file], LATER)[&1], unread);
        assert_eq!(
            settle(&inside, &[], &[file], T + 72 * HOUR)[&1],
            waits(UnsettledReason::HistoryUnread, None)
        );
        assert_eq!(settle(&inside, &[], &[file, whole()], LATER)[&1], DoubtState::Absent);
    }
    let over_the_end = [doubt(1, 50 * 60 - 60, 50 * 60)];
    assert_ne!(settle(&over_the_end, &[], &[whole()], LATER)[&1], DoubtState::Absent);
    let second = HistoryFile { hour: Hour::of(T + HOUR), asked_at_ms: T + 26 * HOUR, proves_absence: true };
    assert_eq!(settle(&over_the_end, &[], &[whole(), second], LATER)[&1], DoubtState::Absent);
}

#[test]
fn one_record_that_fits_two_sends_settles_neither_until_it_is_clear() {
    let doubts = [doubt(1, 0, 90), doubt(2, 30, 120)];
    let several = Some(UnsettledReason::FitsSeveral);
    assert_eq!(reasons(&settle(&doubts, &[seen("m1", 60)], &[whole()], LATER)), [several, several]);
    let both = settle(&doubts, &[seen("m2", 70), seen("m1", 60)], &[], T);
    assert_eq!(both, BTreeMap::from([(1, arrived("m1")), (2, arrived("m2"))]));
    let clear = settle(&doubts, &[seen("m1", 60), seen("m2", 100)], &[], T);
    assert_eq!(clear, BTreeMap::from([(1, arrived("m1")), (2, arrived("m2"))]));
    let second_only = settle(&doubts, &[seen("m2", 100)], &[whole()], LATER);
    assert_eq!(second_only, BTreeMap::from([(1, DoubtState::Absent), (2, arrived("m2"))]));
    // Two records for three sends, of which the last has a record that fits no other.
    let doubts = [doubt(1, 0, 90), doubt(2, 0, 90), doubt(3, 0, 200)];
    let states = settle(&doubts, &[seen("m1", 60), seen("m2", 150)], &[whole()], LATER);
    assert_eq!((&states[&3], reasons(&states)), (&arrived("m2"), vec![several, several, None]));
    // More records than sends: someone else sent the same.
    let states = settle(&doubts[..2], &[seen("m1", 1), seen("m2", 2), seen("m3", 3)], &[], T);
    assert_eq!(states, BTreeMap::from([(1, arrived("m1")), (2, arrived("m2"))]));
}

#[test]
fn marks_decide_before_anything_else() {
    let marked = |id, mark| Doubt { key: key(1, Some(mark)), ..doubt(id, 0, 90) };
    let with_mark = |id, mark| RecordSighting { key: key(1, Some(mark)), ..seen(id, 50) };
    let doubts = [marked(1, "a"), marked(2, "b"), doubt(3, 0, 90)];
    let states = settle(&doubts, &[with_mark("m2", "b")], &[whole()], LATER);
    assert_eq!(
        states,
        BTreeMap::from([(1, DoubtState::Absent), (2, arrived("m2")), (3, DoubtState::Absent)])
    );
    let states = settle(&doubts, &[seen("m3", 50)], &[whole()], LATER);
    assert_eq!(
        states,
        BTreeMap::from([(1, DoubtState::Absent), (2, DoubtState::Absent), (3, arrived("m3"))])
    );
    // The same mark with other contents: the message was changed on its way. To another group: another part of the send.
    let changed = RecordSighting { key: key(2, Some("a")), ..seen("m1", 50) };
    let states = settle(&doubts[..1], std::slice::from_ref(&changed), &[whole()], LATER);
    assert_eq!(states[&1], DoubtState::Waiting { reason: UnsettledReason::OtherContents, until_ms: None });
    let elsewhere = RecordSighting { group: "g2".to_owned(), ..changed };
    assert_eq!(settle(&doubts[..1], &[elsewhere], &[whole()], LATER)[&1], DoubtState::Absent);
}

#[test]
fn a_record_outside_the_window_settles_nothing_and_prevents_absence() {
    let outside = DoubtState::Waiting { reason: UnsettledReason::OutsideWindow, until_ms: None };
    let doubts = [doubt(1, 0, 90)];
    for at in [-1, -60, -61, 91, 200] {
        assert_eq!(settle(&doubts, &[seen("m1", at)], &[whole()], LATER)[&1], outside, "{at} s");
    }
    // Without a mark, a record of another hour is that of another message.
    for at in [-7200, 7200] {
        assert_eq!(settle(&doubts, &[seen("m1", at)], &[whole()], LATER)[&1], DoubtState::Absent, "{at} s");
    }
    // A mark is that of one try, however wrong a clock is.
    let marked = [Doubt { key: key(1, Some("a")), ..doubt(1, 0, 90) }];
    for at in [-100_000, -61, 91, 100_000] {
        let record = |content| RecordSighting { key: key(content, Some("a")), ..seen("m1", at) };
        assert_eq!(settle(&marked, &[record(1)], &[whole()], LATER)[&1], outside, "{at} s");
        let other = DoubtState::Waiting { reason: UnsettledReason::OtherContents, until_ms: None };
        assert_eq!(settle(&marked, &[record(2)], &[whole()], LATER)[&1], other, "{at} s");
        let used = RecordSighting { used: true, ..record(1) };
        assert_eq!(settle(&marked, &[used], &[whole()], LATER)[&1], DoubtState::Absent, "{at} s");
    }
    // It belongs to another send.
    let doubts = [doubt(1, 0, 90), doubt(2, -70, 0)];
    let states = settle(&doubts, &[seen("m1", -60)], &[whole()], LATER);
    assert_eq!(states, BTreeMap::from([(1, DoubtState::Absent), (2, arrived("m1"))]));
}

#[test]
fn a_message_seen_twice_settles_one_send() {
    let doubts = [doubt(1, 0, 90), doubt(2, 0, 90)];
    let twice = [seen("m1", 50), seen("m1", 52), seen("m1", 50)];
    let several = Some(UnsettledReason::FitsSeveral);
    assert_eq!(reasons(&settle(&doubts, &twice, &[whole()], LATER)), [several, several]);
    assert_eq!(settle(&doubts[..1], &twice, &[], T)[&1], arrived("m1"));
}
