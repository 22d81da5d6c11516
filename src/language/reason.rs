//! Why something is as it is: the sentences that the ledger holds, as codes with parameters.
//!
//! The ledger stores a reason as its English sentence. `reasons/en.toml` has the form of each sentence, so the code and
//! the parameters are read from it, also from what an older version stored. Any other text was written by a person, a
//! script or the service, and stays as it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Language, Translations};

/// The longest text that is looked up, in bytes.
const LONGEST: usize = 8_000;

/// The longest first part of a list that is looked up, in bytes.
const LONGEST_FIRST: usize = 1_000;

/// The kinds of errors that the host raises in a script.
const KINDS: [&str; 8] =
    ["invalid", "rejected", "throttled", "auth", "in_doubt", "unreachable", "denied", "cancelled"];

static TEXTS: LazyLock<Translations> =
    LazyLock::new(|| Translations::read(include_str!("reasons/en.toml"), include_str!("reasons/zh.toml")));

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let texts = TEXTS.english.iter();
    let mut forms: Vec<Form> =
        texts.flat_map(|(code, text)| text.split('|').map(|text| Form::new(code, text))).collect();
    // The most special form of a text is its meaning.
    forms.sort_by_key(|form| std::cmp::Reverse(form.letters));
    forms
});

/// A reason: its code and the values of its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// The code, such as `capped` or `failures_in_a_row`.
    pub code: String,
    /// The parameters by name. A value may be the English sentence of another reason.
    pub params: BTreeMap<String, String>,
}

/// A sentence with places for parameters.
struct Form {
    code: String,
    pieces: Vec<Piece>,
    /// The number of letters outside of the places.
    letters: usize,
}

enum Piece {
    Text(String),
    Place(String),
}

impl Reason {
    /// The reason that an English sentence of the ledger states. `None` if a person, a script or the service wrote it.
    pub fn of(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        FORMS.iter().find_map(|form| {
            let mut params = BTreeMap::new();
            fits(&form.pieces, text, &mut params).then(|| Self { code: form.code.clone(), params })
        })
    }

    /// The reason as a sentence.
    pub fn say(&self, language: Language) -> String {
        let value =
            |(name, value): (&String, &String)| (name.clone(), translate(language, value).into_owned());
        let values: Vec<(String, String)> = self.params.iter().map(value).collect();
        let values: Vec<(&str, String)> =
            values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        TEXTS.say(language, &self.code, &values).unwrap_or_else(|| self.code.clone())
    }
}

/// A text of the ledger in a language. A text that is no reason stays as it is.
pub fn translate(language: Language, text: &str) -> Cow<'_, str> {
    if language == Language::English {
        return Cow::Borrowed(text);
    }
    Reason::of(text).map_or(Cow::Borrowed(text), |reason| Cow::Owned(reason.say(language)))
}

impl Form {
    /// Whether a text has this form, and is no list.
    fn is_single(&self, text: &str) -> bool {
        let is_list = self.pieces.iter().any(|piece| matches!(piece, Piece::Place(name) if name == "rest"));
        !is_list && fits(&self.pieces, text, &mut BTreeMap::new())
    }

    fn new(code: &str, text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Place(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let letters = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Place(_) => 0,
        };
        Self { code: code.to_owned(), letters: pieces.iter().map(letters).sum(), pieces }
    }
}

/// Whether a text has this form. Fills in the values of the places.
fn fits(pieces: &[Piece], text: &str, params: &mut BTreeMap<String, String>) -> bool {
    match pieces {
        [] => text.is_empty(),
        [Piece::Text(start), rest @ ..] => {
            text.strip_prefix(start.as_str()).is_some_and(|text| fits(rest, text, params))
        }
        [Piece::Place(name)] => put(name, text, params),
        [Piece::Place(name), rest @ ..] => {
            let Some(Piece::Text(end)) = rest.first() else { return false };
            let found = text.match_indices(end.as_str()).find(|(at, _)| {
                let (value, after) = text.split_at(*at);
                is_value(name, value) && fits(rest, after, params)
            });
            found.is_some_and(|(at, _)| put(name, text.split_at(at).0, params))
        }
    }
}

fn put(name: &str, value: &str, params: &mut BTreeMap<String, String>) -> bool {
    let is = is_value(name, value);
    if is {
        params.insert(name.to_owned(), value.to_owned());
    }
    is
}

