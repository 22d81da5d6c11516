//! Tests of outcomes whose driver lost its lease first.

use super::*;

fn sent(seq: i64) -> RecipientOutcome {
    RecipientOutcome::sent(seq, format!("m{seq}"), 1)
}

#[test]
fn what_a_late_driver_knows_is_recorded_if_nobody_settled_it() {
    with_each_store(|folder, clock| async move {
        if matches!(STORE.get(), Some(StoreKind::Scratch)) {
            // It has one process.
            return;
        }
        let (late, other) = (open(&folder, &clock).await, open(&folder, &clock).await);
        let first = late.register("serve").await.unwrap();
        let old = planned(&late, &first, &spec(), 6).await;
        let id = old.broadcast;
        late.pending(old, 0, 99).await.unwrap();
        late.intend(old, (1..=5).collect()).await.unwrap();
        // It stalls for longer than its lease.
        clock.sleep(LEASE + Duration::from_secs(1)).await;
        let second = other.register("serve").await.unwrap();
        let new = other.claim_alone(id, &second, LEASE).await.unwrap().unwrap();
        // An answer may come before the other process takes over.
        let lost = LedgerError::LeaseLost(id);
        assert_eq!(late.settle(old, vec![sent(1)]).await, Err(lost.clone()));
        assert_eq!(late.settle_late(id, &[sent(1)]).await.unwrap(), 1);
        assert_eq!(other.take_over(new).await.unwrap(), TakeoverCounts { in_doubt: 4, pending: 0 });
        // A person has the third sent again, and the fourth counts as sent.
        for change in [
            "UPDATE recipients SET state = 0, error = NULL WHERE seq = 3",
            "UPDATE recipients SET state = 2, error = 'settled' WHERE seq = 4",
            "UPDATE broadcasts SET n_pending = n_pending + 1, n_sent = n_sent + 1, n_in_doubt = 2",
        ] {
            other.change(sql(change)).await.unwrap();
        }
        other.intend(new, vec![3]).await.unwrap();
        let rejected = RecipientOutcome::failed(2, RecipientState::Rejected, "no", 1);
        let unsent = RecipientOutcome::failed(5, RecipientState::Pending, "no", 1);
        let outcomes = [rejected, sent(3), sent(4), unsent];
        assert_eq!(late.settle(old, outcomes.to_vec()).await, Err(lost));
        for settled in [1, 0] {
            assert_eq!(late.settle_late(id, &outcomes).await.unwrap(), settled);
        }
        let rows = other.export(id, 0, 5).await.unwrap();
        let states: Vec<RecipientState> = rows.iter().map(|row| row.state).collect();
        let expected = [
            RecipientState::Sent,
            RecipientState::Rejected,
            RecipientState::Sending,
            RecipientState::Sent,
            RecipientState::InDoubt,
        ];
        assert_eq!(states, expected);
        assert_eq!((rows[0].message_id.as_deref(), rows[0].error.as_deref()), (Some("m1"), None));
        assert_eq!((rows[1].error.as_deref(), rows[3].error.as_deref()), (Some("no"), Some("settled")));
        counted(&other, id).await;
    });
}
