//! A property test of caps, on each store: broadcasts of one app send to the same groups in any order.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::core::MessageCap;

const BROADCASTS: usize = 3;
const GROUPS: u32 = 4;

#[derive(Debug, Clone)]
enum Step {
    /// A broadcast wants to send to some of its recipients in one call.
    Reserve(usize, Vec<i64>),
    /// The oldest call in flight ends so.
    Settle(RecipientState),
}

fn steps() -> impl Strategy<Value = Step> {
    let seqs = prop::collection::btree_set(1..=i64::from(GROUPS), 1..3);
    let settled = prop::sample::select(vec![
        RecipientState::Sent,
        RecipientState::Sent,
        RecipientState::InDoubt,
        RecipientState::Rejected,
        RecipientState::Pending,
    ]);
    prop_oneof![
        3 => (0..BROADCASTS, seqs).prop_map(|(which, seqs)| Step::Reserve(which, seqs.into_iter().collect())),
        2 => settled.prop_map(Step::Settle),
    ]
}

/// The states of each broadcast's recipients. The n-th recipient of each is the same group.
async fn states(ledger: &Ledger, leases: &[Lease]) -> Vec<Vec<RecipientState>> {
    let mut states = Vec::new();
    for lease in leases {
        let rows = ledger.export(lease.broadcast, 0, 99).await.unwrap();
        states.push(rows.into_iter().map(|row| row.state).collect());
    }
    states
}

/// How many messages to a group count for its cap now, and how many of them are in flight.
fn count(states: &[Vec<RecipientState>], seq: i64) -> (usize, usize) {
    let group = usize::try_from(seq - 1).unwrap();
    let of = |wanted: &[RecipientState]| states.iter().filter(|of| wanted.contains(&of[group])).count();
    let in_flight = of(&[RecipientState::Sending]);
    (of(&[RecipientState::Sent, RecipientState::InDoubt]) + in_flight, in_flight)
}

async fn check(folder: &Path, clock: &Clock, per_group: u32, steps: Vec<Step>) {
    let ledger = open(folder, clock).await;
    let instance = ledger.register("run").await.unwrap();
    let app = ledger.app("https://service/org/app").await.unwrap();
    let cap = MessageCap { per_group, within: "7d".to_owned(), tag: None };
    let rule = Arc::new(CapRule { app, within: cap.within().unwrap(), cap });
    let mut leases = Vec::new();
    for number in 0..BROADCASTS {
        let found = ledger.find_or_create(app, &format!("news{number}"), "1", &spec()).await.unwrap();
        let lease = ledger.claim_alone(found.broadcast().id, &instance, LEASE).await.unwrap().unwrap();
        ledger.append(lease, &groups(0..GROUPS, &plain())).await.unwrap();
        ledger.fix_plan(lease, None, None).await.unwrap();
        leases.push(lease);
    }
    let most = usize::try_from(per_group).unwrap();
    let mut in_flight: Vec<(Lease, Vec<i64>)> = Vec::new();
    for step in steps {
        let before = states(&ledger, &leases).await;
        match &step {
            Step::Reserve(which, seqs) => {
                let (lease, own) = (leases[*which], &before[*which]);
                let waiting = |seq: &i64| own[usize::try_from(seq - 1).unwrap()] == RecipientState::Pending;
                let seqs: Vec<i64> = seqs.iter().copied().filter(waiting).collect();
                if seqs.is_empty() {
                    continue;
                }
                let Unreserved { skipped, undecided } =
                    ledger.reserve(lease, &rule, seqs.clone()).await.unwrap();
                for seq in &seqs {
                    let (counts, flying) = count(&before, *seq);
                    // One is skipped only if that many certainly have it, and waits only while some may not get it.
                    assert_eq!(skipped.contains(seq), counts - flying >= most, "{step:?} in {before:?}");
                    let waits = counts >= most && counts - flying < most;
                    assert_eq!(undecided.contains(seq), waits, "{step:?} in {before:?}");
                }
                let after = states(&ledger, &leases).await;
                let is_sending =
                    |seq: &i64| after[*which][usize::try_from(seq - 1).unwrap()] == RecipientState::Sending;
                let reserved = skipped.is_empty() && undecided.is_empty();
                assert!(seqs.iter().all(|seq| is_sending(seq) == reserved), "{step:?} in {after:?}");
                if reserved {
                    in_flight.push((lease, seqs));
                }
            }
            Step::Settle(_) if in_flight.is_empty() => {}
            Step::Settle(state) => {
                let (lease, seqs) = in_flight.remove(0);
                let outcomes = seqs.iter().map(|seq| match state {
                    RecipientState::Sent => RecipientOutcome::sent(*seq, format!("m{seq}"), 1),
                    other => RecipientOutcome::failed(*seq, *other, "no", 1),
                });
                ledger.settle(lease, outcomes.collect()).await.unwrap();
            }
        }
        let now = states(&ledger, &leases).await;
        for seq in 1..=i64::from(GROUPS) {
            assert!(count(&now, seq).0 <= most, "{step:?} leads to {now:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn no_group_is_over_its_cap_and_none_is_skipped_below_it(
        per_group in 1_u32..3,
        steps in prop::collection::vec(steps(), 1..40),
    ) {
        with_each_store(|folder, clock| {
            let steps = steps.clone();
            async move { check(&folder, &clock, per_group, steps).await }
        });
    }
}
