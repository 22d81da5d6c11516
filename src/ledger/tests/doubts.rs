//! Tests of doubts that the service's records settle, and of the reads of history files, on each store.

use super::*;
use crate::core::{HistoryResult, HistoryZone};
use crate::ledger::doubts::RecipientDoubt;

const HISTORY_HOUR: Duration = Duration::from_hours(490_896);

async fn app(ledger: &Ledger) -> AppId {
    ledger.app("https://service/org/app").await.unwrap()
}

fn arrived(one: &RecipientDoubt, id: &str) -> RecipientSettlement {
    let message = Some((id.to_owned(), one.intent_at + Duration::from_millis(700)));
    RecipientSettlement { seq: one.seq, intent_at: one.intent_at, message }
}

fn absent(one: &RecipientDoubt) -> RecipientSettlement {
    RecipientSettlement { seq: one.seq, intent_at: one.intent_at, message: None }
}

#[test]
fn a_doubt_keeps_the_time_of_its_intent_and_records_settle_it_once() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 6).await;
        let (id, app) = (lease.broadcast, app(&ledger).await);
        assert_eq!(ledger.count_doubts(app).await.unwrap(), 0);
        let began = clock.unix_time();
        ledger.intend(lease, (1..=5).collect()).await.unwrap();
        // A scratch ledger writes before the next read.
        ledger.counts(id).await.unwrap();
        clock.sleep(Duration::from_secs(9)).await;
        let doubt = |seq| RecipientOutcome::failed(seq, RecipientState::InDoubt, "no answer", 1);
        ledger.settle(lease, vec![doubt(1), doubt(2), RecipientOutcome::sent(3, "m3", 1)]).await.unwrap();
        clock.sleep(Duration::from_secs(9)).await;

        let found = ledger.doubts(app, false).await.unwrap();
        let [broadcast] = found.broadcasts.as_slice() else { panic!("{found:?}") };
        assert_eq!(ledger.count_doubts(app).await.unwrap(), 2);
        let seqs = |all: &[RecipientDoubt]| all.iter().map(|one| one.seq).collect::<Vec<_>>();
        assert_eq!(seqs(&broadcast.recipients), [1, 2]);
        assert!(broadcast.recipients.iter().all(|one| one.intent_at == began && one.attempts == 1));
        assert!(broadcast.messages[&broadcast.recipients[0].message].contains("hi"));
        let all = ledger.doubts(app, true).await.unwrap();
        assert_eq!(seqs(&all.broadcasts[0].recipients), [1, 2, 4, 5]);

        // The driver dies: what it had in flight is in doubt since its intent.
        ledger.take_over(lease).await.unwrap();
        if ledger.counts(id).await.unwrap().sending > 0 {
            // A server takes over only from drivers that are dead.
            ledger.settle(lease, vec![doubt(4), doubt(5)]).await.unwrap();
        }
        let found = ledger.doubts(app, false).await.unwrap().broadcasts.remove(0).recipients;
        assert_eq!(seqs(&found), [1, 2, 4, 5]);
        assert!(found.iter().all(|one| one.intent_at == began));

        let settled = [arrived(&found[0], "r1"), arrived(&found[2], "r4"), absent(&found[1])];
        for expected in [SettledCounts { arrived: 2, absent: 1 }, SettledCounts::default()] {
            let counts = ledger.settle_by_records(id, &settled, RecipientState::Pending).await.unwrap();
            assert_eq!(counts, expected, "settling again changes nothing");
        }
        let counts = counted(&ledger, id).await;
        assert_eq!((counts.sent, counts.pending, counts.in_doubt), (3, 2, 1));
        let rows = ledger.export(id, 0, 9).await.unwrap();
        assert_eq!(rows[0].message_id.as_deref(), Some("r1"));
        assert_eq!(rows[0].updated_at, began + Duration::from_millis(700), "the service's time");

        // A recipient that was tried again since keeps its new doubt.
        ledger.intend(lease, vec![2]).await.unwrap();
        ledger.settle(lease, vec![doubt(2)]).await.unwrap();
        let counts = ledger.settle_by_records(id, &settled, RecipientState::Pending).await.unwrap();
        assert_eq!(counts, SettledCounts::default());
        let known = ledger.known_messages(app, &["r1".into(), "m3".into(), "x".into()], began, began).await;
        let mut known = known.unwrap();
        known.sort();
        assert_eq!(known, ["m3", "r1"]);
    });
}

