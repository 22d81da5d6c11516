//! Values that scripts may write in another form than is sent: ids, degrees, whole numbers, uploaded files.

use serde_json::{Value, json};

use super::{checked, refused_fields, sent};
use crate::core::Call;
use crate::message::{IdKind, id};

fn body_sent(kind: &str, body: Value) -> Value {
    sent(Call::Group, json!({"to": "g", "type": kind, "body": body}))["body"].clone()
}

fn body_refused(kind: &str, body: Value) -> Vec<String> {
    refused_fields(Call::Group, json!({"to": "g", "type": kind, "body": body}))
}

#[test]
fn ids_may_be_numbers_and_to_may_be_one_id() {
    let message = json!({"to": 184_524_748_161_025_u64, "from": 7, "type": "txt", "body": {"msg": "m"},
        "roam_ignore_users": [1, "b"]});
    let sent = sent(Call::Group, message);
    assert_eq!(sent["to"], json!(["184524748161025"]));
    assert_eq!(sent["from"], json!("7"));
    assert_eq!(sent["roam_ignore_users"], json!(["1", "b"]));
}

#[test]
fn ids_lose_no_digit() {
    for (given, expected) in [
        (json!(184_524_748_161_025_u64), "184524748161025"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!("007"), "007"),
    ] {
        assert_eq!(id("to", given, IdKind::Group).unwrap(), expected);
    }
    for bad in [
        json!(1.5),
        json!(184_524_748_161_025.0),
        json!(1.84525e14),
        json!(-0.0),
        json!(-5),
        json!("1.84525E14"),
        json!("A;B"),
        json!(9_007_199_254_740_994.0),
        json!(1e300),
        json!(""),
        json!(true),
        json!([]),
    ] {
        assert_eq!(id("group_id", bad, IdKind::Group).unwrap_err().field, "group_id");
    }
}

#[test]
fn degrees_may_be_numbers() {
    let body = body_sent("loc", json!({"lat": 39.966, "lng": -116.0, "addr": "a"}));
    assert_eq!(body, json!({"lat": "39.966", "lng": "-116", "addr": "a"}));
    assert_eq!(body_sent("loc", json!({"lat": 40, "lng": "x", "addr": "a"}))["lat"], json!("40"));
}

#[test]
fn a_float_without_a_fraction_is_a_whole_number() {
    let body = body_sent("img", json!({"url": "u", "size": {"width": 360.0, "height": 720}}));
    assert_eq!(body["size"], json!({"width": 360, "height": 720}));
}

#[test]
fn audio_takes_both_spellings_of_length_but_not_at_once() {
    assert_eq!(body_sent("audio", json!({"url": "u", "Length": 3})), json!({"url": "u", "length": 3}));
    assert_eq!(body_refused("audio", json!({"url": "u", "Length": 3, "length": 3})), ["body.Length"]);
    assert_eq!(body_refused("video", json!({"url": "u", "Length": 3})), ["body.Length"]);
}

fn uploaded() -> Value {
    json!({"uuid": "i", "url": "https://h/i", "secret": "s", "filename": "f.x", "size": 999, "width": 4,
        "height": 3, "duration": 2.5, "kept_since": "today"})
}

#[test]
fn an_uploaded_file_fills_what_its_type_has() {
    let common = json!({"url": "https://h/i", "secret": "s", "filename": "f.x"});
    let with = |more: Value| {
        let mut body = common.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let filled = |kind| body_sent(kind, json!({"file": uploaded()}));
    assert_eq!(filled("img"), with(json!({"size": {"width": 4, "height": 3}})));
    assert_eq!(filled("audio"), with(json!({"length": 3})));
    assert_eq!(filled("video"), with(json!({"length": 3, "file_length": 999})));
    assert_eq!(filled("file"), common);
}

#[test]
fn what_a_body_says_itself_comes_before_its_file() {
    let body = json!({"file": uploaded(), "filename": "mine", "length": 9, "file_length": 8, "secret": "t",
        "url": "https://h/j", "thumb": {"url": "https://h/t", "secret": "ts", "size": 3}});
    let expected = json!({"filename": "mine", "length": 9, "file_length": 8, "secret": "t", "url": "https://h/j",
        "thumb": "https://h/t", "thumb_secret": "ts"});
    assert_eq!(body_sent("video", body), expected);
    let thumb = json!({"url": "u", "thumb": {"url": "t", "secret": "a"}, "thumb_secret": "b"});
    assert_eq!(body_sent("video", thumb), json!({"url": "u", "thumb": "t", "thumb_secret": "b"}));
}

#[test]
fn a_file_without_what_is_not_known_of_it_fills_less() {
    let body = body_sent("img", json!({"file": {"url": "u", "width": 4, "secret": null}}));
    assert_eq!(body, json!({"url": "u"}));
}

#[test]
fn a_file_that_im_upload_did_not_return_is_refused() {
    assert_eq!(body_refused("img", json!({"file": {"uuid": "i"}})), ["body.file.url"]);
    assert_eq!(body_refused("img", json!({"file": "a.png"})), ["body.file"]);
    assert_eq!(body_refused("img", json!({"file": {"url": "u", "width": "4"}})), ["body.file.width"]);
    assert_eq!(body_refused("audio", json!({"file": {"url": "u", "duration": -1}})), ["body.file.duration"]);
    assert_eq!(body_refused("video", json!({"url": "u", "thumb": {"secret": "s"}})), ["body.thumb.url"]);
    assert_eq!(body_refused("txt", json!({"msg": "m", "file": uploaded()})), ["body.file"]);
}

#[test]
fn a_share_secret_is_sent_and_shown_nowhere() {
    let canary = "c4n4ry";
    let good = json!({"to": "g", "type": "video", "body": {"file": {"url": "u", "secret": canary},
        "thumb": {"url": "t", "secret": canary}}});
    let message = checked(Call::Group, good).unwrap();
    assert_eq!(String::from_utf8_lossy(&message.to_json()).matches(canary).count(), 2);
    assert!(!format!("{message:?} {:?}", message.draft()).contains(canary));

    for body in [
        json!({"url": "u", "secret": {"secret": canary}}),
        json!({"url": "u", "secret": [canary]}),
        json!({"url": "u", "thumb": [canary], "thumb_secret": {"s": canary}}),
        json!({"url": "u", "Secret": canary, "sercet": canary}),
        json!({"url": {"url": "u", "secret": canary}, "filename": [canary]}),
        json!({"file": [{"secret": canary}]}),
        json!({"file": {"secret": canary}}),
    ] {
        let problems = checked(Call::Group, json!({"to": "g", "type": "video", "body": body})).unwrap_err();
        assert!(!format!("{problems} {problems:?}").contains(canary), "{problems}");
    }
    // A number where a secret belongs: even its digits are not shown.
    let problems =
        checked(Call::Group, json!({"to": "g", "type": "file", "body": {"url": "u", "secret": 987_654}}));
    assert!(!problems.unwrap_err().to_string().contains("987654"));
}
