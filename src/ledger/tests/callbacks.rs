//! Tests of callbacks: each is stored once, a message keeps its first record, a member counts once for a message, and
//! only the senders of the app's own messages are known.

use std::collections::HashSet;

use super::*;
use crate::ledger::sql::sql;

fn record(message_id: &str, fingerprint: &str) -> CallbackContent {
    CallbackContent::Record(ServiceRecord {
        message_id: message_id.to_owned(),
        at: START,
        fingerprint: fingerprint.to_owned(),
        mark: Some("m'\"1".to_owned()),
    })
}

fn receipt(message_id: &str, member: &str) -> CallbackContent {
    let (message_id, member) = (message_id.to_owned(), member.to_owned());
    CallbackContent::Receipt(ReadReceipt { message_id, member, at: START })
}

fn callback(call_id: &str, content: CallbackContent) -> NewCallback {
    NewCallback { call_id: call_id.to_owned(), content: Some(content), events: Vec::new() }
}

/// Returns the fingerprints of all records, in the order of the message ids.
async fn fingerprints(ledger: &Ledger) -> Vec<(String, String)> {
    let question = sql("SELECT message_id, fingerprint FROM service_records ORDER BY message_id");
    ledger.store().rows(question).await.unwrap()
}

#[test]
fn a_callback_is_stored_once_and_a_message_keeps_its_first_record() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (app, other) = (ledger.app("a").await.unwrap(), ledger.app("b").await.unwrap());
        assert_eq!(ledger.callback_activity(app).await.unwrap(), CallbackActivity::default());
        let first = [
            callback("c1", record("1", "aa")),
            callback("c1", record("2", "bb")),
            callback("c2", record("1", "cc")),
            callback("c3", receipt("1", "ann")),
        ];
        assert_eq!(ledger.store_callbacks(app, &first).await.unwrap().new, [true, false, true, true]);
        // The same id with other contents changes nothing, also after a restart.
        drop(ledger);
        let ledger = open(&folder, &clock).await;
        let again = [callback("c1", record("3", "dd")), callback("c2", receipt("1", "bob"))];
        assert_eq!(ledger.store_callbacks(app, &again).await.unwrap().new, [false, false]);
        assert_eq!(fingerprints(&ledger).await, [("1".to_owned(), "aa".to_owned())]);
        let both = ["1", "2"];
        assert_eq!(ledger.recorded_messages(app, &both).await.unwrap(), HashSet::from(["1".to_owned()]));
        assert_eq!(ledger.recorded_messages(other, &both).await.unwrap(), HashSet::new());
        let activity = CallbackActivity { latest: Some(clock.unix_time()), last_hour: 3 };
        assert_eq!(ledger.callback_activity(app).await.unwrap(), activity);
        clock.sleep(HOUR).await;
        assert_eq!(ledger.callback_activity(app).await.unwrap().last_hour, 0);
        assert_eq!(
            ledger.store_callbacks(other, &[callback("c1", record("1", "ee"))]).await.unwrap().new,
            [true],
            "another app has ids of its own"
        );
        // After 8 days nothing of it is left, and the same id is new.
        clock.sleep(7 * 24 * HOUR).await;
        ledger.prune_callbacks().await.unwrap();
        assert!(!fingerprints(&ledger).await.is_empty());
        clock.sleep(Duration::from_hours(25)).await;
        ledger.prune_callbacks().await.unwrap();
        assert_eq!(fingerprints(&ledger).await, []);
        assert_eq!(ledger.store_callbacks(other, &again[..1]).await.unwrap().new, [true]);
    });
}

