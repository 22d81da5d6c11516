//! Tests of several instances, in one process and in several. Each handle has its own connections, as another process
//! has.

use super::*;

#[test]
fn one_drives_and_the_other_waits() {
    with_folder(|folder, clock| async move {
        let (one, other) = (open(&folder, &clock).await, open(&folder, &clock).await);
        let first = one.register("serve").await.unwrap();
        let second = other.register("run").await.unwrap();
        let lease = planned(&one, &first, &spec(), 4).await;
        let id = lease.broadcast;
        assert_eq!(other.claim_alone(id, &second, LEASE).await.unwrap(), None);
        assert_eq!(other.show(id).await.unwrap().driver.unwrap().instance.name, "serve");
        clock.sleep(LEASE / 2).await;
        one.renew(lease, LEASE).await.unwrap();
        clock.sleep(LEASE / 2 + Duration::from_secs(1)).await;
        assert_eq!(other.claim_alone(id, &second, LEASE).await.unwrap(), None);
        one.release(lease).await.unwrap();
        let next = other.claim_alone(id, &second, LEASE).await.unwrap().unwrap();
        assert_eq!(next.number, lease.number + 1);
    });
}

#[test]
fn a_driver_that_lost_its_lease_changes_nothing() {
    with_folder(|folder, clock| async move {
        let (one, other) = (open(&folder, &clock).await, open(&folder, &clock).await);
        let first = one.register("serve").await.unwrap();
        let second = other.register("run").await.unwrap();
        let old = planned(&one, &first, &spec(), 6).await;
        let id = old.broadcast;
        one.intend(old, vec![1, 2]).await.unwrap();
        // It hangs for longer than its lease.
        clock.sleep(LEASE + Duration::from_secs(1)).await;
        let new = other.claim_alone(id, &second, LEASE).await.unwrap().unwrap();
        assert_eq!(other.take_over(new).await.unwrap(), TakeoverCounts { in_doubt: 2, pending: 0 });
        let before = other.export(id, 0, 99).await.unwrap();
        let lost = LedgerError::LeaseLost(id);
        assert_eq!(one.intend(old, vec![3]).await, Err(lost.clone()));
        assert_eq!(one.settle(old, vec![RecipientOutcome::sent(1, "m", 1)]).await, Err(lost.clone()));
        assert_eq!(one.renew(old, LEASE).await, Err(lost.clone()));
        assert_eq!(one.cancel_rest(old).await, Err(lost.clone()));
        assert_eq!(one.take_over(old).await, Err(lost.clone()));
        assert_eq!(one.finish(old, "{}").await, Err(lost));
        one.release(old).await.unwrap();
        assert_eq!(other.export(id, 0, 99).await.unwrap(), before);
        counted(&other, id).await;
        // Its writes do not fail the writes of the new driver in the same commit.
        let (bad, good) = tokio::join!(other.intend(old, vec![4]), other.intend(new, vec![5, 6]));
        assert!(bad.is_err());
        good.unwrap();
        assert_eq!(counted(&other, id).await.sending, 2);
    });
}

#[test]
fn a_dead_driver_is_followed_at_once() {
    with_folder(|folder, clock| async move {
        for (in_doubt, expected) in [
            (InDoubtPolicy::Hold, TakeoverCounts { in_doubt: 3, pending: 0 }),
            (InDoubtPolicy::Resend, TakeoverCounts { in_doubt: 0, pending: 3 }),
        ] {
            let folder = folder.join(format!("{in_doubt:?}"));
            let ledger = open(&folder, &clock).await;
            let instance = ledger.register("run").await.unwrap();
            let lease = planned(&ledger, &instance, &StoredSpec { in_doubt, ..spec() }, 4).await;
            ledger.intend(lease, vec![1, 3, 4]).await.unwrap();
            dies(&ledger, instance, &clock).await;
            drop(ledger);
            let ledger = open(&folder, &clock).await;
            let instance = ledger.register("run").await.unwrap();
            let lease = ledger.claim_alone(lease.broadcast, &instance, LEASE).await.unwrap().unwrap();
            assert_eq!(ledger.take_over(lease).await.unwrap(), expected);
            counted(&ledger, lease.broadcast).await;
        }
    });
}

#[test]
fn a_clock_set_back_by_an_hour_holds_nothing_up() {
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 4).await;
        let back = START.saturating_sub(HOUR);
        let earlier = Clock::simulated(back);
        let after = open(&folder, &earlier).await;
        let other = after.register("run").await.unwrap();
        assert!(after.claim_alone(lease.broadcast, &other, LEASE).await.unwrap().is_some());
    });
}

#[test]
fn processes_write_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let folder = folder.path().to_owned();
            std::thread::spawn(move || {
                let clock = Clock::real();
                clock
                    .block_on(async {
                        // All of them open a ledger that does not exist yet.
                        let ledger = open(&folder, &clock).await;
                        let instance = ledger.register("run").await.unwrap();
                        let app = ledger.app("a").await.unwrap();
                        let name = format!("news {number}");
                        let found = ledger.find_or_create(app, &name, "1", &spec()).await.unwrap();
                        let lease = ledger
                            .claim_alone(found.broadcast().id, &instance, LEASE)
                            .await
                            .unwrap()
                            .unwrap();
                        ledger.append(lease, &groups(0..300, &plain())).await.unwrap();
                        ledger.fix_plan(lease, None, None).await.unwrap();
                        let send = async |seq: i64| {
                            ledger.intend(lease, vec![seq]).await?;
                            ledger
                                .settle(lease, vec![RecipientOutcome::sent(seq, format!("m{seq}"), 1)])
                                .await
                        };
                        let all = futures_util::future::try_join_all((1..=300).map(send)).await;
                        all.unwrap();
                        assert_eq!(counted(&ledger, lease.broadcast).await.sent, 300);
                        ledger.finish(lease, "{}").await.unwrap();
                    })
                    .unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn of_two_who_would_send_the_same_only_one_may() {
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 9).await;
        // All of these are in one commit, where they look like a range without gaps.
        let (first, second, third) = tokio::join!(
            ledger.intend(lease, vec![1]),
            ledger.intend(lease, vec![1]),
            ledger.intend(lease, vec![3])
        );
        assert!(first.is_ok() != second.is_ok() && third.is_ok());
        let rows = ledger.export(lease.broadcast, 0, 9).await.unwrap();
        let sending: Vec<_> =
            rows.iter().filter(|row| row.state == RecipientState::Sending).map(|row| row.seq).collect();
        assert_eq!(sending, [1, 3]);
        let sent = || vec![RecipientOutcome::sent(1, "m", 1)];
        let other = vec![RecipientOutcome::failed(1, RecipientState::Rejected, "no", 1)];
        let (first, second, third) = tokio::join!(
            ledger.settle(lease, sent()),
            ledger.settle(lease, sent()),
            ledger.settle(lease, other)
        );
        assert!(first.is_ok() && second.is_ok() && third.is_err());
        let twice = vec![RecipientOutcome::sent(3, "m", 1), RecipientOutcome::sent(3, "m", 1)];
        assert!(ledger.settle(lease, twice).await.is_err());
        let counts = counted(&ledger, lease.broadcast).await;
        assert_eq!((counts.sent, counts.sending, counts.pending), (1, 1, 7));
    });
}
