//! Tests of the audit: its chain, what a verification finds, and that no act that took effect lacks its entry.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use serde_json::{Value, json};

use super::*;
use crate::core::{Act, Actor, ActorKind, Door, TokenRole};
use crate::ledger::audit_chain::AuditEntry;
use crate::ledger::sql::sql;

fn act(name: &str, object: impl Into<String>) -> Act {
    let actor = Actor {
        name: name.to_owned(),
        kind: ActorKind::Token,
        role: TokenRole::Operator,
        door: Door::Api,
        host: "host\u{0}1".to_owned(),
        address: Some("192.0.2.1".to_owned()),
    };
    actor.act("job.pause", object).with(json!({ "text": "群\u{0}" }))
}

fn token(name: &str) -> NewAccessToken {
    NewAccessToken {
        hash: format!("hash of {name}"),
        name: name.to_owned(),
        prefix: "mooncast_viewer_".to_owned(),
        role: TokenRole::Viewer,
        expires_at: None,
    }
}

async fn entries(ledger: &Ledger) -> Vec<AuditEntry> {
    ledger.audit(&AuditFilter { after: Some(0), ..AuditFilter::default() }, 10_000).await.unwrap()
}

async fn change(ledger: &Ledger, text: String) {
    ledger.store().change(sql(text)).await.unwrap();
}

/// Makes the audit what it was.
async fn reset(ledger: &Ledger, entries: &[AuditEntry]) {
    change(ledger, "DELETE FROM audit".to_owned()).await;
    change(ledger, "DELETE FROM audit_head".to_owned()).await;
    let last = entries.len();
    let head = format!("INSERT INTO audit_head VALUES (1, {last}, '', 0, '')");
    change(ledger, head).await;
    for entry in entries {
        for statement in entry.statements() {
            ledger.store().change(statement).await.unwrap();
        }
    }
}

#[test]
fn each_changed_or_removed_entry_is_found_by_its_number() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let empty = AuditCheck::Whole { first: 0, last: 0, hash: String::new() };
        assert_eq!(ledger.verify_audit().await.unwrap(), empty);
        for number in 1..=8 {
            clock.sleep(HOUR).await;
            assert_eq!(ledger.append_audit(&act("ann", format!("o\u{1b}{number}"))).await.unwrap(), number);
        }
        let whole = entries(&ledger).await;
        let hash = whole.last().unwrap().hash.clone();
        let fine = AuditCheck::Whole { first: 1, last: 8, hash };
        assert_eq!(ledger.verify_audit().await.unwrap(), fine);
        let details: Value = serde_json::from_str(&whole[0].details).unwrap();
        assert_eq!(details, json!({ "text": "群\u{0}", "address": "192.0.2.1" }));
        assert_eq!((whole[0].object.as_str(), whole[0].host.as_str()), ("o\u{fffd}1", "host\u{fffd}1"));

        let texts = ["actor", "kind", "role", "door", "host", "act", "object", "details", "previous", "hash"];
        let mut cases: Vec<(String, i64)> = (1..=8)
            .flat_map(|number| {
                let changed = move |column: &str| {
                    format!("UPDATE audit SET {column} = {column} || ' ' WHERE number = {number}")
                };
                let texts = texts.map(|column| (changed(column), number));
                let others = [
                    (format!("UPDATE audit SET at = at + 1 WHERE number = {number}"), number),
                    (format!("DELETE FROM audit WHERE number = {number}"), number),
                    (format!("DELETE FROM audit WHERE number >= {number}"), number),
                    (format!("DELETE FROM audit WHERE number <= {number}"), 1),
                    (format!("UPDATE audit SET number = 20 WHERE number = {number}"), number),
                    (format!("UPDATE audit_head SET number = {}", number - 1), number - 1),
                ];
                texts.into_iter().chain(others).collect::<Vec<_>>()
            })
            .collect();
        cases.push(("DELETE FROM audit_head".to_owned(), 1));
        cases.push(("UPDATE audit_head SET hash = 'x'".to_owned(), 8));
        cases.push(("UPDATE audit_head SET number = 9".to_owned(), 9));
        cases.push(("INSERT INTO audit SELECT 9, at, actor, kind, role, door, host, act, object, details, previous, hash FROM audit WHERE number = 8".to_owned(), 9));
        cases.push(("INSERT INTO audit SELECT 0, at, actor, kind, role, door, host, act, object, details, previous, hash FROM audit WHERE number = 8".to_owned(), 0));
        for (text, first) in cases {
            change(&ledger, text.clone()).await;
            match ledger.verify_audit().await.unwrap() {
                AuditCheck::Wrong { number, .. } => assert_eq!(number, first, "{text}"),
                whole @ AuditCheck::Whole { .. } => panic!("{text} was not found: {whole:?}"),
            }
            reset(&ledger, &whole).await;
            assert_eq!(ledger.verify_audit().await.unwrap(), fine, "{text}");
        }
        // A changed entry with a hash of its own breaks the chain behind it.
        for number in 1..8_usize {
            let mut forged = whole.clone();
            forged[number - 1].object = "other".to_owned();
            forged[number - 1].hash = forged[number - 1].computed_hash();
            reset(&ledger, &forged).await;
            let found = ledger.verify_audit().await.unwrap();
            let next = i64::try_from(number).unwrap() + 1;
            assert!(matches!(&found, AuditCheck::Wrong { number, .. } if *number == next), "{found:?}");
        }
    });
}

