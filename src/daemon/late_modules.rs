//! The modules that a script requires only later, in a job's function: found in its text, as nothing of it runs when it is
//! loaded.

use std::collections::BTreeSet;

use crate::host::ModuleSources;
use crate::protocol::LuaSource;

/// Modules that are taken in at the most; a program of scripts has a few dozen.
const MOST: usize = 500;

/// Looks for each module that `script` and its modules name in a `require`; the sources remember what they found.
/// Texts and comments that look like a `require` count too: a module more does no harm.
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
            // One that is not there fails where it is required, as it does now.
            if let Ok(found) = sources.find(&module) {
                texts.push(found.text);
            }
        }
    }
}

/// A module as a script that does nothing but compile.
pub(super) fn not_run(module: &LuaSource) -> LuaSource {
    // Before whatever else stands in the first line, so that lines keep their numbers.
    let text = LuaSource::new(String::new(), module.text.to_vec()).text;
    let mut whole = b"do return end ".to_vec();
    whole.extend_from_slice(&text);
    LuaSource { name: module.name.clone(), text: whole.into() }
}

/// Whether a text says anything of schedules or hooks.
pub(super) fn mentions_jobs(text: &[u8]) -> bool {
    let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    has(b"schedule") || has(b"hook")
}

/// The names of the modules in `require("name")`, `require "name"`, `require('name')`, `require [[name]]` and
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

/// The text that stands after `require`: in quotes or brackets, with or without a parenthesis or a comma.
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
