//! Properties that hold for every message.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::checked;
use crate::core::{Call, nearest};
use crate::message::limits::MESSAGE_BYTES;
use crate::message::{
    IdKind, MessageKind, MessageLimits, body_fields, check, check_draft, fields, id, types,
};

/// Any JSON. Floats are multiples of 0.5, which the parser reads back exactly.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|halves| Value::from(f64::from(halves) / 2.0)),
        any::<String>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let name = prop_oneof![any_name_of(1), "[a-z_]{1,8}"];
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(name, inner, 0..6).prop_map(|map| Value::from(Map::from_iter(map))),
        ]
    })
}

/// A name of at least `letters` letters that some message knows, so that random objects are similar to messages. A
/// slip in a shorter name gives another known name.
fn any_name_of(letters: usize) -> impl Strategy<Value = String> {
    let bodies = MessageKind::ALL.into_iter().flat_map(body_fields);
    let names = fields(Call::Group).iter().chain(fields(Call::Targeted)).chain(bodies).copied();
    let names: Vec<_> = names.filter(|name| name.len() >= letters).collect();
    proptest::sample::select(names).prop_map(str::to_owned)
}

fn any_id() -> impl Strategy<Value = Value> {
    prop_oneof![r"g[a-z0-9\\群]{0,11}".prop_map(Value::from), (0..=i64::MAX).prop_map(Value::from)]
}

/// A set of different ids with a size in `range`.
fn some_ids(range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    btree_set(r"g[a-z\\群]{0,8}", range).prop_map(|ids| ids.into_iter().collect())
}

/// Returns an object with the fields that are not null.
fn object(fields: &[(&str, Value)]) -> Value {
    let given = fields.iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>().into()
}

fn any_body() -> impl Strategy<Value = (&'static str, Value)> {
    let name = || option::of(any::<String>());
    let count = || option::of(any::<u64>());
    let file = (".{1,30}", name(), name(), count(), option::of((any::<u64>(), any::<u32>())), count());
    let exts = option::of(btree_map(any::<String>(), any::<String>(), 0..=16));
    prop_oneof![
        any::<String>().prop_map(|msg| ("txt", json!({"msg": format!("{msg}.")}))),
        ".+".prop_map(|action| ("cmd", json!({"action": action}))),
        (any::<i32>(), ".+", ".+").prop_map(|(lat, lng, addr)| {
            ("loc", json!({"lat": f64::from(lat) / 4.0, "lng": lng, "addr": addr}))
        }),
        ("[a-zA-Z0-9_/.-]{1,32}", exts).prop_map(|(event, exts)| {
            ("custom", object(&[("customEvent", json!(event)), ("customExts", json!(exts))]))
        }),
        (proptest::sample::select(vec!["img", "audio", "video", "file"]), file).prop_map(
            |(kind, (url, secret, filename, length, size, bytes))| {
                let mut given =
                    vec![("url", json!(url)), ("secret", json!(secret)), ("filename", json!(filename))];
                match kind {
                    "img" => given.push((
                        "size",
                        size.map_or(Value::Null, |(width, height)| json!({"width": width, "height": height})),
                    )),
                    "audio" => given.extend([("Length", json!(length)), ("file_length", json!(bytes))]),
                    "video" => given.extend([
                        ("length", json!(length)),
                        ("file_length", json!(bytes)),
                        ("thumb", json!(url)),
                        ("thumb_secret", json!(secret)),
                    ]),
                    _ => {}
                }
                (kind, object(&given))
            }
        ),
    ]
}

/// A message that keeps every limit except perhaps the size limit.
fn any_message() -> impl Strategy<Value = (Call, Value)> {
    let ext = option::of(btree_map("[a-z]{1,5}", any_json(), 0..4));
    let common = (option::of(any_id()), any_body(), ext);
    let group = (some_ids(1..4), option::of(any::<bool>()), option::of(some_ids(0..21)), any::<bool>());
    prop_oneof![
        (common, group).prop_map(|((from, (kind, body), ext), (to, ack, ignore, online))| {
            let online = if online { json!("ROUTE_ONLINE") } else { Value::Null };
            let fields = [
                ("from", json!(from)),
                ("to", json!(to)),
                ("type", json!(kind)),
                ("body", body),
                ("ext", json!(ext)),
                ("need_group_ack", json!(ack)),
                ("roam_ignore_users", json!(ignore)),
                ("routetype", online),
            ];
            (Call::Group, object(&fields))
        }),
        (option::of(any_id()), any_body(), any_id(), some_ids(1..21)).prop_map(
            |(from, (kind, body), to, users)| {
                let fields = [
                    ("from", json!(from)),
                    ("to", to),
                    ("type", json!(kind)),
                    ("body", body),
                    ("users", json!(users)),
                ];
                (Call::Targeted, object(&fields))
            }
        ),
    ]
}

