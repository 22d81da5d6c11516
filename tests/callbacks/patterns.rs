//! The patterns of `im.on`: a text matches as with Lua's own `string.find`.

use mlua::{Function, Lua};
use mooncast::TextPattern;
use proptest::prelude::*;

/// Whether a text matches a pattern. None if the pattern is refused.
fn matches(text: &str, pattern: &str) -> Option<bool> {
    TextPattern::new(pattern).ok().map(|pattern| pattern.matches(text))
}

/// Returns the same by Lua. None if Lua refuses the pattern.
fn found(find: &Function, text: &str, pattern: &str) -> Option<bool> {
    find.call::<mlua::Value>((text, pattern)).ok().map(|at| !at.is_nil())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_matches_what_lua_matches(
        text in "[abAB01 .%+$^\\-\u{e9}\n]{0,12}",
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "1", " ", ".", "%a", "%A", "%d", "%D", "%s", "%S", "%w", "%W", "%u", "%l", "%p", "%P", "%c", "%x",
                "%g", "%z", "%%", "%.", "%+", "%$", "%^", "%-", "*", "+", "-", "?", "^", "$", "(", ")", "()", "[ab]", "[^ab]",
                "[a-z]", "[%a0]", "[^%s]", "[]a]", "[^]a]", "[a-]", "[+-]", "[%]x]", "[z-a]", "[%w_]", "[.]", "[", "]", "\u{e9}",
            ]),
            0..7,
        ),
    ) {
        let lua = Lua::new();
        let find: Function = lua.load("return string.find").eval().unwrap();
        let pattern = parts.concat();
        let own = matches(&text, &pattern);
        // Lua refuses some patterns only where the match comes to the wrong part.
        if let (Some(own), Some(luas)) = (own, found(&find, &text, &pattern)) {
            prop_assert_eq!(own, luas, "{:?} in {:?}", pattern, text);
        }
        if own.is_none() {
            let open = parts.iter().any(|part| ["(", ")", "["].contains(part));
            prop_assert!(open, "{:?} was refused", pattern);
        }
    }
}

#[test]
fn a_slow_pattern_is_not_slow_here() {
    // Lua needs more than a year for this one.
    let pattern = "a-".repeat(40) + "x$";
    assert_eq!(matches(&"a".repeat(5000), &pattern), Some(false));
    assert_eq!(matches(&("a".repeat(4000) + "x"), &pattern), Some(true));
}
