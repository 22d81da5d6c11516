//! Tests of what a broadcast leaves out: the suppression list, and caps.

use std::sync::Arc;

use super::*;
use crate::core::{MessageCap, SuppressedKind};

const APP: &str = "https://service/org/app";

async fn planned_as(ledger: &Ledger, instance: &Instance, name: &str, many: u32) -> Lease {
    let app = ledger.app(APP).await.unwrap();
    let found = ledger.find_or_create(app, name, "1", &spec()).await.unwrap();
    let lease = ledger.claim_alone(found.broadcast().id, instance, LEASE).await.unwrap().unwrap();
    ledger.append(lease, &groups(0..many, &plain())).await.unwrap();
    ledger.fix_plan(lease, None, None).await.unwrap();
    lease
}

#[test]
fn a_recipient_on_the_list_is_never_in_flight() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 4).await;
        let app = ledger.app(APP).await.unwrap();
        let page = ledger.pending(lease, 0, 10).await.unwrap();
        // An id that is named twice is one entry.
        let ids = [("g1".to_owned(), None), ("g1".to_owned(), None)];
        let new = NewSuppressions {
            app,
            kind: SuppressedKind::Group,
            ids: &ids,
            reason: Some("quiet"),
            actor: "test",
            expires: None,
        };
        assert_eq!(ledger.suppress(new).await.unwrap(), 1);
        if !matches!(STORE.get(), Some(StoreKind::Scratch)) {
            // A scratch ledger writes intents later.
            let refused = ledger.intend(lease, vec![1, 2]).await.unwrap_err();
            assert!(matches!(refused, LedgerError::NotIn { count: 1, .. }), "{refused}");
        }
        assert_eq!(counted(&ledger, lease.broadcast).await.pending, 4);
        assert_eq!(ledger.skip_suppressed(lease, app, &spec(), &page).await.unwrap(), [2]);
        ledger.intend(lease, vec![1, 3]).await.unwrap();
        let counts = counted(&ledger, lease.broadcast).await;
        assert_eq!((counts.sending, counts.skipped, counts.pending), (2, 1, 1));
        let row = ledger.export(lease.broadcast, 1, 1).await.unwrap().remove(0);
        assert_eq!(row.error.as_deref(), Some("on the suppression list: quiet"));
        let removed = ledger.unsuppress(app, SuppressedKind::Group, &["g1".to_owned()]).await.unwrap();
        assert_eq!(removed, 1);
        assert!(
            ledger
                .suppressions(&SuppressionFilter { limit: 9, ..SuppressionFilter::default() })
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn a_cap_counts_what_is_in_flight_until_it_is_refused() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let app = ledger.app(APP).await.unwrap();
        let cap = MessageCap { per_group: 1, within: "7d".to_owned(), tag: None };
        let rule = Arc::new(CapRule { app, within: cap.within().unwrap(), cap });
        let mut leases = Vec::new();
        for name in ["one", "two", "three"] {
            leases.push(planned_as(&ledger, &instance, name, 3).await);
        }
        let [one, two, three] = leases[..] else { panic!("three") };
        assert_eq!(ledger.reserve(one, &rule, vec![1, 2]).await.unwrap(), Unreserved::default());
        // Of a call to several, none is reserved.
        let waits = ledger.reserve(two, &rule, vec![1, 3]).await.unwrap();
        assert_eq!((waits.skipped, waits.undecided), (vec![], vec![1]));
        assert_eq!(counted(&ledger, two.broadcast).await.pending, 3);
        let refused = RecipientOutcome::failed(1, RecipientState::Rejected, "no", 1);
        ledger.settle(one, vec![refused, RecipientOutcome::sent(2, "m", 1)]).await.unwrap();
        assert_eq!(ledger.reserve(two, &rule, vec![1, 3]).await.unwrap(), Unreserved::default());
        let skipped = ledger.reserve(two, &rule, vec![2]).await.unwrap();
        assert_eq!((skipped.skipped, skipped.undecided), (vec![2], vec![]));
        let row = ledger.export(two.broadcast, 1, 1).await.unwrap().remove(0);
        assert_eq!(row.error.as_deref(), Some("1 message in the last 7d; the cap is 1"));
        ledger
            .settle(two, vec![RecipientOutcome::sent(1, "n", 1), RecipientOutcome::sent(3, "o", 1)])
            .await
            .unwrap();
        // Two of a process's broadcasts in one commit.
        let (left, right) =
            tokio::join!(ledger.reserve(three, &rule, vec![1]), ledger.reserve(three, &rule, vec![2, 3]),);
        assert_eq!((left.unwrap().skipped, right.unwrap().skipped), (vec![1], vec![2, 3]));
        let counts = counted(&ledger, three.broadcast).await;
        assert_eq!((counts.skipped, counts.pending), (3, 0));
    });
}

