//! Random histories of messages with the truth known, compared with what the matching makes of their records.
//!
//! `PROPTEST_CASES` sets the number of histories, 256 by default.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;

use super::matching::key;
use crate::records::{
    CLOCK_SKEW_MS, Doubt, DoubtState, HistoryFile, Hour, MatchKey, RecordSighting, hours_of, settle,
};

const HOUR: i64 = 60 * 60 * 1000;
const TIMEOUT_MS: i64 = 30_000;
/// Five minutes before the end of an hour: the histories go over it.
const START: i64 = 500_001 * HOUR - 5 * 60_000;
const NOW: i64 = START + 40 * HOUR;

/// A message that was sent, and what became of it.
#[derive(Debug, Clone)]
struct Sent {
    key: MatchKey,
    intent_ms: i64,
    /// When the service accepted it, by the service's clock. None if it did not.
    accepted_ms: Option<i64>,
    /// Whether the answer came, so that the send is not in doubt.
    answered: bool,
    /// Whether its callback came.
    called_back: bool,
}

/// What is known of the history file of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    Unread,
    /// Read before it was complete, or cut off: it has every second record.
    Partly,
    Whole,
}

#[derive(Debug, Clone)]
struct World {
    sent: Vec<Sent>,
    files: [FileState; 2],
}

impl World {
    fn message_id(number: usize) -> String {
        format!("m{number}")
    }

    fn until_ms(sent: &Sent) -> i64 {
        sent.intent_ms + TIMEOUT_MS + CLOCK_SKEW_MS
    }

    fn doubts(&self) -> Vec<Doubt<usize>> {
        let open = self.sent.iter().enumerate().filter(|(_, sent)| !sent.answered);
        open.map(|(id, sent)| Doubt {
            id,
            key: sent.key.clone(),
            from_ms: sent.intent_ms,
            until_ms: Self::until_ms(sent),
            sent_to: "g1".to_owned(),
        })
        .collect()
    }

    fn hours() -> [Hour; 2] {
        [Hour::of(START), Hour::of(START + HOUR)]
    }

    fn file_state(&self, at_ms: i64) -> FileState {
        self.files[usize::from(Hour::of(at_ms) == Self::hours()[1])]
    }

    fn records(&self) -> Vec<RecordSighting> {
        let mut records = Vec::new();
        for (number, sent) in self.sent.iter().enumerate() {
            let Some(at_ms) = sent.accepted_ms else { continue };
            let record = RecordSighting {
                message_id: Self::message_id(number),
                group: "g1".to_owned(),
                key: sent.key.clone(),
                at_ms,
                used: sent.answered,
            };
            let in_file = match self.file_state(at_ms) {
                FileState::Unread => false,
                FileState::Partly => number % 2 == 0,
                FileState::Whole => true,
            };
            records.extend(sent.called_back.then(|| record.clone()));
            records.extend(in_file.then_some(record));
        }
        records
    }

    fn history(&self) -> Vec<HistoryFile> {
        let files = Self::hours().into_iter().zip(self.files);
        files
            .filter(|(_, state)| *state != FileState::Unread)
            .map(|(hour, state)| HistoryFile {
                hour,
                asked_at_ms: hour.complete_ms() - i64::from(state == FileState::Partly),
                proves_absence: true,
            })
            .collect()
    }
}

