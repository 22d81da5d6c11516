//! Checks that accessed members of modules exist.

use std::collections::BTreeSet;

use full_moon::tokenizer::TokenReference;

use super::LintFinding;
use super::chain::NamedMember;
use super::library::ModuleLibrary;
use super::names::nearest;

/// The problem with accessing `member` of `module`. `added` are the members that the script itself adds.
pub(super) fn problem(
    library: &ModuleLibrary,
    added: &BTreeSet<(String, String)>,
    module: &str,
    member: &NamedMember<'_>,
) -> Option<LintFinding> {
    let known = library.members(module)?;
    let name = &member.name;
    if known.contains(name) || added.contains(&(module.to_owned(), name.clone())) {
        return None;
    }
    Some(LintFinding::on(member.token, format!("`{module}` has no `{name}`{}", hint(name, known))))
}

/// The closest known name, or all known names.
pub(super) fn hint<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S> + Clone) -> String {
    let names: Vec<S> = known.into_iter().collect();
    if let Some(near) = nearest(name, names.iter().map(AsRef::as_ref)) {
        return format!("; did you mean `{near}`?");
    }
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    format!("; it has {}", names.join(", "))
}

/// The problem with `module:name()`, which passes the module itself as the first argument.
pub(super) fn colon(
    library: &ModuleLibrary,
    added: &BTreeSet<(String, String)>,
    module: &str,
    name: &TokenReference,
) -> Option<LintFinding> {
    let member = NamedMember { name: name.token().to_string(), token: name };
    if added.contains(&(module.to_owned(), member.name.clone())) {
        return None;
    }
    let known = library.members(module)?;
    problem(library, added, module, &member).or_else(|| {
        known.contains(&member.name).then(|| {
            let name = &member.name;
            let message =
                format!("write `{module}.{name}(…)`; with `:`, Lua passes `{module}` as the first argument");
            LintFinding::on(member.token, message)
        })
    })
}

/// The problem with reading or setting a field of `im.limits`.
pub(super) fn limit(library: &ModuleLibrary, member: &NamedMember<'_>, set: bool) -> Option<LintFinding> {
    let name = &member.name;
    let message = if set {
        "`im.limits` is read-only; set limits in mooncast.toml, under [app.limits]".to_owned()
    } else if library.fields("im.limits").contains(&name.as_str()) {
        return None;
    } else {
        format!("`im.limits` has no `{name}`{}", hint(name, library.fields("im.limits")))
    };
    Some(LintFinding::on(member.token, message))
}
