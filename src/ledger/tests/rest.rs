//! Tests of single sends, uploads, data, job runs, and pruning.

use super::*;

const WEEK: Duration = Duration::from_hours(7 * 24);

fn send(app: AppId, once: Option<&str>, hash: &str) -> NewSend {
    NewSend {
        app,
        once: once.map(str::to_owned),
        hash: hash.to_owned(),
        recipients: "[\"g1\"]".to_owned(),
        origin: "hello.lua".to_owned(),
        fingerprints: String::new(),
        files: None,
        job_run: None,
    }
}

fn ended(state: RecipientState) -> SendOutcome {
    let receipts =
        if state == RecipientState::Sent { vec![("g1".to_owned(), "m1".to_owned())] } else { vec![] };
    SendOutcome { state, receipts, error: None, attempts: 1 }
}

#[test]
fn once_means_once() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let app = ledger.app("a").await.unwrap();
        let begin =
            async |hash: &str| ledger.begin_send(&instance, send(app, Some("key"), hash)).await.unwrap();
        let BeginSendResult::New(mut ticket) = begin("h").await else { panic!() };
        assert_eq!(begin("h").await, BeginSendResult::InFlight);
        assert_eq!(begin("other").await, BeginSendResult::Different);
        ledger.intend_send(&mut ticket).await.unwrap();
        assert_eq!(begin("h").await, BeginSendResult::InFlight);
        // It is proved that it was not sent, and the same call tries again.
        ledger.settle_send(&ticket, ended(RecipientState::Pending)).await.unwrap();
        ledger.intend_send(&mut ticket).await.unwrap();
        ledger.settle_send(&ticket, ended(RecipientState::Rejected)).await.unwrap();
        let BeginSendResult::New(mut ticket) = begin("h").await else { panic!() };
        ledger.intend_send(&mut ticket).await.unwrap();
        ledger.settle_send(&ticket, ended(RecipientState::Sent)).await.unwrap();
        ledger.settle_send(&ticket, ended(RecipientState::Sent)).await.unwrap();
        assert!(ledger.settle_send(&ticket, ended(RecipientState::Rejected)).await.is_err());
        assert_eq!(begin("h").await, BeginSendResult::Done(vec![("g1".to_owned(), "m1".to_owned())]));
        let elsewhere = ledger.app("b").await.unwrap();
        let other = ledger.begin_send(&instance, send(elsewhere, Some("key"), "h")).await.unwrap();
        assert!(matches!(other, BeginSendResult::New(_)));
        assert_eq!(
            ledger.sends(SendFilter { app: Some(app), ..SendFilter::default() }, 9).await.unwrap().len(),
            1
        );
    });
}

#[test]
fn what_a_dead_owner_had_in_flight_is_in_doubt() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let app = ledger.app("a").await.unwrap();
        let instance = ledger.register("run").await.unwrap();
        for key in [None, Some("key"), Some("begun")] {
            let BeginSendResult::New(mut ticket) =
                ledger.begin_send(&instance, send(app, key, "h")).await.unwrap()
            else {
                panic!()
            };
            if key != Some("begun") {
                ledger.intend_send(&mut ticket).await.unwrap();
            }
        }
        let living = ledger.register("serve").await.unwrap();
        assert_eq!(ledger.reap_dead().await.unwrap(), Reaped::default());
        dies(&ledger, instance, &clock).await;
        assert_eq!(ledger.reap_dead().await.unwrap(), Reaped { instances: 1, in_doubt: 2 });
        let again = async |key| ledger.begin_send(&living, send(app, Some(key), "h")).await.unwrap();
        assert!(matches!(again("key").await, BeginSendResult::InDoubt { .. }));
        // Nothing of this one can have been sent.
        assert!(matches!(again("begun").await, BeginSendResult::New(_)));
        let doubts = SendFilter { state: Some(RecipientState::InDoubt), ..SendFilter::default() };
        let found = ledger.sends(doubts, 9).await.unwrap();
        assert_eq!(found.len(), 2);
        assert!(ledger.settle_send_doubt(found[0].id, false).await.unwrap());
        assert!(matches!(again("key").await, BeginSendResult::New(_)));
    });
}

