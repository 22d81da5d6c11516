//! Refused messages: the right field, all problems at once, helpful sentences.

use serde_json::{Value, json};

use super::malformed::{body, body_cases, cases, message, numbered, targeted, targeted_cases};
use super::{checked, refused_fields};
use crate::core::Call;
use crate::message::{MessageLimits, MessageProblems, check};

#[test]
fn each_is_refused_for_its_field_and_no_other() {
    let cases = cases().into_iter().chain(body_cases()).map(|case| (Call::Group, case));
    let cases: Vec<_> =
        cases.chain(targeted_cases().into_iter().map(|case| (Call::Targeted, case))).collect();
    assert!(cases.len() >= 60);
    for (call, (message, field)) in cases {
        let problems = checked(call, message.clone()).expect_err(&format!("{message} must be refused"));
        let named: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        // A misspelt required field is also missing.
        assert!(
            named == [field] || (field == "body.Action" && named.contains(&field)),
            "{message}: {problems}"
        );
        for problem in &problems {
            assert!(problem.limit.is_some(), "{problem}");
            assert!(problem.message.contains(&problem.field) && !problem.message.contains('\n'), "{problem}");
            assert!(problem.value.is_some() || problem.message.contains("is missing"), "{problem}");
        }
    }
}

#[test]
fn what_is_at_a_limit_is_accepted() {
    let exts: serde_json::Map<_, _> = numbered(16).into_iter().map(|key| (key, json!("v"))).collect();
    for at_limit in [
        message(json!({"to": numbered(3)})),
        message(json!({"roam_ignore_users": numbered(20)})),
        body("custom", json!({"customExts": exts})),
        body("custom", json!({"customEvent": "e".repeat(32)})),
        body("txt", json!({"msg": "x".repeat(5110)})),
    ] {
        assert!(checked(Call::Group, at_limit.clone()).is_ok(), "{at_limit}");
    }
    assert!(checked(Call::Targeted, targeted(json!({"users": numbered(20)}))).is_ok());
}

#[test]
fn all_problems_are_reported_at_once() {
    let message = json!({"from": "", "to": ["a", "a"], "type": "audio", "body": {"length": "x"}, "ext": null,
        "routetype": "R", "need_group_ack": 0, "roam_ignore_users": 1, "users": [], "tpye": 1});
    let mut fields = refused_fields(Call::Group, message);
    fields.sort();
    let expected = [
        "body.length",
        "body.url",
        "ext",
        "from",
        "need_group_ack",
        "roam_ignore_users",
        "routetype",
        "to[2]",
        "tpye",
        "users",
    ];
    assert_eq!(fields, expected);
    // This also holds for an unknown type, which says nothing about the body.
    let message = json!({"to": "g", "type": "t", "body": {"msg": "x".repeat(6000)}, "ext": 1});
    assert_eq!(refused_fields(Call::Group, message), ["type", "ext", "body"]);
}

fn said(call: Call, message: Value) -> String {
    let problems: MessageProblems = checked(call, message).unwrap_err();
    problems.to_string()
}

#[test]
fn a_problem_says_what_was_probably_meant() {
    let group = |message: Value| said(Call::Group, message);
    for (problem, hint) in [
        (group(message(json!({"tpye": 1}))), "did you mean `type`?"),
        (group(message(json!({"need_group_acks": true}))), "did you mean `need_group_ack`?"),
        (group(message(json!({"users": ["u"]}))), "im.targeted_send"),
        (group(message(json!({"msg": "m"}))), "inside `body`"),
        (group(body("txt", json!({"msg": "m", "ext": {}}))), "beside `body`"),
        (group(body("txt", json!({"masg": "m"}))), "did you mean `msg`?"),
        (group(body("img", json!({"url": "u", "length": 3}))), "belongs to audio, video"),
        (group(body("img", json!({"url": "u", "size": {"widht": 1}}))), "did you mean `width`?"),
        (group(body("custom", json!({"custom_event": "e"}))), "did you mean `customEvent`?"),
        (group(message(json!({"type": "text"}))), "did you mean `txt`?"),
        (group(message(json!({"type": "image"}))), "did you mean `img`?"),
        (group(message(json!({"type": "location"}))), "did you mean `loc`?"),
        (said(Call::Targeted, targeted(json!({"routetype": "ROUTE_ONLINE"}))), "im.group_send"),
    ] {
        assert!(problem.contains(hint), "{problem}");
    }
    assert!(!group(message(json!({"zzzzzz": 1}))).contains("did you mean"));
    assert!(!group(message(json!({"type": "poem"}))).contains("did you mean"));
}

#[test]
fn a_problem_names_limit_and_value() {
    let too_large = body("txt", json!({"msg": "x".repeat(5111)}));
    let problems = checked(Call::Group, too_large).unwrap_err();
    let expected =
        "`body` and `ext` take 5121 bytes together as JSON, 1 over the limit of 5120 (`body` 5121, `ext` 0)";
    assert_eq!(problems.to_string(), expected);
    assert_eq!(
        said(Call::Group, message(json!({"to": numbered(5)}))),
        "`to` has 5 groups; a group message goes to at most 3 groups in one call"
    );
    assert_eq!(said(Call::Group, message(json!({"ext": null}))), "`ext` must be an object, not null");
}

#[test]
fn the_size_limit_is_the_apps_own() {
    let limits = MessageLimits { message_bytes: 11, ..MessageLimits::default() };
    assert_eq!(check(Call::Group, body("txt", json!({"msg": "m"})), &limits).unwrap().size(), 11);
    assert!(check(Call::Group, body("txt", json!({"msg": "mm"})), &limits).is_err());
}

#[test]
fn a_flood_of_problems_is_counted_not_listed() {
    let problems = checked(Call::Group, message(json!({"to": vec![Value::Null; 100_000]}))).unwrap_err();
    assert_eq!(problems.count(), 100_001);
    assert_eq!(problems.iter().count(), MessageProblems::MAX_LISTED);
    assert!(problems.to_string().ends_with("and 99901 more"));
}

#[test]
fn hostile_names_and_values_are_shown_harmlessly() {
    let name = "\u{1b}[2J\u{202e}".repeat(1000);
    let bad = json!({"to": ["a\u{7}", "a\u{7}"], "type": name, "body": {(&name): 1},
        (&name): 2, "from": 0.5, "ext": {"em_ignore_notification": name}});
    let problems = checked(Call::Group, bad).unwrap_err();
    let shown = format!("{problems}");
    assert!(!shown.contains(|letter: char| letter.is_control() || letter == '\u{202e}'), "{shown:?}");
    assert!(problems.iter().all(|problem| problem.message.len() < 1000));
}