/// Whether a place of this name can have this value.
fn is_value(name: &str, value: &str) -> bool {
    let word = !value.is_empty() && !value.contains(char::is_whitespace);
    match name {
        "n" | "count" | "of" | "seconds" | "version" | "own" => {
            word && value.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, ',' | '.'))
        }
        "at" => word && value.starts_with(|letter: char| letter.is_ascii_digit()),
        "event" => word && value.chars().all(|letter| letter.is_ascii_lowercase()),
        "call" => {
            let (method, path) = value.split_once(' ').unwrap_or_default();
            let upper = method.len() >= 3 && method.chars().all(|letter| letter.is_ascii_uppercase());
            upper && path.starts_with('/') && !path.contains(char::is_whitespace)
        }
        "user" | "group" | "within" | "calendar" | "hook" | "zone" => word,
        // The line of a script, and an error of the host there.
        "place" => value.rsplit_once(".lua:").is_some_and(|(_, line)| line.parse::<u32>().is_ok()),
        "kind" => KINDS.contains(&value),
        "cause" | "rest" => Reason::of(value).is_some(),
        "first" => value.len() <= LONGEST_FIRST && FORMS.iter().any(|form| form.is_single(value)),
        // A path of one input, and not of several.
        "input" => !value.is_empty() && !value.contains(", the ") && !value.contains("; "),
        "listed" => value.ends_with(')') && !value.contains(';'),
        "recipient" => value.split_once(' ').is_some_and(|(kind, id)| {
            ["group", "user", "room"].contains(&kind) && !id.is_empty() && !id.contains(char::is_whitespace)
        }),
        // The name of an encoding, and not a part of a path.
        "encoding" => {
            let named = value == "XLSX" || value.contains(|letter: char| letter.is_ascii_digit());
            word && named && !value.contains([',', '.', '/'])
        }
        "separator" => word && value.chars().count() == 3,
        _ => !value.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_reason_is_there_in_both_languages() {
        TEXTS.check(70);
    }

    #[test]
    fn a_sentence_of_the_ledger_has_a_code_and_parameters() {
        let of = |text| {
            let reason = Reason::of(text).unwrap();
            let params = reason.params.iter().map(|(name, value)| format!("{name}={value}"));
            format!("{} {}", reason.code, params.collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            of("2 messages with the tag marketing in the last 7d; the cap is 2"),
            "capped_with_tag count=2 n=2 tag=marketing within=7d"
        );
        assert_eq!(of("1 message in the last 7d; the cap is 1"), "capped count=1 n=1 within=7d");
        assert_eq!(
            of("on the suppression list: on the suppression list"),
            "suppressed_because reason=on the suppression list"
        );
        assert_eq!(
            of("POST /messages/chatgroups: refused: status 403 forbidden_op: no: not here"),
            "call_refused_why call=POST /messages/chatgroups detail=status 403 forbidden_op: no: not here"
        );
        let paused = "paused by itself: 20 failures in a row, the last: POST /token: not authorised: status 401 (repeat after 2 s)";
        assert_eq!(
            translate(Language::Chinese, paused),
            "自动暂停：连续失败 20 次，最后一次：POST /token：未授权：状态码 401（2 秒后重试）"
        );
        assert_eq!(translate(Language::English, paused), paused);
        for (text, chinese) in [
            (
                "UTF-8, 4 rows, separated by comma, 1 empty row skipped",
                "UTF-8，4 行，逗号分隔，跳过 1 个空行",
            ),
            ("XLSX, 1 row, sheet `a, b`", "XLSX，1 行，工作表“a, b”"),
            (
                "changed: the script, the audience lists/a, b.csv, the file x.txt",
                "变动：脚本，名单 lists/a, b.csv，文件 x.txt",
            ),
            (
                "changed: the audience groups.csv; recipients added: 7 (1, 2, …); group 1, both plans: {\"a\":1, \"b\":\"; \"}",
                "变动：名单 groups.csv；新增接收方：7 (1, 2, …)；group 1（两份计划）：{\"a\":1, \"b\":\"; \"}",
            ),
        ] {
            assert_eq!(translate(Language::Chinese, text), chinese);
        }
        let raised = "scripts/a.lua:3: rejected: POST /messages/chatgroups: refused: status 403 no";
        assert_eq!(
            translate(Language::Chinese, raised),
            "scripts/a.lua:3: rejected: POST /messages/chatgroups：被拒绝：状态码 403 no"
        );
    }

    #[test]
    fn what_others_wrote_stays_as_it_is() {
        for text in [
            "",
            "lunch",
            "scripts/a.lua:3: refused: no",
            "scripts/a.lua:3: cancelled: no",
            "a customer: refused",
            "on the suppression lists",
            "many failures in a row, the last: x",
            "Message in group 7",
        ] {
            assert_eq!(Reason::of(text), None, "{text}");
            assert_eq!(translate(Language::Chinese, text), text);
        }
    }

    proptest! {
        /// A sentence and its reason are the same text, whatever its parameters are.
        #[test]
        fn a_reason_says_its_sentence(index in 0_usize..200, values in proptest::collection::vec("[a-z{};:/ 群]{1,12}", 4), n in 0_u32..3) {
            let texts: Vec<_> = TEXTS.english.keys().collect();
            let code = texts[index % texts.len()];
            let mut free = values.iter();
            let form = &TEXTS.english[code];
            let placeholders = form.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(placeholder, _)| placeholder);
            let names: std::collections::BTreeSet<&str> = placeholders.collect();
            let value = |name: &str, free: &mut std::slice::Iter<'_, String>| match name {
                "n" | "count" | "of" | "seconds" | "version" | "own" => n.to_string(),
                "at" => "2026-06-01T08:00:00Z".to_owned(),
                "event" => "message".to_owned(),
                "call" => "POST /messages/chatgroups".to_owned(),
                "user" | "group" | "within" | "calendar" | "hook" | "zone" => "u-1".to_owned(),
                "place" => "scripts/a b.lua:3".to_owned(),
                "kind" => "rejected".to_owned(),
                "cause" | "first" | "rest" => "excluded".to_owned(),
                "input" => "groups.csv".to_owned(),
                "listed" => "2 (1, 2)".to_owned(),
                "recipient" => "group 7".to_owned(),
                "encoding" => "UTF-8".to_owned(),
                "separator" => "`|`".to_owned(),
                _ => free.next().cloned().unwrap_or_else(|| "x".to_owned()),
            };
            let params: BTreeMap<String, String> =
                names.into_iter().map(|name| (name.to_owned(), value(name, &mut free))).collect();
            let english = Reason { code: code.clone(), params }.say(Language::English);
            let read = Reason::of(&english).unwrap();
            prop_assert_eq!(read.say(Language::English), english);
        }
    }
}