proptest! {
    #[test]
    fn what_is_accepted_is_accepted_again_and_the_same((call, message) in any_message()) {
        let first = check(call, message, &MessageLimits { message_bytes: usize::MAX, ..MessageLimits::default() }).unwrap();
        let json = first.to_json();
        let sent: Value = serde_json::from_slice(&json).unwrap();
        let second = check(call, sent.clone(), &MessageLimits { message_bytes: first.size(), ..MessageLimits::default() }).unwrap();
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(&serde_json::to_vec(&first).unwrap(), &json);

        // The size counts exactly the bytes that are sent.
        let text = String::from_utf8(json.to_vec()).unwrap();
        let body = serde_json::to_string(first.draft().body().unwrap()).unwrap();
        let has_body = text.contains(&format!("\"body\":{body}"));
        prop_assert!(has_body);
        let ext = first.draft().ext_json().map_or("", |ext| std::str::from_utf8(ext).unwrap());
        let ends_with_ext = text.ends_with(&format!("{ext}}}"));
        prop_assert!(ends_with_ext);
        prop_assert_eq!(sent.get("ext").is_some(), !ext.is_empty());
        prop_assert_eq!(first.size(), body.len() + ext.len());
        prop_assert_eq!(first.draft().body_json(), body.as_bytes());

        let too_small = MessageLimits { message_bytes: first.size() - 1, ..MessageLimits::default() };
        prop_assert!(check(call, sent, &too_small).is_err());
    }

    #[test]
    fn the_limit_is_exact_to_the_byte(letters in "[a-z群\"\\\\\n]{0,200}", with_ext in any::<bool>()) {
        let build = |msg: &str| {
            let mut message = json!({"to": "g", "type": "txt", "body": {"msg": format!(".{msg}")}});
            if with_ext {
                message["ext"] = json!({"k": letters});
            }
            message
        };
        let room = MESSAGE_BYTES - checked(Call::Group, build(&letters)).unwrap().size();
        let filled = format!("{letters}{}", "x".repeat(room));
        prop_assert_eq!(checked(Call::Group, build(&filled)).unwrap().size(), MESSAGE_BYTES);
        let problems = checked(Call::Group, build(&format!("{filled}x"))).unwrap_err();
        prop_assert!(problems.to_string().contains("5121 bytes together as JSON, 1 over the limit of 5120"));
    }

    #[test]
    fn an_id_of_any_whole_number_keeps_its_digits(number in 0..=i64::MAX) {
        prop_assert_eq!(id("to", json!(number), IdKind::Group).unwrap(), number.to_string());
        let message = json!({"to": [number], "from": number, "type": "txt", "body": {"msg": "m"}, "users": [number]});
        let message = checked(Call::Targeted, message).unwrap();
        prop_assert_eq!(&message.to()[0], &number.to_string());
        prop_assert_eq!(&message.users()[0], &number.to_string());
        prop_assert_eq!(message.draft().from().unwrap(), number.to_string());
    }

    #[test]
    fn any_json_is_accepted_or_refused_for_a_field(value in any_json(), targeted in any::<bool>()) {
        let call = if targeted { Call::Targeted } else { Call::Group };
        let is_object = value.is_object();
        if let Err(problems) = checked(call, value.clone()) {
            prop_assert!(problems.count() > 0);
            prop_assert!(problems.iter().all(|problem| problem.field.is_empty() != is_object));
        }
        let _ = check_draft(call, value, &MessageLimits::default());
    }

    #[test]
    fn a_damaged_message_is_refused_for_the_damaged_field(
        (call, mut message) in any_message(),
        at in any::<prop::sample::Index>(),
        junk in prop_oneof![Just(Value::Null), Just(json!({"?": {}})), Just(json!([[]]))],
    ) {
        let names: Vec<_> = message.as_object().unwrap().keys().cloned().collect();
        let name = at.get(&names).clone();
        // `ext` takes any object.
        prop_assume!(name != "ext" || !junk.is_object());
        message[&name] = junk;
        let problems = check(call, message, &MessageLimits { message_bytes: usize::MAX, ..MessageLimits::default() }).unwrap_err();
        prop_assert!(problems.iter().all(|problem| problem.field.starts_with(&name)), "{name}: {problems}");
    }

    #[test]
    fn one_slip_still_gives_the_name(name in any_name_of(4), at in any::<prop::sample::Index>(), slip in 0..4,
        letter in proptest::char::range('0', '9')) {
        let mut letters: Vec<char> = name.chars().collect();
        let at = at.index(letters.len() - 1);
        match slip {
            0 => letters.swap(at, at + 1),
            1 => letters.insert(at, letter),
            2 => letters[at] = letter,
            _ => drop(letters.remove(at)),
        }
        let slipped: String = letters.into_iter().collect();
        let known = [name.as_str(), "a", "xyzxyz"];
        prop_assert_eq!(nearest(&slipped, known), Some(name.as_str()));
    }
}

#[test]
fn no_two_names_of_one_place_are_taken_for_each_other() {
    let pointers =
        [fields(Call::Group), fields(Call::Targeted)].into_iter().chain(MessageKind::ALL.map(body_fields));
    for known in pointers {
        for &name in known.iter().filter(|&&name| name != "Length") {
            assert_eq!(nearest(name, known.iter().copied()), Some(name));
        }
    }
    for name in types() {
        assert_eq!(nearest(name, types()), Some(name));
    }
}