#[test]
fn a_ramp_releases_its_stages_for_all_drivers() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 9).await;
        let limits = [2, 5];
        let pause = Duration::from_secs(10);
        let turn = async || ledger.ramp_turn(lease, &limits, pause, 600).await.unwrap();
        assert_eq!(turn().await, RampTurn::Send(2));
        ledger.end_ramp_turn(lease, 1).await.unwrap();
        // No driver sends to the one that was not given back.
        assert_eq!(turn().await, RampTurn::Send(2));
        ledger.intend(lease, vec![1, 2]).await.unwrap();
        assert_eq!(turn().await, RampTurn::Settle);
        ledger
            .settle(lease, vec![RecipientOutcome::sent(1, "m", 1), RecipientOutcome::sent(2, "n", 1)])
            .await
            .unwrap();
        let until = clock.unix_time() + pause;
        let RampTurn::Wait { stage: 1, until: reported } = turn().await else { panic!("it waits") };
        assert!(reported.abs_diff(until) < Duration::from_secs(1), "{reported:?}");
        assert_eq!(turn().await, RampTurn::Wait { stage: 1, until: reported });
        clock.sleep(pause).await;
        assert_eq!(turn().await, RampTurn::Send(3));
        // A stage does not end before its recipients were sent to, as after a crash before their intents.
        assert_eq!(turn().await, RampTurn::Send(3));
        ledger.intend(lease, vec![3, 4, 5]).await.unwrap();
        assert_eq!(turn().await, RampTurn::Settle);
        let sent = (3..=5).map(|seq| RecipientOutcome::sent(seq, "m", 1)).collect();
        ledger.settle(lease, sent).await.unwrap();
        let RampTurn::Wait { stage: 2, .. } = turn().await else { panic!("it waits") };
        clock.sleep(pause).await;
        assert_eq!(turn().await, RampTurn::SendAll);
        assert_eq!(turn().await, RampTurn::SendAll);
    });
}

#[test]
fn look_ups_that_wait_together_get_their_own_entries_and_outlive_one_that_is_dropped() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (app, other) = (ledger.app("a").await.unwrap(), ledger.app("b").await.unwrap());
        for (app, kind, id) in [
            (app, SuppressedKind::Group, "7"),
            (app, SuppressedKind::User, "kim"),
            (other, SuppressedKind::Group, "8"),
        ] {
            let ids = [(id.to_owned(), None)];
            let new = NewSuppressions { app, kind, ids: &ids, reason: None, actor: "ops", expires: None };
            assert_eq!(ledger.suppress(new).await.unwrap(), 1);
        }
        let look_up = |app, kind, id: String| {
            let ledger = ledger.clone();
            async move {
                let found = ledger.suppressed(app, kind, std::slice::from_ref(&id)).await.unwrap();
                found.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
            }
        };
        // The first one has begun to ask the store when it is dropped.
        let mut dropped = Box::pin(look_up(app, SuppressedKind::Group, "7".to_owned()));
        for _ in 0..3 {
            tokio::select! { biased; _ = &mut dropped => break, () = tokio::task::yield_now() => {} }
        }
        let each = |app, kind| (0..40).map(move |number| (app, kind, number.to_string()));
        let groups = each(app, SuppressedKind::Group).chain(each(other, SuppressedKind::Group));
        let users =
            [(app, SuppressedKind::User, "Kim".to_owned()), (other, SuppressedKind::User, "kim".to_owned())];
        let asked: Vec<_> = groups.chain(users).collect();
        let all = futures_util::future::join_all(
            asked.iter().map(|(app, kind, id)| look_up(*app, *kind, id.clone())),
        );
        tokio::task::yield_now().await;
        drop(dropped);
        let found = all.await;
        let listed: Vec<_> = asked
            .iter()
            .zip(&found)
            .filter(|(_, found)| !found.is_empty())
            .map(|(asked, found)| (&asked.2, found))
            .collect();
        let expected = [("7", "7"), ("8", "8"), ("Kim", "kim")];
        assert_eq!(listed.len(), 3, "{listed:?}");
        for ((asked, found), (id, entry)) in listed.into_iter().zip(expected) {
            assert_eq!((asked.as_str(), found.as_slice()), (id, [entry.to_owned()].as_slice()));
        }
    });
}