#[test]
fn a_member_counts_once_for_each_message_of_a_broadcast() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let lease = planned(&ledger, &instance, &spec(), 3).await;
        let app = ledger.app("https://service/org/app").await.unwrap();
        ledger.intend(lease, vec![1, 2, 3]).await.unwrap();
        let sent = [1, 2, 3].map(|seq| RecipientOutcome::sent(seq, format!("m{seq}"), 1));
        ledger.settle(lease, sent.to_vec()).await.unwrap();
        let id = lease.broadcast;
        assert_eq!(ledger.readers(id).await.unwrap(), ReaderCounts::default());
        let receipts = [("m1", "ann"), ("m1", "bob"), ("m1", "ann"), ("m2", "ann"), ("other", "ann")];
        let receipts = receipts.iter().enumerate();
        let receipts: Vec<NewCallback> = receipts
            .map(|(number, (message, member))| callback(&number.to_string(), receipt(message, member)))
            .collect();
        assert_eq!(ledger.store_callbacks(app, &receipts).await.unwrap().new, [true; 5]);
        assert_eq!(ledger.readers(id).await.unwrap(), ReaderCounts { readers: 3, read: 2 });
        let each: Vec<u64> = ledger.export(id, 0, 9).await.unwrap().iter().map(|row| row.readers).collect();
        assert_eq!(each, [2, 1, 0]);
        let elsewhere = ledger.app("b").await.unwrap();
        ledger.store_callbacks(elsewhere, &[callback("x", receipt("m3", "ann"))]).await.unwrap();
        assert_eq!(ledger.readers(id).await.unwrap().read, 2, "another app's receipt does not count");
    });
}

#[test]
fn the_senders_of_plans_and_of_single_messages_are_known() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("run").await.unwrap();
        let app = ledger.app("https://service/org/app").await.unwrap();
        let all = ["admin", "shop", "o'neil", "ann"];
        let known = async || {
            let mut known: Vec<String> = ledger.known_senders(app, &all).await.unwrap().into_iter().collect();
            known.sort();
            known
        };
        assert_eq!(known().await, [""; 0]);
        planned(&ledger, &instance, &spec(), 1).await;
        assert_eq!(known().await, ["admin"]);
        let found = ledger.find_or_create(app, "more", "1", &spec()).await.unwrap();
        let lease = ledger.claim_alone(found.broadcast().id, &instance, LEASE).await.unwrap().unwrap();
        let of =
            |content: &'static str| NewMessage { content: Bytes::from_static(content.as_bytes()), ..plain() };
        let message = of(r#"{"from":"shop","type":"txt","body":{"msg":"from"}}"#);
        ledger.append(lease, &groups(0..2, &message)).await.unwrap();
        ledger.fix_plan(lease, None, None).await.unwrap();
        assert_eq!(known().await, ["admin", "shop"]);
        ledger.store_senders(app, &["o'neil", "shop", "shop"]).await.unwrap();
        assert_eq!(known().await, ["admin", "o'neil", "shop"]);
        let used = async || -> Option<(i64,)> {
            let question = sql("SELECT used_at FROM senders WHERE name = 'shop'");
            ledger.store().row(question).await.unwrap()
        };
        let first = used().await;
        clock.sleep(Duration::from_secs(3599)).await;
        ledger.store_senders(app, &["shop"]).await.unwrap();
        assert_eq!(used().await, first);
        clock.sleep(Duration::from_secs(1)).await;
        ledger.store_senders(app, &["shop"]).await.unwrap();
        assert_ne!(used().await, first);
        let other = ledger.app("b").await.unwrap();
        assert!(ledger.known_senders(other, &all).await.unwrap().is_empty());
        assert!(ledger.known_senders(app, &[]).await.unwrap().is_empty());
    });
}

#[test]
fn of_receipts_of_unknown_messages_the_newest_are_kept() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let app = ledger.app("a").await.unwrap();
        ledger.store_callbacks(app, &[callback("m", record("known", "aa"))]).await.unwrap();
        for batch in 0..5 {
            let receipts: Vec<NewCallback> = (0..900)
                .map(|number| {
                    callback(&format!("{batch} {number}"), receipt(&format!("{batch} {number}"), "ann"))
                })
                .chain([callback(&format!("known {batch}"), receipt("known", &format!("member {batch}")))])
                .collect();
            ledger.store_callbacks(app, &receipts).await.unwrap();
            clock.sleep(HOUR).await;
        }
        let count = async |condition: &'static str| -> i64 {
            let question = sql(format!("SELECT count(*) FROM read_receipts WHERE message_id {condition}"));
            ledger.store().row::<(i64,)>(question).await.unwrap().unwrap().0
        };
        assert_eq!(count("= 'known'").await, 5);
        assert_eq!((count("LIKE '4 %'").await, count("LIKE '3 %'").await), (900, 900));
        assert_eq!(count("<> 'known'").await, 1800, "at most 2000");
    });
}