/// `skew_ms` is by how much the service's clock is ahead of the host's.
fn world(skew_ms: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = World> {
    let mark = prop_oneof![4 => Just(None), 1 => Just(Some("a")), 1 => Just(Some("b"))];
    let sent = (1..3_u8, mark, 0..600_000_i64, 0..=TIMEOUT_MS, skew_ms, any::<[bool; 2]>(), 0..4_u8)
        .prop_map(|(content, mark, intent, delay, skew, [arrived, called_back], answered)| {
            let intent_ms = START + intent;
            Sent {
                key: key(content, mark),
                intent_ms,
                accepted_ms: arrived.then_some(intent_ms + delay + skew),
                answered: arrived && answered == 0,
                called_back,
            }
        });
    let file =
        prop_oneof![1 => Just(FileState::Unread), 1 => Just(FileState::Partly), 3 => Just(FileState::Whole)];
    (prop::collection::vec(sent, 0..9), [file.clone(), file]).prop_map(|(sent, files)| World { sent, files })
}

/// Which of the sends `of` a record fits, by the definition.
fn fitting(record: &RecordSighting, of: &[Doubt<usize>]) -> BTreeSet<usize> {
    let fits = |doubt: &&Doubt<usize>| {
        !record.used && record.key == doubt.key && (doubt.from_ms..=doubt.until_ms).contains(&record.at_ms)
    };
    of.iter().filter(fits).map(|doubt| doubt.id).collect()
}

/// Returns the sends that have a record in each largest assignment, by trying all assignments.
fn certain_by_trying(doubts: &[Doubt<usize>], records: &[RecordSighting]) -> BTreeSet<usize> {
    fn assign(
        rest: &[BTreeSet<usize>],
        taken: &BTreeSet<usize>,
        best: &mut BTreeMap<usize, Option<BTreeSet<usize>>>,
    ) {
        let Some((first, rest)) = rest.split_first() else {
            let common = best.entry(taken.len()).or_default();
            let shared = common.as_ref().map_or_else(|| taken.clone(), |shared| shared & taken);
            *common = Some(shared);
            return;
        };
        assign(rest, taken, best);
        for doubt in first - taken {
            let mut taken = taken.clone();
            taken.insert(doubt);
            assign(rest, &taken, best);
        }
    }
    let messages: BTreeMap<&str, &RecordSighting> =
        records.iter().map(|record| (record.message_id.as_str(), record)).collect();
    let fits: Vec<_> = messages.values().map(|record| fitting(record, doubts)).collect();
    let mut best = BTreeMap::new();
    assign(&fits, &BTreeSet::new(), &mut best);
    best.into_values().next_back().flatten().unwrap_or_default()
}

fn shuffled<T: Clone>(items: &[T], order: &[Index]) -> Vec<T> {
    let mut items = items.to_vec();
    for (at, index) in order.iter().enumerate().take(items.len()) {
        let other = index.index(items.len());
        items.swap(at, other);
    }
    items
}

proptest! {
    /// The service's clock is up to a minute ahead, which a window allows.
    #[test]
    fn what_is_settled_is_true_and_what_can_be_settled_is(
        world in world(0..=CLOCK_SKEW_MS), order in prop::collection::vec(any::<Index>(), 20),
    ) {
        let (doubts, records, files) = (world.doubts(), world.records(), world.history());
        let states = settle(&doubts, &records, &files, NOW);
        prop_assert_eq!(states.len(), doubts.len());

        let mut given = BTreeSet::new();
        for doubt in &doubts {
            let accepted_ms = world.sent[doubt.id].accepted_ms;
            match &states[&doubt.id] {
                DoubtState::Arrived { message_id } => {
                    prop_assert!(accepted_ms.is_some(), "{} did not arrive", doubt.id);
                    let fits = records.iter().any(|record| {
                        record.message_id == *message_id && fitting(record, &doubts).contains(&doubt.id)
                    });
                    prop_assert!(fits, "{message_id} does not fit {}", doubt.id);
                    prop_assert!(given.insert(message_id.clone()), "{message_id} settles two");
                }
                DoubtState::Absent => prop_assert_eq!(accepted_ms, None, "{} arrived", doubt.id),
                DoubtState::Waiting { .. } => {}
            }
        }

        for record in &records {
            let fits = fitting(record, &doubts);
            if fits.len() == 1 {
                let doubt = fits.first().unwrap();
                prop_assert!(matches!(states[doubt], DoubtState::Arrived { .. }), "{doubt} fits a record alone");
            }
        }
        let arrived: BTreeSet<usize> =
            states.iter().filter(|(_, state)| matches!(state, DoubtState::Arrived { .. })).map(|(id, _)| *id).collect();
        prop_assert_eq!(&arrived, &certain_by_trying(&doubts, &records));

        for doubt in &doubts {
            let hours: Vec<Hour> = hours_of(doubt.from_ms, doubt.until_ms).collect();
            let possible = |record: &RecordSighting| {
                record.key.mark == doubt.key.mark
                    && (record.key.mark.is_some()
                        || record.key == doubt.key && hours.contains(&Hour::of(record.at_ms)))
            };
            let whole = hours.iter().all(|hour| world.file_state(hour.start_ms()) == FileState::Whole);
            if whole && !records.iter().any(possible) {
                prop_assert_eq!(&states[&doubt.id], &DoubtState::Absent);
            }
        }

        let shuffled_states = settle(&shuffled(&doubts, &order), &shuffled(&records, &order), &files, NOW);
        prop_assert_eq!(&states, &shuffled_states, "the order of the input matters");
    }

    /// Records come one by one, in any order, and what is settled leaves the input.
    #[test]
    fn records_one_by_one_settle_what_all_at_once_settle(
        world in world(0..=CLOCK_SKEW_MS), order in prop::collection::vec(any::<Index>(), 20),
    ) {
        let records = world.records();
        let mut doubts = world.doubts();
        let at_once: BTreeSet<usize> = settle(&doubts, &records, &[], NOW)
            .into_iter()
            .filter(|(_, state)| matches!(state, DoubtState::Arrived { .. }))
            .map(|(id, _)| id)
            .collect();
        let mut settled = BTreeSet::new();
        let mut used = BTreeSet::new();
        let mut seen: Vec<RecordSighting> = Vec::new();
        for record in shuffled(&records, &order) {
            seen.push(record);
            for record in &mut seen {
                record.used |= used.contains(&record.message_id);
            }
            for (id, state) in settle(&doubts, &seen, &[], NOW) {
                if let DoubtState::Arrived { message_id } = state {
                    prop_assert!(world.sent[id].accepted_ms.is_some(), "{id} did not arrive");
                    prop_assert!(used.insert(message_id));
                    settled.insert(id);
                    doubts.retain(|doubt| doubt.id != id);
                }
            }
        }
        prop_assert_eq!(settled, at_once);
    }

    /// The service's clock is behind, which no window allows: what arrived must not be sent again even then.
    #[test]
    fn a_late_clock_never_makes_an_arrived_message_absent(mut world in world(-CLOCK_SKEW_MS..=CLOCK_SKEW_MS)) {
        one_of_each_content(&mut world);
        for (id, state) in settle(&world.doubts(), &world.records(), &world.history(), NOW) {
            if world.sent[id].accepted_ms.is_some() {
                prop_assert_ne!(state, DoubtState::Absent, "{} arrived", id);
            }
        }
    }

    /// However wrong a clock is: a message with a mark whose record was seen is not absent.
    #[test]
    fn a_wrong_clock_never_makes_a_recorded_mark_absent(mut world in world(-3 * HOUR..=3 * HOUR)) {
        one_of_each_content(&mut world);
        let records = world.records();
        for (id, state) in settle(&world.doubts(), &records, &world.history(), NOW) {
            let is_recorded = records.iter().any(|record| record.message_id == World::message_id(id));
            if is_recorded && world.sent[id].key.mark.is_some() {
                prop_assert_ne!(state, DoubtState::Absent, "{} arrived", id);
            }
        }
    }
}

/// Keeps one send of each content, as the records of several could be taken for one another.
fn one_of_each_content(world: &mut World) {
    let mut contents = BTreeSet::new();
    world.sent.retain(|sent| contents.insert(sent.key.clone()));
}
