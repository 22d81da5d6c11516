//! Finds globals that are read and never set. They are always nil, so reading one is always a mistake.

use std::collections::BTreeSet;

use super::chain::{CallArguments, arguments};
use super::library::{ModuleLibrary, is_built_in};
use super::names::nearest;
use super::nesting::{self, NestingCheck};
use super::walk::WalkResult;
use super::{LintFinding, repair, syntax, text, walk};

/// The globals that a script has from the start. A test checks that the list is complete.
pub(super) const GLOBALS: [&str; 31] = [
    "_G",
    "_VERSION",
    "arg",
    "assert",
    "coroutine",
    "error",
    "getmetatable",
    "im",
    "ipairs",
    "load",
    "math",
    "next",
    "os",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "require",
    "schedule",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "utf8",
    "xpcall",
];

/// Globals of other Lua versions, and their replacements.
const ELSEWHERE: [(&str, &str); 9] = [
    ("io", "read and write files with `require(\"fs\")`"),
    ("debug", "scripts cannot use `debug`"),
    ("package", "`require` finds modules in scripts/ and scripts/lib/"),
    ("dofile", "load another file with `require`"),
    ("loadfile", "load another file with `require`"),
    ("collectgarbage", "Mooncast frees memory automatically"),
    ("warn", "log warnings with `require(\"log\").warn`"),
    ("unpack", "write `table.unpack`"),
    ("loadstring", "write `load`"),
];

/// Ways of setting a global that the linter cannot follow.
const HIDDEN_WAYS: [&str; 3] = ["_G", "_ENV", "load"];

/// The globals that are read although neither the script nor its modules set them. In a module, only misspelt names
/// of Lua's own globals are reported, because the code that requires the module may set the others.
pub(super) fn findings(
    walked: &WalkResult<'_>,
    library: &ModuleLibrary,
    module_text: &dyn Fn(&str) -> Option<String>,
) -> Vec<LintFinding> {
    let Some(set) = set_anywhere(walked, module_text) else { return Vec::new() };
    let mut findings = Vec::new();
    for (name, global) in &walked.scopes.globals {
        let Some(token) = global.needed else { continue };
        if set.contains(name) || GLOBALS.contains(&name.as_str()) || name == "_ENV" {
            continue;
        }
        let elsewhere = ELSEWHERE.iter().find(|(known, _)| known == name).map(|(_, instead)| instead);
        let lua_s_own = nearest(name, GLOBALS);
        let hint = if let Some(instead) = elsewhere {
            format!("; {instead}")
        } else if walked.is_module {
            let Some(near) = lua_s_own else { continue };
            format!("; did you mean `{near}`?")
        } else if library.names().any(|module| module == name) {
            format!("; add `local {name} = require(\"{name}\")`")
        } else {
            match lua_s_own.or_else(|| nearest(name, set.iter().map(String::as_str))) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => ": the script never assigns it".to_owned(),
            }
        };
        findings.push(LintFinding::on(token, format!("`{name}` is not defined{hint}")));
    }
    findings
}

/// The globals that the script sets, and those that its required files set. `None` if some may be set in a way that
/// the linter cannot follow.
fn set_anywhere(
    walked: &WalkResult<'_>,
    module_text: &dyn Fn(&str) -> Option<String>,
) -> Option<BTreeSet<String>> {
    let (mut set, mut required) = (BTreeSet::new(), BTreeSet::new());
    let mut next = take(walked, &mut set)?;
    while let Some(module) = next.pop() {
        if is_built_in(&module) || !required.insert(module.clone()) {
            continue;
        }
        let Some(source) = module_text(&module) else { continue };
        let parsed = readable(&source)?;
        next.extend(take(&walk::walk(&parsed), &mut set)?);
    }
    Some(set)
}

/// The tree of a required file. `None` if it has a syntax error or nests too deeply.
fn readable(source: &str) -> Option<syntax::ParsedScript> {
    let source = repair::readable(source);
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
    matches!(nesting::measure(source), NestingCheck::Fine).then(|| syntax::parse(source).ok())?
}

/// Adds the globals that one file sets. Returns the modules that it requires.
fn take(walked: &WalkResult<'_>, set: &mut BTreeSet<String>) -> Option<Vec<String>> {
    let globals = &walked.scopes.globals;
    if HIDDEN_WAYS.iter().any(|name| globals.get(*name).is_some_and(|global| global.first.is_some())) {
        return None;
    }
    set.extend(globals.iter().filter(|(_, global)| !global.set.is_empty()).map(|(name, _)| name.clone()));
    let is_require = |chain: &&super::chain::SuffixChain<'_>| {
        matches!(chain.prefix, full_moon::ast::Prefix::Name(name)
            if name.token().to_string() == "require" && walked.scopes.binding_of(name).is_none())
    };
    let calls = walked.chains.iter().filter(is_require);
    calls
        .map(|chain| {
            let given = arguments(chain.suffixes.first()?)?;
            let token = match given.first()? {
                CallArguments::Text(token) => token,
                CallArguments::Value(full_moon::ast::Expression::String(token)) => token,
                _ => return None,
            };
            text::string(token).ok()?
        })
        .collect()
}