#[test]
fn an_absent_recipient_of_a_finished_broadcast_reopens_it() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 1).await;
        ledger.intend(lease, vec![1]).await.unwrap();
        let doubt = RecipientOutcome::failed(1, RecipientState::InDoubt, "no answer", 1);
        ledger.settle(lease, vec![doubt]).await.unwrap();
        ledger.finish(lease, "{}").await.unwrap();
        let app = app(&ledger).await;
        let found = ledger.doubts(app, false).await.unwrap().broadcasts.remove(0);
        let settled = [absent(&found.recipients[0])];
        ledger.settle_by_records(found.id, &settled, RecipientState::Pending).await.unwrap();
        assert_eq!(ledger.show(found.id).await.unwrap().stage, BroadcastStage::Ready);
        assert_eq!(counted(&ledger, found.id).await.pending, 1);
        assert_eq!(ledger.count_doubts(app).await.unwrap(), 0);
    });
}

#[test]
fn a_single_send_in_doubt_is_settled_by_records() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (instance, app) = (ledger.register("run").await.unwrap(), app(&ledger).await);
        let send = NewSend {
            app,
            once: Some("k".into()),
            hash: "h".into(),
            recipients: "[\"g1\",\"g2\"]".into(),
            origin: "script".into(),
            fingerprints: "[\"aa\",\"bb:m\"]".into(),
            files: None,
            job_run: None,
        };
        let began = clock.unix_time();
        let BeginSendResult::New(mut ticket) = ledger.begin_send(&instance, send.clone()).await.unwrap()
        else {
            panic!("the key is free")
        };
        ledger.intend_send(&mut ticket).await.unwrap();
        clock.sleep(HOUR).await;
        let outcome = SendOutcome {
            state: RecipientState::InDoubt,
            receipts: vec![],
            error: Some("no answer".into()),
            attempts: 1,
        };
        ledger.settle_send(&ticket, outcome).await.unwrap();
        let found = ledger.doubts(app, false).await.unwrap().sends.remove(0);
        assert_eq!(
            (found.intent_at, found.fingerprints.as_slice()),
            (began, &["aa".into(), "bb:m".into()][..])
        );
        let settle = |state, receipts| SendSettlement {
            id: found.id,
            intent_at: found.intent_at,
            state,
            receipts,
            error: None,
        };
        let first = vec![("g1".to_owned(), "r1".to_owned())];
        let partly = settle(RecipientState::InDoubt, first.clone());
        assert!(ledger.settle_send_by_records(&partly).await.unwrap());
        assert_eq!(ledger.doubts(app, false).await.unwrap().sends[0].receipts, first);
        let known = ledger.known_messages(app, &["r1".to_owned()], began, began).await.unwrap();
        assert_eq!(known, ["r1"]);
        let free = settle(RecipientState::Pending, vec![]);
        assert!(ledger.settle_send_by_records(&free).await.unwrap());
        assert!(!ledger.settle_send_by_records(&free).await.unwrap());
        let again = ledger.begin_send(&instance, send).await.unwrap();
        assert!(matches!(again, BeginSendResult::New(_)), "the key is free again: {again:?}");
    });
}

#[test]
fn history_files_are_asked_for_ten_times_a_minute_and_each_once() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let app = app(&ledger).await;
        let hour = |number: u32| HISTORY_HOUR + HOUR * number;
        for number in 0..10 {
            let turn = ledger.claim_history_read(app, hour(number)).await.unwrap();
            assert_eq!(turn, HistoryTurn::Ask(clock.unix_time()), "{number}");
            clock.sleep(Duration::from_secs(1)).await;
        }
        let wait = |seconds| HistoryTurn::Wait(Duration::from_secs(seconds));
        assert_eq!(ledger.claim_history_read(app, hour(4)).await.unwrap(), wait(54));
        assert_eq!(ledger.claim_history_read(app, hour(11)).await.unwrap(), wait(50));
        clock.sleep(Duration::from_secs(50)).await;
        let HistoryTurn::Ask(read_at) = ledger.claim_history_read(app, hour(11)).await.unwrap() else {
            panic!("a minute has passed since the first")
        };
        let record = |id: &str| ServiceRecord {
            message_id: id.into(),
            at: read_at,
            fingerprint: format!("f{id}"),
            mark: (id == "1").then(|| "mark".into()),
        };
        let (result, zone) = (HistoryResult::Whole, Some(HistoryZone::Utc));
        let read = HistoryRead { hour: hour(11), read_at, result, zone, lines: 7 };
        for _ in 0..2 {
            ledger.finish_history_read(app, read, &[record("1"), record("2")]).await.unwrap();
        }
        assert_eq!(ledger.history_reads(app).await.unwrap().last(), Some(&read));
        assert_eq!(ledger.records_alike(app, &["f2".into(), "f9".into()]).await.unwrap(), [record("2")]);
        assert_eq!(ledger.records_marked(app, &["mark".into()]).await.unwrap(), [record("1")]);
        assert_eq!(ledger.records_of(app, &["1".into()]).await.unwrap(), [record("1")]);
        assert_eq!(ledger.last_record_at().await.unwrap(), Some(clock.unix_time()));
    });
}
