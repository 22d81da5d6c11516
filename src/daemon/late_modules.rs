//! Finds the modules that a script requires only inside a job's function. A load does not run these functions, so
//! the modules are found in the script's text.

use std::collections::BTreeSet;

use crate::protocol::LuaSource;
use crate::run::ModuleSources;

/// The maximum number of modules. A typical project has a few dozen.
const MOST: usize = 500;

/// Looks up each module that `script` and its modules name in a `require`; `sources` records what it finds. A
/// `require` in a string or a comment counts too: an extra module does no harm.
pub(super) fn find(sources: &ModuleSources, script: &LuaSource) {
    let mut seen = BTreeSet::new();
    let mut texts = vec![script.text.clone()];
    texts.extend(sources.found().into_values().map(|module| module.text));
    let known = sources.asked();
    while let Some(text) = texts.pop() {
        for module in named(&text) {
            if seen.len() >= MOST || known.contains_key(&module) || !seen.insert(module.clone()) {
                continue;
            }
            // A missing module is ignored here; it causes an error when the script requires it.
            if let Ok(found) = sources.find(&module) {
                texts.push(found.text);
            }
        }
    }
}

/// Wraps a module so that it only compiles and runs nothing.
pub(super) fn not_run(module: &LuaSource) -> LuaSource {
    // The prefix is on the first line, so line numbers do not change.
    let text = LuaSource::new(String::new(), module.text.to_vec()).text;
    let mut whole = b"do return end ".to_vec();
    whole.extend_from_slice(&text);
    LuaSource { name: module.name.clone(), text: whole.into() }
}

/// Whether a text contains the words `schedule` or `hook`, or a call of `im.on`.
pub(super) fn mentions_jobs(text: &[u8]) -> bool {
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    has(b"schedule") || has(b"hook") || has(b".on(")
}

/// The module names in `require("name")`, `require "name"`, `require('name')`, `require [[name]]` and
/// `pcall(require, "name")`.
fn named(text: &[u8]) -> Vec<String> {
    const WORD: &[u8] = b"require";
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut names = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].windows(WORD.len()).position(|part| part == WORD) {
        let begins = from + at;
        from = begins + WORD.len();
        if begins.checked_sub(1).is_some_and(|before| is_word(text[before])) {
            continue;
        }
        names.extend(quoted(&text[from..]));
    }
    names
}

/// The string after `require`, in quotes or brackets, with or without a parenthesis or a comma before it.
fn quoted(rest: &[u8]) -> Option<String> {
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b"(").or_else(|| rest.strip_prefix(b",")).unwrap_or(rest).trim_ascii_start();
    let (rest, end): (&[u8], &[u8]) = match rest {
        [b'"', rest @ ..] => (rest, b"\""),
        [b'\'', rest @ ..] => (rest, b"'"),
        [b'[', b'[', rest @ ..] => (rest, b"]]"),
        _ => return None,
    };
    let length = rest.windows(end.len()).take(200).position(|part| part == end)?;
    String::from_utf8(rest[..length].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_however_they_are_required() {
        let text = br#"
            local a = require("lib.a") local b = require 'b' local c = require [[c]]
            schedule.every("1h", function() require ( "d" ).go(); pcall(require, "e") end)
            local prequire = prequire("no") required("no") require(name) require("f"#;
        assert_eq!(named(text), ["lib.a", "b", "c", "d", "e"]);
    }

    #[test]
    fn a_module_that_is_not_run_keeps_its_lines() {
        let module = LuaSource {
            name: "lib/x.lua".to_owned(),
            text: b"\xEF\xBB\xBFlocal x = 1\nreturn x".to_vec().into(),
        };
        assert_eq!(&not_run(&module).text[..], b"do return end local x = 1\nreturn x");
    }
}
