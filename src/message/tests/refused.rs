//! Malformed messages, each with the one field it is refused for.

use serde_json::{Value, json};

use super::{checked, refused_fields};
use crate::message::{Call, Limits, Problems, check};

/// A good message in which some fields were replaced; a `null` stays one.
fn message(changes: Value) -> Value {
    let mut message = json!({"to": ["g1"], "type": "txt", "body": {"msg": "m"}});
    message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    message
}

fn targeted(changes: Value) -> Value {
    let mut message = message(json!({"users": ["u1"]}));
    message.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    message
}

fn without(mut message: Value, field: &str) -> Value {
    message.as_object_mut().unwrap().remove(field).unwrap();
    message
}

fn body(kind: &str, body: Value) -> Value {
    message(json!({"type": kind, "body": body}))
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("id{number}")).collect()
}

/// Group messages and the field that is wrong in each.
#[rustfmt::skip]
fn group_cases() -> Vec<(Value, &'static str)> {
    let seventeen: serde_json::Map<_, _> = numbered(17).into_iter().map(|key| (key, json!("v"))).collect();
    vec![
        (json!("hello"), ""),
        (json!(null), ""),
        (json!([]), ""),
        (message(json!({"from": ""})), "from"),
        (message(json!({"from": null})), "from"),
        (message(json!({"from": true})), "from"),
        (message(json!({"from": 1.5})), "from"),
        (without(message(json!({})), "to"), "to"),
        (message(json!({"to": []})), "to"),
        (message(json!({"to": {}})), "to"),
        (message(json!({"to": null})), "to"),
        (message(json!({"to": ""})), "to"),
        (message(json!({"to": 0.5})), "to"),
        (message(json!({"to": true})), "to"),
        (message(json!({"to": numbered(4)})), "to"),
        (message(json!({"to": ["a", ""]})), "to[1]"),
        (message(json!({"to": ["a", "b", "a"]})), "to[2]"),
        (message(json!({"to": ["7", 7]})), "to[1]"),
        (message(json!({"to": [["a"]]})), "to[0]"),
        (message(json!({"to": ["a", null]})), "to[1]"),
        (message(json!({"to": [1e17]})), "to[0]"),
        (without(message(json!({})), "type"), "type"),
        (message(json!({"type": ""})), "type"),
        (message(json!({"type": "text"})), "type"),
        (message(json!({"type": "TXT"})), "type"),
        (message(json!({"type": 1})), "type"),
        (message(json!({"type": null})), "type"),
        (without(message(json!({})), "body"), "body"),
        (message(json!({"body": {}})), "body"),
        (message(json!({"body": []})), "body"),
        (message(json!({"body": "m"})), "body"),
        (message(json!({"body": null})), "body"),
        (body("txt", json!({"msg": 5})), "body.msg"),
        (body("txt", json!({"msg": null})), "body.msg"),
        (body("txt", json!({"msg": ["m"]})), "body.msg"),
        (body("txt", json!({"msg": "m", "url": "u"})), "body.url"),
        (body("txt", json!({"msg": "m", "ext": {}})), "body.ext"),
        (body("img", json!({"filename": "f"})), "body.url"),
        (body("img", json!({"url": ""})), "body.url"),
        (body("img", json!({"url": 5})), "body.url"),
        (body("img", json!({"url": "u", "secret": false})), "body.secret"),
        (body("img", json!({"url": "u", "filename": 1})), "body.filename"),
        (body("img", json!({"url": "u", "size": 12})), "body.size"),
        (body("img", json!({"url": "u", "size": null})), "body.size"),
        (body("img", json!({"url": "u", "size": {"width": 1}})), "body.size.height"),
        (body("img", json!({"url": "u", "size": {"width": "1", "height": 1}})), "body.size.width"),
        (body("img", json!({"url": "u", "size": {"width": 1, "height": 1.5}})), "body.size.height"),
        (body("img", json!({"url": "u", "size": {"width": -1, "height": 1}})), "body.size.width"),
        (body("img", json!({"url": "u", "size": {"width": 1, "height": 1, "depth": 1}})), "body.size.depth"),
        (body("img", json!({"url": "u", "length": 3})), "body.length"),
        (body("audio", json!({"url": "u", "length": -3})), "body.length"),
        (body("audio", json!({"url": "u", "Length": "3"})), "body.Length"),
        (body("audio", json!({"length": 3})), "body.url"),
        (body("video", json!({"url": "u", "length": 0.5})), "body.length"),
        (body("video", json!({"url": "u", "file_length": "9"})), "body.file_length"),
        (body("video", json!({"url": "u", "file_length": 1e300})), "body.file_length"),
        (body("video", json!({"url": "u", "thumb": 1})), "body.thumb"),
        (body("video", json!({"url": "u", "thumb": ""})), "body.thumb"),
        (body("video", json!({"url": "u", "thumb_secret": 1})), "body.thumb_secret"),
        (body("file", json!({"filename": "f"})), "body.url"),
        (body("file", json!({"url": "u", "size": 1})), "body.size"),
        (body("loc", json!({"lng": "1", "addr": "a"})), "body.lat"),
        (body("loc", json!({"lat": "1", "addr": "a"})), "body.lng"),
        (body("loc", json!({"lat": "1", "lng": "2"})), "body.addr"),
        (body("loc", json!({"lat": "", "lng": "2", "addr": "a"})), "body.lat"),
        (body("loc", json!({"lat": "1", "lng": true, "addr": "a"})), "body.lng"),
        (body("loc", json!({"lat": "1", "lng": "2", "addr": ""})), "body.addr"),
        (body("cmd", json!({"Action": "a"})), "body.Action"),
        (body("cmd", json!({"action": ""})), "body.action"),
        (body("cmd", json!({"action": 1})), "body.action"),
        (body("custom", json!({})), "body"),
        (body("custom", json!({"customEvent": ""})), "body.customEvent"),
        (body("custom", json!({"customEvent": "a b"})), "body.customEvent"),
        (body("custom", json!({"customEvent": "事件"})), "body.customEvent"),
        (body("custom", json!({"customEvent": "ok\n"})), "body.customEvent"),
        (body("custom", json!({"customEvent": "e".repeat(33)})), "body.customEvent"),
        (body("custom", json!({"customEvent": 1})), "body.customEvent"),
        (body("custom", json!({"customExts": seventeen})), "body.customExts"),
        (body("custom", json!({"customExts": []})), "body.customExts"),
        (body("custom", json!({"customExts": {"k": 1}})), "body.customExts.k"),
        (body("custom", json!({"customExts": {"k": null}})), "body.customExts.k"),
        (body("custom", json!({"customexts": {"k": "v"}})), "body.customexts"),
        (message(json!({"ext": null})), "ext"),
        (message(json!({"ext": []})), "ext"),
        (message(json!({"ext": "e"})), "ext"),
        (message(json!({"ext": {"em_ignore_notification": "true"}})), "ext.em_ignore_notification"),
        (message(json!({"ext": {"em_ignore_notification": null}})), "ext.em_ignore_notification"),
        (message(json!({"ext": {"k": "x".repeat(5200)}})), "ext"),
        (body("txt", json!({"msg": "x".repeat(5200)})), "body"),
        (message(json!({"roam_ignore_users": numbered(21)})), "roam_ignore_users"),
        (message(json!({"roam_ignore_users": "u"})), "roam_ignore_users"),
        (message(json!({"roam_ignore_users": {}})), "roam_ignore_users"),
        (message(json!({"roam_ignore_users": ["u", {}]})), "roam_ignore_users[1]"),
        (message(json!({"roam_ignore_users": null})), "roam_ignore_users"),
        (message(json!({"routetype": "ROUTE_OFFLINE"})), "routetype"),
        (message(json!({"routetype": "route_online"})), "routetype"),
        (message(json!({"routetype": ""})), "routetype"),
        (message(json!({"routetype": true})), "routetype"),
        (message(json!({"need_group_ack": "yes"})), "need_group_ack"),
        (message(json!({"need_group_ack": 1})), "need_group_ack"),
        (message(json!({"users": ["u"]})), "users"),
        (message(json!({"msg": "m"})), "msg"),
        (message(json!({"routeType": "ROUTE_ONLINE"})), "routeType"),
    ]
}

