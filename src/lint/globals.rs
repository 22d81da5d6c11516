//! Finds misspelt names that the host gives a meaning: `im`, and the function `main`.

use full_moon::ast::Prefix;
use strsim::osa_distance;

use super::LintFinding;
use super::chain::member;
use super::library::ModuleLibrary;
use super::walk::WalkResult;

/// Names that look like a misspelt `im` or `main`.
pub(super) fn findings(walked: &WalkResult<'_>, library: &ModuleLibrary) -> Vec<LintFinding> {
    let mut findings = main(walked);
    findings.extend(im(walked, library));
    findings
}

/// A global function that is never called and whose name is close to `main`.
fn main(walked: &WalkResult<'_>) -> Vec<LintFinding> {
    let globals = &walked.scopes.globals;
    if globals.contains_key("main") {
        return Vec::new();
    }
    let suspect = |name: &str| name.eq_ignore_ascii_case("main") || osa_distance(name, "main") == 1;
    globals
        .iter()
        .filter(|(name, global)| global.first.is_none() && suspect(name))
        .flat_map(|(name, global)| global.set.iter().map(move |set| (name, set)))
        .filter(|(_, (_, to_function))| *to_function)
        .map(|(name, (token, _))| {
            LintFinding::on(token, format!("nothing calls `{name}`; did you mean `main`?"))
        })
        .collect()
}

/// Globals with a name close to `im`: those that are never set and whose member is a member of `im`, and those that
/// are only set.
fn im(walked: &WalkResult<'_>, library: &ModuleLibrary) -> Vec<LintFinding> {
    let near =
        |name: &str| name != "im" && (name.eq_ignore_ascii_case("im") || osa_distance(name, "im") == 1);
    let known = library.members("im");
    let mut findings = Vec::new();
    for chain in &walked.chains {
        let (Prefix::Name(name), Some(first)) = (chain.prefix, chain.suffixes.first()) else { continue };
        let shown = name.token().to_string();
        let is_member =
            member(first).is_some_and(|member| known.is_some_and(|known| known.contains(&member.name)));
        if is_member
            && walked.scopes.binding_of(name).is_none()
            && near(&shown)
            && !walked.scopes.sets_global(&shown)
        {
            findings.push(LintFinding::on(name, format!("`{shown}` is not defined; did you mean `im`?")));
        }
    }
    for (name, global) in &walked.scopes.globals {
        let swapped = name.eq_ignore_ascii_case("im") || name == "mi";
        if name != "im" && swapped && global.first.is_none() {
            let suspects = global.set.iter();
            findings.extend(suspects.map(|(token, _)| {
                LintFinding::on(token, format!("`{name}` is assigned and never used; did you mean `im`?"))
            }));
        }
    }
    findings
}