#[test]
fn an_answer_that_comes_after_its_instance_was_reaped_is_recorded() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let app = ledger.app("a").await.unwrap();
        let instance = ledger.register("run").await.unwrap();
        let mut tickets = Vec::new();
        for key in [None, Some("key"), Some("again"), Some("unsent"), Some("withdrawn")] {
            let begun = ledger.begin_send(&instance, send(app, key, "h")).await.unwrap();
            let BeginSendResult::New(mut ticket) = begun else { panic!("{begun:?}") };
            ledger.intend_send(&mut ticket).await.unwrap();
            tickets.push(ticket);
        }
        let [mut plain, keyed, again, mut unsent, mut withdrawn] =
            <[SendTicket; 5]>::try_from(tickets).unwrap();
        ledger.settle_send(&withdrawn, ended(RecipientState::Pending)).await.unwrap();
        // The process stalls, and another one reaps it.
        let reaping = ledger.store().transaction(async |write| instance::reap(write, instance.id()).await);
        assert_eq!(reaping.await.unwrap(), 4);
        let found = ledger.sends(SendFilter::default(), 9).await.unwrap();
        let numbers: Vec<i64> = found.iter().rev().map(|send| send.id).collect();
        let now = async |number: usize| ledger.send(numbers[number]).await.unwrap().unwrap();
        assert!(now(0).await.is_abandoned());
        assert!(ledger.settle_send_doubt(numbers[2], false).await.unwrap());
        // Then its answers come.
        for ticket in [&plain, &keyed] {
            ledger.settle_send(ticket, ended(RecipientState::Sent)).await.unwrap();
        }
        for number in [0, 1] {
            let sent = now(number).await;
            assert_eq!((sent.state, sent.receipts.len(), sent.error), (RecipientState::Sent, 1, None));
        }
        // What an operator has settled stays so.
        let late = ledger.settle_send(&again, ended(RecipientState::Sent)).await;
        assert!(matches!(late, Err(LedgerError::NotIn { .. })), "{late:?}");
        assert_eq!(now(2).await.state, RecipientState::Cancelled);
        // One that was not sent is no doubt, but this instance sends nothing more.
        ledger.settle_send(&unsent, ended(RecipientState::Pending)).await.unwrap();
        assert_eq!(now(3).await.state, RecipientState::Pending);
        for ticket in [&mut unsent, &mut withdrawn] {
            assert_eq!(ledger.intend_send(ticket).await, Err(LedgerError::Reaped));
        }
        assert!(ledger.intend_send(&mut plain).await.is_err());
        let living = ledger.register("serve").await.unwrap();
        for (key, free) in [("key", false), ("again", true), ("unsent", true), ("withdrawn", true)] {
            let begun = ledger.begin_send(&living, send(app, Some(key), "h")).await.unwrap();
            assert_eq!(matches!(begun, BeginSendResult::New(_)), free, "{key}: {begun:?}");
        }
    });
}

#[test]
fn uploads_are_known_until_they_expire() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (app, other) = (ledger.app("a").await.unwrap(), ledger.app("b").await.unwrap());
        let week = START + WEEK;
        ledger.upload_put(app, "abc", "{}", "FILE", week).await.unwrap();
        assert_eq!(ledger.upload_find(app, "abc", "{}").await.unwrap().unwrap().0, "FILE");
        assert_eq!(ledger.upload_find(app, "abc", "{1}").await.unwrap(), None);
        assert_eq!(ledger.upload_find(other, "abc", "{}").await.unwrap(), None);
        clock.sleep(WEEK).await;
        assert_eq!(ledger.upload_find(app, "abc", "{}").await.unwrap(), None);
        assert_eq!(ledger.prune(START).await.unwrap().expired, 0);
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(ledger.prune(START).await.unwrap().expired, 1);
    });
}

#[test]
fn data_is_kept_swapped_and_listed() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let soon = Some(START + Duration::from_secs(10));
        ledger.data_set("s", "a%1", "1", None).await.unwrap();
        ledger.data_set("s", "a%2", "2", soon).await.unwrap();
        ledger.data_set("s", "ab", "3", None).await.unwrap();
        ledger.data_set("t", "a%3", "4", None).await.unwrap();
        let keys = async |prefix: &str, after: &str| -> Vec<String> {
            ledger
                .data_list("s", prefix, after, 9, 1000)
                .await
                .unwrap()
                .into_iter()
                .map(|entry| entry.key)
                .collect()
        };
        assert_eq!(keys("a%", "").await, ["a%1", "a%2"]);
        assert_eq!(keys("", "a%1").await, ["a%2", "ab"]);
        assert!(!ledger.data_swap("s", "ab", Some("4"), Some("5"), None).await.unwrap());
        assert!(ledger.data_swap("s", "ab", Some("3"), Some("5"), None).await.unwrap());
        assert!(!ledger.data_swap("s", "a%2", None, Some("6"), None).await.unwrap());
        clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(ledger.data_get("s", "a%2").await.unwrap(), None);
        assert!(ledger.data_swap("s", "a%2", None, Some("6"), None).await.unwrap());
        assert!(ledger.data_swap("s", "a%2", Some("6"), None, None).await.unwrap());
        assert!(!ledger.data_delete("s", "a%2").await.unwrap());
        assert!(ledger.data_delete("s", "ab").await.unwrap());
        assert_eq!(keys("", "").await, ["a%1"]);
    });
}

