//! Tests of approvals: no intent is written without one, and it is of one plan and by another person.

use super::*;
use crate::core::{Actor, ActorKind, Door, Person, TokenRole};

fn actor(name: &str) -> Actor {
    Actor {
        name: name.to_owned(),
        kind: ActorKind::Token,
        role: TokenRole::Approver,
        door: Door::Api,
        host: "host".to_owned(),
        address: None,
    }
}

/// The specification of a broadcast of `ann` that needs an approval.
fn spec() -> StoredSpec {
    let begun_by = vec![Person::of(&actor("ann"))];
    StoredSpec { approval_over: Some(1), begun_by, ..StoredSpec::new(Call::Group) }
}

#[test]
fn no_intent_is_written_before_another_person_has_approved_the_plan() {
    for kind in [StoreKind::File, StoreKind::Server] {
        if matches!(kind, StoreKind::Server) && server::address().is_none() {
            continue;
        }
        STORE.set(Some(kind));
        with_folder(async |folder, clock| {
            let ledger = open(&folder, &clock).await;
            let instance = ledger.register("test").await.unwrap();
            let lease = planned(&ledger, &instance, &spec(), 3).await;
            let id = lease.broadcast;
            let seqs: Vec<i64> =
                ledger.pending(lease, 0, 9).await.unwrap().into_iter().map(|one| one.seq).collect();
            let refused = |result: Result<(), LedgerError>| {
                assert!(matches!(result, Err(LedgerError::NotIn { .. })), "{result:?}");
            };
            refused(ledger.intend(lease, seqs.clone()).await);
            refused(ledger.intend(lease, vec![seqs[0]]).await);
            refused(ledger.intend(lease, vec![seqs[0], seqs[2]]).await);
            let found = ledger.show(id).await.unwrap();
            assert!(found.awaits_approval() && found.counts.pending == 3, "{found:?}");
            assert_eq!(ledger.awaiting_approval().await.unwrap().len(), 1);
            assert!(ledger.requested_command(id).await.unwrap().awaits_approval());
            assert_eq!(ledger.poll_command(id).await.unwrap(), BroadcastCommand::Pause);
            let hash = found.approval_hash.clone().unwrap();
            let approve = async |name: &str, seen: &str| {
                ledger.approve(id, &actor(name), Some(seen), None).await.unwrap()
            };
            assert!(matches!(approve("bob", "another").await, ApprovalResult::OtherPlan(_)));
            for own in ["ann", "Ann", " ANN"] {
                assert!(matches!(approve(own, &hash).await, ApprovalResult::OwnPlan(_)), "{own}");
            }
            refused(ledger.intend(lease, seqs.clone()).await);
            assert_eq!(approve("bob", &hash).await, ApprovalResult::Done);
            assert!(matches!(approve("cid", &hash).await, ApprovalResult::NotAwaited(_)));
            let found = ledger.show(id).await.unwrap();
            assert_eq!(found.approval.as_ref().map(|approval| approval.by.name.as_str()), Some("bob"));
            ledger.intend(lease, vec![seqs[0]]).await.unwrap();
            // What is approved stays so, whatever other hosts demand.
            ledger.require_approval(id).await.unwrap();
            ledger.intend(lease, seqs[1..].to_vec()).await.unwrap();
        });
    }
    STORE.set(None);
}

#[test]
fn a_plan_below_the_limit_waits_only_once_a_host_demands_it() {
    with_folder(async |folder, clock| {
        let ledger = open(&folder, &clock).await;
        let instance = ledger.register("test").await.unwrap();
        let spec = StoredSpec { approval_over: Some(3), ..spec() };
        let lease = planned(&ledger, &instance, &spec, 3).await;
        let first = ledger.pending(lease, 0, 1).await.unwrap().remove(0).seq;
        ledger.intend(lease, vec![first]).await.unwrap();
        // As of a program that knew no approvals.
        ledger.change(crate::ledger::sql::sql("UPDATE broadcasts SET approval_hash = NULL")).await.unwrap();
        ledger.require_approval(lease.broadcast).await.unwrap();
        let found = ledger.show(lease.broadcast).await.unwrap();
        assert_eq!(found.approval_hash, found.plan);
        assert!(found.awaits_approval());
        assert!(ledger.intend(lease, vec![first + 1]).await.is_err());
        // What is in flight is settled all the same.
        ledger.settle(lease, vec![RecipientOutcome::sent(first, "m", 1)]).await.unwrap();
    });
}

#[test]
fn the_hash_covers_what_changes_who_gets_what_and_when() {
    use crate::core::{InDoubtPolicy, MessageCap};
    let change = |change: &dyn Fn(&mut StoredSpec)| {
        let mut spec = spec();
        change(&mut spec);
        spec
    };
    let changes: [&dyn Fn(&mut StoredSpec); 9] = [
        &|_| {},
        &|spec| spec.window = Some(serde_json::json!({ "from": "09:00" })),
        &|spec| spec.overrides = true,
        &|spec| spec.tag = Some("sale".to_owned()),
        &|spec| spec.rate = Some(1.0),
        &|spec| spec.in_doubt = InDoubtPolicy::Resend,
        &|spec| spec.stop_if = Some("rejected > 1".to_owned()),
        &|spec| spec.pack = 3,
        &|spec| {
            let cap = serde_json::json!({ "per_group": 1, "within": "7d" });
            spec.cap = Some(serde_json::from_value::<MessageCap>(cap).unwrap());
        },
    ];
    let same: [&dyn Fn(&mut StoredSpec); 4] = [
        &|spec| spec.args = vec!["a".to_owned()],
        &|spec| spec.compared_by = Some(7),
        &|spec| spec.approval_over = Some(2),
        &|spec| spec.begun_by.clear(),
    ];
    let hash = |spec: StoredSpec| {
        let hash = std::rc::Rc::new(std::cell::RefCell::new(None));
        let kept = std::rc::Rc::clone(&hash);
        with_folder(async move |folder, clock| {
            let ledger = open(&folder, &clock).await;
            let instance = ledger.register("test").await.unwrap();
            let lease = planned(&ledger, &instance, &spec, 3).await;
            *kept.borrow_mut() = ledger.show(lease.broadcast).await.unwrap().approval_hash;
        });
        hash.borrow_mut().take().unwrap()
    };
    let hashes: std::collections::BTreeSet<String> = changes.iter().map(|one| hash(change(one))).collect();
    assert_eq!(hashes.len(), changes.len());
    let plain = hash(spec());
    for one in same {
        assert_eq!(hash(change(one)), plain);
    }
}
