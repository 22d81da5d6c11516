//! Which callbacks prove their sender.

use data_encoding::{HEXLOWER, HEXUPPER};
use md5::{Digest, Md5};
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::records::{RecordError, SignatureCheck, SignedFields};

const NOW: i64 = 1_796_000_000_000;
const DAY: i64 = 24 * 60 * 60 * 1000;

fn hash(call_id: &str, secret: &str, timestamp: &str) -> String {
    HEXLOWER.encode(&Md5::digest(format!("{call_id}{secret}{timestamp}")))
}

fn check(body: Value, secrets: &[&str]) -> SignatureCheck {
    let secrets: Vec<_> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    SignedFields::parse(body.to_string().as_bytes()).unwrap().check(&secrets, NOW)
}

#[test]
fn a_signature_of_any_of_the_secrets_is_valid_in_both_cases_of_hex() {
    let right = hash("org#app_1", "new", &NOW.to_string());
    let upper = HEXUPPER.encode(&HEXLOWER.decode(right.as_bytes()).unwrap());
    for security in [&right, &upper] {
        for timestamp in [json!(NOW), json!(NOW.to_string())] {
            let body =
                json!({ "callId": "org#app_1", "timestamp": timestamp, "security": security, "more": [1] });
            for secrets in [&["new"][..], &["old", "new"], &["new", "old"], &["", "new"]] {
                assert_eq!(check(body.clone(), secrets), SignatureCheck::Valid, "{body} {secrets:?}");
            }
            for secrets in [&[][..], &["old"], &["New"], &["new "], &[""]] {
                assert_eq!(check(body.clone(), secrets), SignatureCheck::Forged, "{body} {secrets:?}");
            }
        }
    }
}

#[test]
fn a_callback_more_than_a_day_away_is_stale_and_a_forged_one_is_forged_at_any_time() {
    for (at, expected) in [
        (NOW - DAY, SignatureCheck::Valid),
        (NOW - DAY - 1, SignatureCheck::Stale),
        (NOW + DAY, SignatureCheck::Valid),
        (NOW + DAY + 1, SignatureCheck::Stale),
        (0, SignatureCheck::Stale),
    ] {
        let right = hash("a", "s", &at.to_string());
        let body = |security: &str| json!({ "callId": "a", "timestamp": at, "security": security });
        assert_eq!(check(body(&right), &["s"]), expected, "{at}");
        for wrong in ["", "s", &right[1..], &format!("{right}00"), &hash("a", "", &at.to_string())] {
            assert_eq!(check(body(wrong), &["s", ""]), SignatureCheck::Forged, "{at} {wrong}");
        }
    }
}

#[test]
fn an_empty_secret_signs_nothing() {
    let body = json!({ "callId": "a", "timestamp": NOW, "security": hash("a", "", &NOW.to_string()) });
    assert_eq!(check(body, &["", "s"]), SignatureCheck::Forged);
}

#[test]
fn what_is_not_signed_fields_is_refused_without_its_values() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"callId":"a","timestamp":1}"#,
        r#"{"callId":"","timestamp":1,"security":"x"}"#,
        r#"{"callId":"a","timestamp":-1,"security":"x"}"#,
        r#"{"callId":"a","timestamp":1.5,"security":"x"}"#,
        r#"{"callId":"a","timestamp":"","security":"x"}"#,
        r#"{"callId":"a","timestamp":"+1","security":"x"}"#,
        r#"{"callId":"a","timestamp":"1 ","security":"x"}"#,
        r#"{"callId":"a","timestamp":99999999999999999,"security":"x"}"#,
        r#"{"callId":"a","callId":"b","timestamp":1,"security":"x"}"#,
        r#"{"callId":"a","timestamp":1,"timestamp":2,"security":"x"}"#,
        r#"{"callId":7,"timestamp":1,"security":"hidden-value"}"#,
    ] {
        let error = SignedFields::parse(body.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("hidden-value"), "{error}");
    }
    let error = SignedFields::parse(b"{\n \"callId\": 7 }").unwrap_err();
    assert!(matches!(error, RecordError::Json { line: 2, .. }), "{error}");
}

proptest! {
    #[test]
    fn no_other_text_than_the_hash_is_valid(
        call_id in "[a-z#_0-9]{1,12}", secret in "[a-zA-Z0-9]{1,16}", security in ".{0,40}", at in 0..2 * NOW,
    ) {
        let right = hash(&call_id, &secret, &at.to_string());
        prop_assume!(!security.eq_ignore_ascii_case(&right));
        let body = json!({ "callId": call_id, "timestamp": at, "security": security });
        prop_assert_eq!(check(body, &[&secret]), SignatureCheck::Forged);
        let body = json!({ "callId": call_id, "timestamp": at, "security": right });
        prop_assert_ne!(check(body, &[&secret]), SignatureCheck::Forged);
    }

    #[test]
    fn no_body_breaks_the_reading(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = SignedFields::parse(&body);
        let _ = crate::records::CallbackEvent::parse(&body);
    }
}
