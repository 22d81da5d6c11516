//! Tests with random texts.

use proptest::prelude::*;

use super::lint;

/// Common words of scripts, so that random texts get past the first line.
const WORDS: [&str; 46] = [
    "im",
    ".",
    "group_send",
    "(",
    ")",
    "{",
    "}",
    "=",
    ",",
    "to",
    "type",
    "'txt'",
    "body",
    "local",
    "x",
    "function",
    "end",
    "if",
    "then",
    "do",
    "while",
    "return",
    "break",
    "goto",
    "::",
    "..",
    "-",
    "not",
    "[",
    "]",
    "\"",
    "'",
    "\\",
    "\n",
    "1",
    "<const>",
    "require",
    "'json'",
    ":",
    "...",
    "`",
    "[[",
    "--",
    "0x",
    ";",
    "\r",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        lint(&text);
    }

    #[test]
    fn no_row_of_words_makes_it_panic(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        lint(&words.join(" "));
        lint(&words.concat());
    }

    #[test]
    fn no_cut_or_changed_script_makes_it_panic(cut in 0usize..2000, letter in any::<char>()) {
        let script = include_str!("../../../scripts/ad_hoc.lua");
        let cut = script.floor_char_boundary(cut.min(script.len()));
        lint(&script[..cut]);
        lint(&format!("{}{letter}{}", &script[..cut], &script[cut..]));
    }
}
