//! Messages without recipients, and adding recipients to them.

use serde_json::{Value, json};

use super::checked;
use crate::core::Call;
use crate::message::{Draft, MessageLimits, check_draft};

fn draft(call: Call, message: Value) -> Draft {
    check_draft(call, message, &MessageLimits::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn fields_of(result: Result<impl std::fmt::Debug, crate::message::MessageProblems>) -> Vec<String> {
    result.unwrap_err().iter().map(|problem| problem.field.clone()).collect()
}

#[test]
fn an_addressed_draft_is_the_message_checked_at_once() {
    let content = json!({"from": "a", "type": "txt", "body": {"msg": "m"}, "ext": {"k": [1]}});
    let mut whole = content.clone();
    whole["to"] = json!(["g1", "g2"]);
    let draft = draft(Call::Group, content);
    let message = draft.address(ids(&["g1", "g2"]), Vec::new()).unwrap();
    assert_eq!(message, checked(Call::Group, whole).unwrap());
    assert_eq!((message.recipient_count(), message.user_count()), (2, 0));
    assert_eq!(message.draft(), &draft);
}

#[test]
fn the_json_of_a_draft_reads_back_as_the_draft() {
    let content = json!({"type": "img", "body": {"file": {"url": "u", "width": 1, "height": 2}},
        "need_group_ack": true, "roam_ignore_users": [3], "routetype": "ROUTE_ONLINE"});
    let first = draft(Call::Group, content);
    let stored: Value = serde_json::from_slice(&first.to_json()).unwrap();
    let second = draft(Call::Group, stored);
    assert_eq!(first, second);
    assert_eq!(first.to_json(), second.to_json());
    assert_eq!(serde_json::to_vec(&first).unwrap(), first.to_json());
}

#[test]
fn a_draft_has_no_recipients_of_its_own() {
    let content = json!({"to": "g", "users": ["u"], "type": "txt", "body": {"msg": "m"}});
    let refused = |call| fields_of(check_draft(call, content.clone(), &MessageLimits::default()));
    assert_eq!(refused(Call::Targeted), ["to", "users"]);
    assert_eq!(refused(Call::Group), ["to", "users"]);
}

#[test]
fn recipients_given_later_keep_the_same_limits() {
    let content = json!({"type": "txt", "body": {"msg": "m"}});
    let group = draft(Call::Group, content.clone());
    let refused = |to: &[&str], users: &[&str]| fields_of(group.address(ids(to), ids(users)));
    assert_eq!(refused(&[], &[]), ["to"]);
    assert_eq!(refused(&["a", "b", "c", "d"], &[]), ["to"]);
    assert_eq!(refused(&["a", "", "a"], &[]), ["to[2]", "to[3]"]);
    assert_eq!(refused(&["a"], &["u"]), ["users"]);

    let targeted = draft(Call::Targeted, content);
    let members: Vec<_> = (0..21).map(|n| n.to_string()).collect();
    assert_eq!(fields_of(targeted.address(ids(&["a", "b"]), Vec::new())), ["to", "users"]);
    assert_eq!(fields_of(targeted.address(ids(&["a"]), members.clone())), ["users"]);
    assert_eq!(fields_of(targeted.address(ids(&["a"]), ids(&["u", "v", "u"]))), ["users[3]"]);
    let parts: Vec<_> = members.chunks(20).map(|part| targeted.address(ids(&["a"]), part.to_vec())).collect();
    assert_eq!(parts.into_iter().map(|part| part.unwrap().user_count()).collect::<Vec<_>>(), [20, 1]);
}

#[test]
fn a_message_can_be_sent_to_other_groups() {
    let message = json!({"to": "g", "type": "txt", "body": {"msg": "m"}, "users": ["u"]});
    let message = checked(Call::Targeted, message).unwrap();
    let with_to = |to: &[&str]| message.draft().address(ids(to), message.users().to_vec());
    let other = with_to(&["h"]).unwrap();
    assert_eq!((other.to(), other.users()), (&ids(&["h"])[..], message.users()));
    assert_eq!(other.draft(), message.draft());
    assert_eq!(fields_of(with_to(&["h", "i"])), ["to"]);
}
