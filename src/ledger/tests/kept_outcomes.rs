//! Tests of outcomes that could not be written at once, and of pauses that end.

use super::*;

fn kept(seq: i64, state: RecipientState, attempts: u32) -> (u32, RecipientOutcome) {
    (attempts, RecipientOutcome::failed(seq, state, "kept", attempts + 1))
}

fn sent(seq: i64) -> (u32, RecipientOutcome) {
    (0, RecipientOutcome::sent(seq, format!("m{seq}"), 1))
}

#[test]
fn kept_outcomes_are_written_before_the_rest_is_taken_over() {
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let old = planned(&ledger, &instance, &spec(), 6).await;
        let id = old.broadcast;
        ledger.intend(old, (1..=5).collect()).await.unwrap();
        ledger.keep_outcomes(id, [sent(1), sent(2), kept(3, RecipientState::Rejected, 0)]);
        // Its intent was not written.
        ledger.keep_outcomes(id, [kept(6, RecipientState::Pending, 0)]);
        let other = ledger.register("next").await.unwrap();
        dies(&ledger, instance, &clock).await;
        let lease = ledger.claim_alone(id, &other, LEASE).await.unwrap().unwrap();
        assert_eq!(ledger.take_over(lease).await.unwrap(), TakeoverCounts { in_doubt: 2, pending: 0 });
        let counts = counted(&ledger, id).await;
        assert_eq!((counts.sent, counts.rejected, counts.in_doubt, counts.pending), (2, 1, 2, 1));
        assert_eq!(ledger.count_kept_outcomes(id), 0);
        // Each is written once.
        assert_eq!(ledger.write_kept_outcomes(lease).await.unwrap(), []);
    });
}

#[test]
fn an_outcome_of_a_try_that_others_settled_is_dropped() {
    with_folder(|folder, clock| async move {
        let (one, other) = (open(&folder, &clock).await, open(&folder, &clock).await);
        let first = one.register("serve").await.unwrap();
        let resend = StoredSpec { in_doubt: InDoubtPolicy::Resend, ..spec() };
        let old = planned(&one, &first, &resend, 3).await;
        let id = old.broadcast;
        one.intend(old, vec![1, 2]).await.unwrap();
        one.keep_outcomes(id, [kept(1, RecipientState::Pending, 0), sent(2)]);
        dies(&one, first, &clock).await;
        // The other process sends to one of them again, and ends before the answer.
        let second = other.register("run").await.unwrap();
        let new = other.claim_alone(id, &second, LEASE).await.unwrap().unwrap();
        assert_eq!(other.take_over(new).await.unwrap(), TakeoverCounts { in_doubt: 0, pending: 2 });
        other.intend(new, vec![1]).await.unwrap();
        let third = one.register("serve").await.unwrap();
        dies(&other, second, &clock).await;
        let last = one.claim_alone(id, &third, LEASE).await.unwrap().unwrap();
        assert_eq!(one.write_kept_outcomes(last).await.unwrap(), []);
        let counts = counted(&one, id).await;
        assert_eq!((counts.sending, counts.pending, counts.sent), (1, 2, 0));
        assert_eq!(one.count_kept_outcomes(id), 0);
    });
}

#[test]
fn what_a_driver_kept_when_it_lost_its_lease_settles_what_is_in_doubt() {
    with_folder(|folder, clock| async move {
        let (one, other) = (open(&folder, &clock).await, open(&folder, &clock).await);
        let first = one.register("serve").await.unwrap();
        let old = planned(&one, &first, &spec(), 3).await;
        let id = old.broadcast;
        one.intend(old, vec![1, 2]).await.unwrap();
        one.keep_outcomes(id, [sent(1), kept(2, RecipientState::Pending, 0)]);
        dies(&one, first, &clock).await;
        let second = other.register("run").await.unwrap();
        let new = other.claim_alone(id, &second, LEASE).await.unwrap().unwrap();
        assert_eq!(other.take_over(new).await.unwrap(), TakeoverCounts { in_doubt: 2, pending: 0 });
        assert_eq!(one.write_kept_outcomes(old).await, Err(LedgerError::LeaseLost(id)));
        let counts = counted(&other, id).await;
        assert_eq!((counts.sent, counts.in_doubt, counts.pending), (1, 1, 1));
        assert_eq!(one.count_kept_outcomes(id), 0);
    });
}

#[test]
fn a_driver_neither_replaces_nor_ends_a_command_of_a_person() {
    with_folder(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("serve").await.unwrap();
        let id = planned(&ledger, &instance, &spec(), 3).await.broadcast;
        let now = async || {
            let now = ledger.requested_command(id).await.unwrap();
            (now.command, now.note)
        };
        let by_itself = |why: &str| (BroadcastCommand::Pause, Some(format!("{BY_ITSELF}{why}")));
        assert_eq!(ledger.pause_by_itself(id, "ill").await.unwrap(), DriverPause::Paused);
        assert_eq!(ledger.pause_by_itself(id, "worse").await.unwrap(), DriverPause::Paused);
        assert_eq!(now().await, by_itself("worse"));
        assert!(!ledger.end_pause(id, CHANGED).await.unwrap());
        assert!(ledger.end_pause(id, BY_ITSELF).await.unwrap());
        assert_eq!(now().await, (BroadcastCommand::Run, None));
        for note in [None, Some("lunch"), Some("inputs changed: the script")] {
            ledger.request_command(id, BroadcastCommand::Pause, note).await.unwrap();
            assert_eq!(ledger.pause_by_itself(id, "ill").await.unwrap(), DriverPause::PausedBefore);
            assert!(!ledger.end_pause(id, BY_ITSELF).await.unwrap());
            assert_eq!(now().await, (BroadcastCommand::Pause, note.map(str::to_owned)));
        }
        assert!(ledger.end_pause(id, CHANGED).await.unwrap());
        ledger.request_command(id, BroadcastCommand::Cancel, Some("by me")).await.unwrap();
        assert_eq!(ledger.pause_by_itself(id, "ill").await.unwrap(), DriverPause::Ending);
        assert!(!ledger.end_pause(id, BY_ITSELF).await.unwrap());
        assert_eq!(now().await, (BroadcastCommand::Cancel, Some("by me".to_owned())));
    });
}
