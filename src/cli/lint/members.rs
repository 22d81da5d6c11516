//! Whether what is taken of a module is there.

use std::collections::BTreeSet;

use super::Finding;
use super::chain::Member;
use super::library::Library;
use super::names::nearest;

/// What is wrong with taking `member` of `module`. `added` are members that the script itself puts there.
pub(super) fn problem(
    library: &Library,
    added: &BTreeSet<(String, String)>,
    module: &str,
    member: &Member<'_>,
) -> Option<Finding> {
    let known = library.members(module)?;
    let name = &member.name;
    if known.contains(name) || added.contains(&(module.to_owned(), name.clone())) {
        return None;
    }
    Some(Finding::on(member.token, format!("`{module}` has no `{name}`{}", hint(name, known))))
}

/// The nearest known name, or all of them.
pub(super) fn hint<S: AsRef<str>>(name: &str, known: impl IntoIterator<Item = S> + Clone) -> String {
    let names: Vec<S> = known.into_iter().collect();
    if let Some(near) = nearest(name, names.iter().map(AsRef::as_ref)) {
        return format!("; did you mean `{near}`?");
    }
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    format!("; there is: {}", names.join(", "))
}
