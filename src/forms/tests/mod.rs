//! Tests of forms: heads, values, and what is printed and read again.

mod tables;

use proptest::prelude::*;

use crate::protocol::ArgumentValue;

use super::*;

fn form(head: &str) -> ScriptForm {
    ScriptForm::of(head.as_bytes()).unwrap()
}

fn wrong(head: &str) -> String {
    ScriptForm::of(head.as_bytes()).unwrap_err().to_string()
}

fn args<const N: usize>(given: [&str; N]) -> Vec<String> {
    given.map(str::to_owned).to_vec()
}

const INVITE: &str = "\
--- Invites everybody on the list.
---@arg city string The city
--- @arg day date
--- @arg list file .csv,.XLSX The audience
--- @arg tone choice warm|formal = warm How it is said
--- @arg note? text
local im = require 'im'
";

#[test]
fn a_head_is_read_in_both_spellings_and_ends_at_the_first_statement() {
    let found = form(INVITE);
    let names: Vec<&str> = found.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["city", "day", "list", "tone", "note"]);
    let [city, day, list, tone, note] = found.fields.as_slice() else { panic!("five") };
    assert_eq!((city.kind, city.required, city.help.as_str()), (ArgumentType::String, true, "The city"));
    assert_eq!((day.kind, day.help.as_str()), (ArgumentType::Date, ""));
    assert_eq!(list.allowed, [".csv", ".xlsx"]);
    assert_eq!((tone.default.as_deref(), tone.required), (Some("warm"), false));
    assert_eq!((note.kind, note.required), (ArgumentType::Text, false));
    // What only speaks of one, or is none, may stand anywhere.
    assert!(
        form("local x = 1\n--- @arg is for the head\n-- @arg city string\nlocal s = [[ --- @arg a string ]]")
            .is_empty()
    );
    assert!(form("--[[ a license\n--- @arg a string\n]]\n").is_empty());
    assert_eq!(form("\n--[==[ x ]] ]==]\n--- @arg a string\n").fields.len(), 1);
    assert!(form("--- @param b string\n---@async\n---@as x\n-- @args of old\n-- about @arg\n").is_empty());
    let quoted = form(r#"--- @arg a string = "New \"York\"" A city"#);
    assert_eq!(quoted.fields[0].default.as_deref(), Some("New \"York\""));
    assert_eq!(form("--- @arg a integer =5 five").fields[0].help, "five");
}

#[test]
fn a_wrong_declaration_is_named_with_its_line() {
    for (head, said) in [
        ("--- @arg", "1: `@arg` needs a name and a type"),
        ("local x = 1\n\n  ---@arg city string", "3: `@arg` has no effect after the first statement"),
        ("\n--- @arg city", "2: the argument `city` has no type"),
        ("--- @arg city strin", "unknown type `strin`; did you mean `string`?"),
        ("--- @arg a string\n--- @arg A string", "2: the argument `A` is declared twice"),
        ("--- @arg 1a string", "is not a name of an argument"),
        ("--- @arg end string", "a word of Lua"),
        ("--- @arg tone choice", "needs its words"),
        ("--- @arg tone choice How it is said", "needs its words"),
        ("--- @arg tone choice a|a", "needs its words"),
        ("--- @arg list file The list", "needs the suffixes"),
        ("--- @arg list file .csv = a.csv", "cannot have a default"),
        ("--- @arg day date = tomorrow", "the default of `day`, \"tomorrow\", must be a date"),
        ("--- @arg city string = \"a", "the closing quote is missing"),
        ("--- @arg city string = \"\"", "is empty; write `city?`"),
        ("-- @arg city string", "three dashes"),
        ("---- @arg city string", "three dashes"),
        ("\n--- @ARG city string", "2: `@ARG` is not known; write `@arg`"),
        ("---@args city string", "1: `@args` is not known; write `@arg`"),
        ("--- @argument city string", "write `@arg`"),
        ("--- @agr city string", "write `@arg`"),
        ("--- @ arg city string", "write `@arg`"),
    ] {
        assert!(wrong(head).contains(said), "{head}: {}", wrong(head));
    }
}

#[test]
fn values_are_checked_and_typed() {
    let found = form(INVITE);
    let by_name = found.read(&args(["day=2026-12-01", "city=Berlin", "list=a/b.CSV"])).unwrap();
    assert_eq!(by_name.args, ["city=Berlin", "day=2026-12-01", "list=a/b.CSV", "tone=warm"]);
    assert_eq!(by_name, found.read(&args(["Berlin", "2026-12-01", "a/b.CSV"])).unwrap());
    assert_eq!(by_name.positional, ["Berlin", "2026-12-01", "a/b.CSV", "warm", ""]);
    // What is canonical stays so.
    assert_eq!(found.read(&by_name.args).unwrap(), by_name);

    let numbers = form("--- @arg n integer\n--- @arg x number\n--- @arg b boolean");
    let read = numbers.read(&args(["-7", "1.50", "true"])).unwrap();
    let typed: Vec<ArgumentValue> = read.named.into_iter().map(|one| one.value).collect();
    assert_eq!(typed, [ArgumentValue::Integer(-7), ArgumentValue::Number(1.5), ArgumentValue::Boolean(true)]);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let found = form("--- @arg city string\n--- @arg day date\n--- @arg tone choice a|b = a");
    let said = |given: &[String]| found.read(given).unwrap_err().to_string();
    for (given, expected) in [
        (args(["ciyt=Berlin", "day=2026-12-01"]), "no argument `ciyt`; did you mean `city`?"),
        (args(["city=Berlin", "2026-12-01"]), "\"2026-12-01\" has no name, but others have"),
        (args(["city=Berlin", "city=Rome", "day=2026-12-01"]), "`city` is given twice"),
        (args(["Berlin", "2026-12-01", "a", "b"]), "\"b\" is one too many"),
        (args(["city=Berlin"]), "`day` is missing"),
        (args(["city=", "day=2026-12-01"]), "`city` is missing"),
        (args(["city=B", "day=2026-12-01", "tone="]), "`tone` is missing"),
        (args(["city=B", "day=2026-02-30"]), "`day`, \"2026-02-30\", must be a date"),
        (args(["city=B\nC", "day=2026-12-01"]), "one line of text"),
        (args(["city=B", "day=2026-12-01", "tone=c"]), "must be one of: a, b"),
    ] {
        assert!(said(&given).contains(expected), "{given:?}: {}", said(&given));
    }
    // The text of a value may have the sign.
    assert_eq!(
        found.read(&args(["city=a=b", "day=2026-12-01"])).unwrap().positional,
        ["a=b", "2026-12-01", "a"]
    );
}