#[test]
fn old_entries_go_from_the_oldest_end_and_the_rest_stays_verifiable() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let mut times = Vec::new();
        for number in 1..=8 {
            clock.sleep(HOUR).await;
            ledger.append_audit(&act("ann", format!("{number}"))).await.unwrap();
            times.push(entries(&ledger).await.last().unwrap().at());
        }
        assert_eq!(ledger.prune_audit(START).await.unwrap(), 0);
        assert_eq!(ledger.prune_audit(times[2]).await.unwrap(), 2);
        let found = ledger.verify_audit().await.unwrap();
        assert!(matches!(found, AuditCheck::Whole { first: 3, last: 8, .. }), "{found:?}");
        let left = entries(&ledger).await;
        assert_eq!(left.len(), 6);
        change(&ledger, "DELETE FROM audit WHERE number = 3".to_owned()).await;
        assert!(matches!(ledger.verify_audit().await.unwrap(), AuditCheck::Wrong { number: 3, .. }));
        // What shows a change is not deleted.
        assert_eq!(ledger.prune_audit(times[7] + HOUR).await.unwrap(), 0);
        for statement in left[0].statements() {
            ledger.store().change(statement).await.unwrap();
        }
        change(&ledger, format!("UPDATE audit_head SET hash = '{}'", left[5].hash)).await;
        assert!(matches!(ledger.verify_audit().await.unwrap(), AuditCheck::Whole { first: 3, .. }));
        assert_eq!(ledger.prune_audit(times[7] + HOUR).await.unwrap(), 6);
        let found = ledger.verify_audit().await.unwrap();
        assert!(matches!(found, AuditCheck::Whole { first: 9, last: 8, .. }), "{found:?}");
        assert_eq!(ledger.append_audit(&act("ann", "new")).await.unwrap(), 9);
        assert!(matches!(ledger.verify_audit().await.unwrap(), AuditCheck::Whole { first: 9, last: 9, .. }));
    });
}

#[test]
fn writers_at_once_make_one_chain() {
    with_folder(|folder, clock| async move {
        let ledgers = [open(&folder, &clock).await, open(&folder, &clock).await];
        let writes = (0..60).map(|number| {
            let ledger = ledgers[number % 2].clone();
            async move {
                let name = format!("t{number}");
                let act = act("ann", name.as_str());
                if number % 3 == 0 {
                    ledger.append_audit(&act).await.map(drop)
                } else {
                    ledger.audited(act, ledger.add_tokens(&[token(&name)], false)).await.map(drop)
                }
            }
        });
        for done in futures_util::future::join_all(writes).await {
            done.unwrap();
        }
        let found = ledgers[0].verify_audit().await.unwrap();
        assert!(matches!(found, AuditCheck::Whole { first: 1, last: 60, .. }), "{found:?}");
        let mut objects: Vec<String> =
            entries(&ledgers[1]).await.into_iter().map(|entry| entry.object).collect();
        objects.sort_unstable();
        objects.dedup();
        assert_eq!(objects.len(), 60);
    });
}

#[test]
fn an_act_that_fails_leaves_no_entry_or_one_that_says_so() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let failed = || LedgerError::Unknown(BroadcastId(7));
        let nothing: Result<(), _> = ledger.audited(act("ann", "a"), async { Err(failed()) }).await;
        nothing.unwrap_err();
        assert_eq!(entries(&ledger).await, []);
        let half: Result<(), _> = ledger
            .audited(act("ann", "b"), async {
                ledger.add_tokens(&[token("b")], false).await?;
                ledger.add_tokens(&[token("c")], false).await?;
                Err(failed())
            })
            .await;
        half.unwrap_err();
        let found = entries(&ledger).await;
        assert_eq!(found.len(), 2);
        let details: Value = serde_json::from_str(&found[1].details).unwrap();
        assert_eq!((&details["entry"], &details["failed"]), (&json!(1), &json!(failed().to_string())));
        // An act that changes nothing is an act too.
        ledger.audited(act("ann", "d"), async { Ok::<_, LedgerError>(()) }).await.unwrap();
        assert_eq!(entries(&ledger).await.len(), 3);
        let first: Result<(), _> = ledger.audited_first(act("ann", "e"), async { Err(failed()) }).await;
        first.unwrap_err();
        assert_eq!(entries(&ledger).await.len(), 5);
    });
}

/// Polls a future this often, then drops it. `None` if it was dropped before its end.
async fn polled<T>(future: impl Future<Output = T>, mut polls: usize) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

#[test]
fn an_act_that_is_ended_anywhere_has_its_effect_and_its_entry_or_neither() {
    with_each_store(|folder, clock| async move {
        let ledger = open(&folder, &clock).await;
        let (mut whole, mut ended) = (0, 0);
        for polls in 0.. {
            let name = format!("t{polls}");
            let tokens = [token(&name)];
            let doing =
                ledger.audited(act("ann", name.as_str()), Box::pin(ledger.add_tokens(&tokens, false)));
            match polled(doing, polls).await {
                Some(done) => {
                    done.unwrap();
                    whole += 1;
                }
                None => ended += 1,
            }
            // Waits until the write that was ended is over.
            while ledger.probe().await.is_err() {}
            let effect = !ledger.tokens_of(&name).await.unwrap().is_empty();
            let named = entries(&ledger).await.into_iter().filter(|entry| entry.object == name).count();
            assert_eq!(usize::from(effect), named, "after {polls} polls");
            assert!(matches!(ledger.verify_audit().await.unwrap(), AuditCheck::Whole { .. }));
            if whole == 3 {
                break;
            }
        }
        assert!(ended > 0, "{ended} were ended");
    });
}