/// Targeted messages and the field that is wrong in each.
fn targeted_cases() -> Vec<(Value, &'static str)> {
    vec![
        (without(targeted(json!({})), "users"), "users"),
        (targeted(json!({"users": []})), "users"),
        (targeted(json!({"users": {}})), "users"),
        (targeted(json!({"users": "u1"})), "users"),
        (targeted(json!({"users": null})), "users"),
        (targeted(json!({"users": numbered(21)})), "users"),
        (targeted(json!({"users": ["a", "a"]})), "users[1]"),
        (targeted(json!({"users": [3, 4, "3"]})), "users[2]"),
        (targeted(json!({"users": [""]})), "users[0]"),
        (targeted(json!({"users": ["a", false]})), "users[1]"),
        (targeted(json!({"to": ["a", "b"]})), "to"),
        (targeted(json!({"to": []})), "to"),
        (targeted(json!({"from": ""})), "from"),
        (targeted(json!({"need_group_ack": false})), "need_group_ack"),
        (targeted(json!({"roam_ignore_users": []})), "roam_ignore_users"),
        (targeted(json!({"routetype": "ROUTE_ONLINE"})), "routetype"),
    ]
}

#[test]
fn each_is_refused_for_its_field_and_no_other() {
    let cases = group_cases().into_iter().map(|case| (Call::Group, case));
    let cases: Vec<_> =
        cases.chain(targeted_cases().into_iter().map(|case| (Call::Targeted, case))).collect();
    assert!(cases.len() >= 60);
    for (call, (message, field)) in cases {
        let problems = checked(call, message.clone()).expect_err(&format!("{message} must be refused"));
        let named: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        // A misspelt required field is missing as well.
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
        "to[1]",
        "tpye",
        "users",
    ];
    assert_eq!(fields, expected);
    // Even with a type that tells nothing of the body.
    let message = json!({"to": "g", "type": "t", "body": {"msg": "x".repeat(6000)}, "ext": 1});
    assert_eq!(refused_fields(Call::Group, message), ["type", "ext", "body"]);
}

fn said(call: Call, message: Value) -> String {
    let problems: Problems = checked(call, message).unwrap_err();
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
        "`to` names 5 groups, a group message goes to at most 3 groups in one call"
    );
    assert_eq!(said(Call::Group, message(json!({"ext": null}))), "`ext` must be an object, not null");
}

#[test]
fn the_size_limit_is_the_apps_own() {
    let limits = Limits { message_bytes: 11 };
    assert_eq!(check(Call::Group, body("txt", json!({"msg": "m"})), &limits).unwrap().size(), 11);
    assert!(check(Call::Group, body("txt", json!({"msg": "mm"})), &limits).is_err());
}

#[test]
fn a_flood_of_problems_is_counted_not_listed() {
    let problems = checked(Call::Group, message(json!({"to": vec![Value::Null; 100_000]}))).unwrap_err();
    assert_eq!(problems.count(), 100_001);
    assert_eq!(problems.iter().count(), Problems::MAX_LISTED);
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