#[test]
fn types_take_only_their_own_texts() {
    for (kind, good, bad) in [
        (
            "integer",
            &["0", "-12", "9007199254740992"][..],
            &["", "1.0", "+1", "1e3", "9007199254740993", "0x10", "٣"][..],
        ),
        ("number", &["1", "-1.5", "0.25"], &["inf", "NaN", "1e5", ".5", "5.", "1,5", "--1", "0x1"]),
        ("boolean", &["true", "false"], &["yes", "True", "1"]),
        (
            "date",
            &["2024-02-29", "0001-01-01"],
            &["0000-01-01", "2023-02-29", "2026-1-1", "20260101", "2026-12-01T00:00", "01.12.2026"],
        ),
        ("time", &["00:00", "23:59"], &["24:00", "9:00", "09:60", "09:00:00"]),
        (
            "datetime",
            &[
                "2026-12-01T09:00+08:00",
                "2026-12-01T09:00:30Z",
                "2026-12-01T09:00+14:00",
                "2026-12-01T09:00-12:00",
                "2026-12-01T09:00-03:30",
            ],
            &[
                "2026-12-01T09:00",
                "2026-12-01 09:00Z",
                "2026-12-01",
                "T09:00Z",
                "2026-12-01T9:00Z",
                "2026-12-01T09:00+25:00",
                "2026-12-01T09:00+14:01",
                "2026-12-01T09:00-12:30",
                "2026-12-01T09:00+08:60",
                "2026-12-01T09:00+08",
                "2026-12-01T09:00+0800",
                "2026-12-01T09:00:60Z",
                "2026-12-01T09:00+01:00[Europe/Berlin]",
                "0000-12-01T09:00Z",
            ],
        ),
        ("group", &["184524748161025", "room-1_a"], &["a b", "a/b", "é"]),
        ("file .csv", &["a.csv", "/tmp/ä b.CSV"], &["a.txt", ".csv", "a.csv/", "a.csv\0"]),
        ("text", &["a\nb\tc"], &["a\0", "a\x1b"]),
    ] {
        let found = form(&format!("--- @arg value {kind}"));
        for text in good {
            assert!(found.fields[0].check(text).is_ok(), "{kind} {text}");
        }
        for text in bad.iter().filter(|text| !text.is_empty()) {
            assert!(found.fields[0].check(text).is_err(), "{kind} {text:?}");
        }
    }
}

fn any_field() -> impl Strategy<Value = FormField> {
    let kinds = prop::sample::select(ArgumentType::ALL.to_vec());
    let allowed = prop::collection::btree_set("[a-z]{1,5}", 2..5);
    let parts =
        (kinds, allowed, any::<bool>(), any::<bool>(), "[a-zA-Z ,.]{0,20}", "[^\\x00-\\x1f\u{e060}]{1,20}");
    parts.prop_map(|(kind, words, optional, has_default, help, text)| {
        let words: Vec<String> = words.into_iter().collect();
        let allowed: Vec<String> = match kind {
            ArgumentType::Choice => words,
            ArgumentType::File => words.iter().map(|word| format!(".{word}")).collect(),
            _ => Vec::new(),
        };
        let mut field = FormField {
            name: "value".to_owned(),
            kind,
            required: !optional,
            default: None,
            allowed,
            help: help.trim().to_owned(),
        };
        if has_default && kind != ArgumentType::File {
            let default = if kind == ArgumentType::String { text } else { field.example() };
            if field.check(&default).is_ok() {
                (field.default, field.required) = (Some(default), false);
            }
        }
        field
    })
}

proptest! {
    #[test]
    fn no_head_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = ScriptForm::of(&text);
    }

    #[test]
    fn no_declaration_makes_it_panic(text in "(--- @arg [a-z?]{0,4} (choice|file|date|string|[a-z]{0,3}) [a-z|.,=\"\\\\ ]{0,20}\n){0,4}") {
        let _ = ScriptForm::of(text.as_bytes());
    }

    #[test]
    fn what_is_printed_is_read_again(field in any_field()) {
        let text = field.to_string();
        let read = ScriptForm::of(text.as_bytes()).unwrap();
        prop_assert_eq!(&read.fields, &[field], "{}", text);
    }

    #[test]
    fn no_value_makes_it_panic_and_what_is_taken_is_taken_again(
        field in any_field(),
        given in prop::collection::vec("(value=|city=)?[0-9TZ:+.a-z-]{0,12}", 0..3),
    ) {
        let form = ScriptForm { fields: vec![field] };
        if let Ok(values) = form.read(&given) {
            prop_assert_eq!(form.read(&values.args).unwrap(), values);
        }
    }
}
