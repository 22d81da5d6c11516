//! Callbacks that must store nothing.

use serde_json::{Value, json};

use super::{OLD, OTHER, SECRET, Site, ask, md5, message, now_ms, receipt, signature, signed, with, without};

#[test]
fn no_forged_replayed_foreign_or_malformed_callback_stores_anything() {
    let site = Site::start();
    let cases = cases();
    assert!(cases.len() >= 25);
    for (what, app, status, body) in cases {
        let (answered, answer) = site.post(app, &body);
        assert_eq!(answered, status, "{what}: {answer}");
        assert_eq!(site.stored(), [0; 3], "{what}");
        for secret in [SECRET, OLD, OTHER] {
            assert!(!answer.contains(secret), "{what}: {answer}");
        }
    }
    assert_eq!(ask(&site.address, "GET /callbacks/default", b"").0, 405);
    // A genuine one is stored after all of them.
    assert_eq!(site.deliver(&message("c1", "shop", "m1")), 200);
    assert_eq!(site.stored(), [1, 1, 0]);

    explains_and_keeps_no_secret(site);
}

/// A callback that stores nothing: what it is, the app that it is sent to, the status of the answer, and the body.
pub(super) type ForgedCase = (&'static str, &'static str, u16, Vec<u8>);

pub(super) fn cases() -> Vec<ForgedCase> {
    let own = || message("evil", "shop", "evil-message");
    let sign = |event: Value| signed(&event, SECRET);
    let text = |value: &Value| value.to_string().into_bytes();
    let changed = |name: &str, value: Value| {
        let whole: Value = serde_json::from_slice(&sign(own())).unwrap();
        with(whole, name, value)
    };
    let time = own()["timestamp"].to_string();
    let large = format!("{{\"callId\":\"{}\"}}", "x".repeat(1024 * 1024));
    let two = r#"{"callId":"a","callId":"b","timestamp":1,"security":"00"}"#;
    vec![
        ("forged", "default", 401, signed(&own(), "guess")),
        ("signed with another app's secret", "default", 401, signed(&own(), OTHER)),
        ("signed with an empty secret", "default", 401, signed(&own(), "")),
        ("signed with both secrets as one", "default", 401, signed(&own(), &format!("{SECRET}, {OLD}"))),
        ("signed in another order", "default", 401, {
            text(&with(own(), "security", md5(&[SECRET, "evil", &time]).into()))
        }),
        ("an empty signature", "default", 401, text(&with(own(), "security", "".into()))),
        ("half a signature", "default", 401, {
            let signature = signature(&own(), SECRET);
            text(&with(own(), "security", signature[..16].into()))
        }),
        ("the secret as the signature", "default", 401, text(&with(own(), "security", SECRET.into()))),
        ("no signature", "default", 400, text(&own())),
        ("a number as the signature", "default", 400, text(&with(own(), "security", 7.into()))),
        ("another id than was signed", "default", 401, text(&changed("callId", "evil2".into()))),
        (
            "another time than was signed",
            "default",
            401,
            text(&changed("timestamp", (now_ms() + 9_000).into())),
        ),
        ("no id", "default", 400, sign(without(own(), "callId"))),
        ("an empty id", "default", 400, sign(with(own(), "callId", "".into()))),
        ("no time", "default", 400, text(&without(changed("x", 1.into()), "timestamp"))),
        ("a time in words", "default", 400, sign(with(own(), "timestamp", "yesterday".into()))),
        ("a time before 1970", "default", 400, sign(with(own(), "timestamp", (-5).into()))),
        ("two ids", "default", 400, two.into()),
        ("no body", "default", 400, Vec::new()),
        ("not JSON", "default", 400, b"callId=evil".to_vec()),
        ("a list", "default", 400, text(&json!([own()]))),
        ("half an object", "default", 400, sign(own())[..40].to_vec()),
        ("not UTF-8", "default", 400, b"{\"callId\":\"\xff\xfe\"}".to_vec()),
        ("too long", "default", 413, large.into_bytes()),
        ("nested deeply", "default", 400, "[".repeat(100_000).into_bytes()),
        ("another app's event", "default", 403, sign(with(own(), "appkey", "org#other".into()))),
        ("an event of no app", "default", 200, sign(without(own(), "appkey"))),
        ("sent to an unknown app", "nothing", 404, sign(own())),
        ("sent to an unknown path", "default/more", 421, sign(own())),
        ("sent to an app without a secret", "bare", 403, sign(own())),
        ("sent to another app", "other", 401, sign(own())),
        ("sent to another app with its secret", "other", 403, signed(&own(), OTHER)),
        ("of a foreign sender", "default", 200, sign(message("f1", "ann", "m"))),
        ("of a sender in capitals", "default", 200, sign(message("f2", "SHOP", "m"))),
        ("of no sender", "default", 200, sign(without(own(), "from"))),
        ("without a message id", "default", 200, sign(without(own(), "msg_id"))),
        ("without contents", "default", 200, sign(with(own(), "payload", json!({})))),
        ("with two contents", "default", 200, {
            let body = json!({ "type": "txt", "msg": "hello" });
            sign(with(own(), "payload", json!({ "bodies": [body, body] })))
        }),
        ("of an unknown type", "default", 200, {
            sign(with(own(), "payload", json!({ "bodies": [{ "type": "hologram" }] })))
        }),
        (
            "of a chat of two users",
            "default",
            200,
            sign(with(message("f2", "ann", "m"), "chat_type", "chat".into())),
        ),
        ("of an unknown type of chat", "default", 200, sign(with(own(), "chat_type", "talk".into()))),
        ("with a long id", "default", 200, sign(message(&"x".repeat(300), "shop", "m"))),
        ("with a control character", "default", 200, sign(message("nul", "shop", "m\0"))),
        ("a receipt of a foreign message", "default", 200, sign(receipt("r", "ann", "foreign"))),
        (
            "a receipt without its message",
            "default",
            200,
            sign(with(receipt("r", "a", "m"), "payload", json!({}))),
        ),
        ("a recall", "default", 200, {
            sign(with(with(own(), "chat_type", "recall".into()), "recall_id", "m".into()))
        }),
        ("an edit", "default", 200, {
            let edit = json!({ "edit_message_id": "m" });
            sign(with(with(own(), "chat_type", "edit".into()), "payload", edit))
        }),
        ("a new member", "default", 200, {
            let joined = json!({ "operation": "presence" });
            sign(with(with(own(), "chat_type", "muc".into()), "payload", joined))
        }),
        ("a push", "default", 200, sign(with(own(), "chat_type", "push".into()))),
    ]
}

/// The log names the reasons, and neither the log nor the ledger has a secret.
fn explains_and_keeps_no_secret(site: Site) {
    let Site { project, serving, .. } = site;
    let told = serving.stop().exits(0);
    let log = format!("{}{}", told.stdout, told.stderr);
    for line in ["its signature is wrong", "event of another app", "the app has no callback secret"] {
        assert!(log.contains(line), "{line}: {log}");
    }
    for secret in [SECRET, OLD, OTHER] {
        assert!(!log.contains(secret), "{log}");
        assert!(!project.keeps(secret), "a secret is in the ledger");
    }
}