#[test]
fn numbers_are_added_to_and_keep_the_end_that_they_began_with() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let at = |seconds| Some(START + Duration::from_secs(seconds));
        assert_eq!(ledger.data_add("s", "n", 2, at(10)).await.unwrap(), AddResult::Now(2));
        assert_eq!(ledger.data_add("s", "n", -5, at(20)).await.unwrap(), AddResult::Now(-3));
        clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(ledger.data_add("s", "n", 1, None).await.unwrap(), AddResult::Now(1));
        clock.sleep(WEEK).await;
        assert_eq!(ledger.data_get("s", "n").await.unwrap().as_deref(), Some("1"));
        ledger.data_set("s", "t", "\"x\"", None).await.unwrap();
        assert_eq!(
            ledger.data_add("s", "t", 1, None).await.unwrap(),
            AddResult::NoNumber("\"x\"".to_owned())
        );
        ledger.data_set("s", "l", &i64::MAX.to_string(), None).await.unwrap();
        assert_eq!(ledger.data_add("s", "l", 1, None).await.unwrap(), AddResult::TooLarge(i64::MAX));
    });
}

#[test]
fn whatever_is_written_clears_away_what_has_expired() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let expired = async || ledger.prunable(START).await.unwrap().expired;
        for round in 1..=3_u64 {
            let end = Some(clock.unix_time() + Duration::from_secs(10));
            for key in ["a", "b", "c"] {
                ledger.data_set("s", key, "1", end).await.unwrap();
            }
            ledger.data_set("other", "a", "1", end).await.unwrap();
            clock.sleep(Duration::from_secs(10) + Duration::from_millis(1)).await;
            assert_eq!(expired().await, 4);
            match round {
                1 => ledger.data_set("s", "d", "1", None).await.unwrap(),
                2 => assert!(!ledger.data_swap("s", "e", Some("1"), None, None).await.unwrap()),
                _ => assert_eq!(ledger.data_add("s", "f", 1, None).await.unwrap(), AddResult::Now(1)),
            }
            assert_eq!(expired().await, 1);
            assert!(!ledger.data_delete("other", "a").await.unwrap());
        }
    });
}

#[test]
fn what_is_over_is_forgotten_and_what_is_in_doubt_is_not() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 2).await;
        ledger.intend(lease, vec![1, 2]).await.unwrap();
        let doubt = RecipientOutcome::failed(2, RecipientState::InDoubt, "no answer", 1);
        ledger.settle(lease, vec![RecipientOutcome::sent(1, "m", 1), doubt]).await.unwrap();
        ledger.finish(lease, "{}").await.unwrap();
        clock.sleep(Duration::from_secs(100)).await;
        let now = clock.unix_time();
        assert_eq!(ledger.prunable(now).await.unwrap(), PruneCounts::default());
        assert_eq!(ledger.prune(now).await.unwrap().broadcasts, 0);
        ledger.settle_doubts(lease.broadcast, Settlement::AsSent).await.unwrap();
        assert_eq!(ledger.prune(START).await.unwrap().broadcasts, 0);
        assert_eq!(ledger.prunable(START).await.unwrap().broadcasts, 0);
        let expected = ledger.prunable(now).await.unwrap();
        assert_eq!(ledger.prune(now).await.unwrap(), expected);
        assert_eq!(expected.broadcasts, 1);
        assert_eq!(ledger.show(lease.broadcast).await, Err(LedgerError::Unknown(lease.broadcast)));
        assert_eq!(ledger.export(lease.broadcast, 0, 9).await.unwrap(), []);
    });
}

#[test]
fn recalled_messages_are_not_asked_for_again() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 4).await;
        let id = lease.broadcast;
        ledger.intend(lease, vec![1, 2, 3]).await.unwrap();
        ledger
            .settle(lease, (1..4).map(|seq| RecipientOutcome::sent(seq, format!("m{seq}"), 1)).collect())
            .await
            .unwrap();
        ledger.mark_recalled(id, &[(1, true), (2, false)]).await.unwrap();
        let left: Vec<_> =
            ledger.sent_receipts(id, 0, 9).await.unwrap().into_iter().map(|one| one.message_id).collect();
        // With `force`, a recall that the service refused can be requested again.
        assert_eq!(left, ["m2", "m3"]);
    });
}

#[test]
fn a_scratch_ledger_writes_its_moves_when_somebody_looks() {
    with_folder(|folder, clock| async move {
        let ledger = Ledger::open_scratch(&folder, clock.clone()).await.unwrap();
        let instance = ledger.register("rehearse").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 10).await;
        // The first recipient becomes pending and is tried again, all before the next read.
        ledger.intend(lease, vec![1, 2]).await.unwrap();
        ledger
            .settle(lease, vec![RecipientOutcome::failed(1, RecipientState::Pending, "no", 1)])
            .await
            .unwrap();
        ledger.intend(lease, vec![1]).await.unwrap();
        ledger
            .settle(lease, vec![RecipientOutcome::sent(1, "m1", 2), RecipientOutcome::sent(2, "m2", 1)])
            .await
            .unwrap();
        let counts = counted(&ledger, lease.broadcast).await;
        assert_eq!((counts.sent, counts.pending), (2, 8));
        // An invalid move is still an error, at the next read.
        ledger.intend(lease, vec![1]).await.unwrap();
        assert!(ledger.counts(lease.broadcast).await.is_err());
    });
}
