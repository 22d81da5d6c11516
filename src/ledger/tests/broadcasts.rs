//! Tests of a broadcast from its creation to its end.

use super::*;

#[test]
fn a_broadcast_is_built_sent_and_found_again() {
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 5).await;
        let page = ledger.pending(lease, 0, 3).await.unwrap();
        assert_eq!(
            page.iter().map(|one| (one.seq, one.group_id.as_str())).collect::<Vec<_>>(),
            [(1, "g0"), (2, "g1"), (3, "g2")]
        );
        assert_eq!(page[0].message, plain().content);
        ledger.intend(lease, vec![1, 2, 3]).await.unwrap();
        assert_eq!(ledger.pending(lease, 0, 9).await.unwrap().len(), 2);
        let outcomes = vec![
            RecipientOutcome::sent(1, "m1", 1),
            RecipientOutcome::failed(2, RecipientState::Rejected, "no such group", 1),
            RecipientOutcome::failed(3, RecipientState::Pending, "not connected", 1),
        ];
        ledger.settle(lease, outcomes.clone()).await.unwrap();
        let counts = counted(&ledger, lease.broadcast).await;
        assert_eq!((counts.sent, counts.rejected, counts.pending), (1, 1, 3));
        // The ledger's answer may be lost, so repeating the same outcomes is no error; other outcomes are.
        ledger.settle(lease, outcomes).await.unwrap();
        let error = ledger.settle(lease, vec![RecipientOutcome::sent(2, "m2", 1)]).await.unwrap_err();
        assert!(matches!(error, LedgerError::NotIn { count: 1, .. }), "{error}");
        assert!(matches!(ledger.finish(lease, "{}").await, Err(LedgerError::NotNow { .. })));
        ledger.intend(lease, vec![3, 4, 5]).await.unwrap();
        ledger
            .settle(lease, (3..6).map(|seq| RecipientOutcome::sent(seq, format!("m{seq}"), 2)).collect())
            .await
            .unwrap();
        assert_eq!(ledger.finish(lease, "{\"sent\":4}").await.unwrap(), BroadcastStage::Finished);
        let app = ledger.app("https://service/org/app").await.unwrap();
        let BroadcastLookup::Finished(found) =
            ledger.find_or_create(app, "news", "1", &spec()).await.unwrap()
        else {
            panic!()
        };
        assert_eq!(
            (found.counts.sent, found.report.as_deref(), found.driver),
            (4, Some("{\"sent\":4}"), None)
        );
        assert!(matches!(
            ledger.find_or_create(app, "news", "2", &spec()).await.unwrap(),
            BroadcastLookup::New(_)
        ));
        assert_eq!(ledger.sent_receipts(lease.broadcast, 0, 2).await.unwrap().len(), 2);
        assert_eq!(ledger.retry_rejected(lease.broadcast).await.unwrap(), 1);
        assert_eq!(ledger.show(lease.broadcast).await.unwrap().stage, BroadcastStage::Ready);
    });
}

#[test]
fn duplicates_are_dropped_and_exclusions_skipped() {
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let first = planned(&ledger, &instance, &spec(), 4).await;
        ledger.intend(first, vec![2]).await.unwrap();
        ledger.settle(first, vec![RecipientOutcome::sent(2, "m", 1)]).await.unwrap();
        let app = ledger.app("https://service/org/app").await.unwrap();
        let found = ledger.find_or_create(app, "more", "1", &spec()).await.unwrap();
        let lease = ledger.claim_alone(found.broadcast().id, &instance, LEASE).await.unwrap().unwrap();
        let other = NewMessage { content: Bytes::from_static(b"{}"), size: 700, known_as: None };
        ledger.append(lease, &groups(0..4, &plain())).await.unwrap();
        ledger.append(lease, &groups(2..6, &other)).await.unwrap();
        let users = |list: &[&str]| NewRecipient {
            zone: None,
            target: None,
            group_id: "g1".into(),
            users: list.iter().map(ToString::to_string).collect(),
            message: Some(plain()),
            fields: vec![],
        };
        ledger.append(lease, &[users(&["a", "b"]), users(&["a"]), users(&["a", "b"])]).await.unwrap();
        ledger
            .append(
                lease,
                &[NewRecipient {
                    zone: None,
                    group_id: "g9".into(),
                    users: vec![],
                    message: None,
                    fields: vec![],
                    target: None,
                }],
            )
            .await
            .unwrap();
        let exclude = Exclusion { broadcasts: vec![first.broadcast], states: vec![RecipientState::Sent] };
        let error = ledger.fix_plan(lease, Some(&exclude), Some(3)).await.unwrap_err();
        assert_eq!(error, LedgerError::TooMany { total: 7, max: 3 });
        assert!(ledger.intend(lease, vec![1]).await.is_err());
        let plan = ledger.fix_plan(lease, Some(&exclude), Some(7)).await.unwrap();
        assert_eq!((plan.total, plan.duplicates, plan.skipped), (7, 3, 2));
        assert_eq!(plan.largest_message_bytes, 700);
        assert_eq!(plan.excluded, 1);
        let counts = counted(&ledger, lease.broadcast).await;
        assert_eq!((counts.pending, counts.skipped), (7, 2));
        let page = ledger.pending(lease, 0, 99).await.unwrap();
        assert_eq!(page.iter().map(|one| one.seq).collect::<Vec<_>>(), [1, 3, 4, 7, 8, 9, 10]);
        assert_eq!(page[5].users, ["a", "b"]);
        assert!(matches!(
            ledger.append(lease, &groups(7..8, &plain())).await,
            Err(LedgerError::NotNow { .. })
        ));
    });
}
