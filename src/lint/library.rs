//! The functions that scripts can call, as the editor stubs and the standard library declare them. A test compares
//! these with what scripts find at run time, so there is no other list to maintain.

use std::collections::{BTreeMap, BTreeSet};

use super::signatures::Signatures;
use super::stubs;

/// The modules of Lua itself, which editors know without a stub.
const OF_LUA: [&str; 5] = ["coroutine", "math", "string", "table", "utf8"];

/// The module that implements the library's `test`. Scripts do not use it.
const OF_TESTS: &str = "test.host";

/// Whether a built-in module has priority over a file of that name.
pub(super) fn is_built_in(module: &str) -> bool {
    module == OF_TESTS || OF_LUA.contains(&module) || stubs::is_of_module(module)
}

#[derive(Debug)]
pub(super) struct ModuleLibrary {
    modules: BTreeMap<String, BTreeSet<String>>,
    tables: BTreeMap<String, BTreeSet<String>>,
    signatures: Signatures,
}

impl ModuleLibrary {
    pub(super) fn new() -> Self {
        let stubs = stubs::all();
        let modules = stubs.iter().filter_map(|stub| {
            let name = stub.file.strip_suffix(".lua")?;
            let members = members(name, &stub.text);
            (!members.is_empty()).then(|| (name.to_owned(), members))
        });
        let mut tables = BTreeMap::new();
        let mut signatures = Signatures::default();
        for stub in &stubs {
            add_tables(&stub.text, &mut tables);
            signatures.add(stub.file.strip_suffix(".lua").unwrap_or_default(), &stub.text);
        }
        Self { modules: modules.collect(), tables, signatures }
    }

    /// The members of a module. `None` if they are unknown.
    pub(super) fn members(&self, module: &str) -> Option<&BTreeSet<String>> {
        self.modules.get(module)
    }

    /// The signatures of the functions.
    pub(super) const fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    /// The fields of a class that a stub declares, such as `im.limits`.
    pub(super) fn fields(&self, class: &str) -> Vec<&str> {
        self.tables.get(class).into_iter().flatten().map(String::as_str).collect()
    }

    /// The module names that `require` finds without a file of the project.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        OF_LUA.into_iter().chain(self.modules.keys().map(String::as_str))
    }
}

/// The members that a file declares for the module `name`: `function name.member(…)` and `name.member = …` at the
/// start of a line.
fn members(name: &str, text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            let is_function = line.starts_with("function ");
            let member = line.trim_start_matches("function ").strip_prefix(name)?.strip_prefix('.')?;
            let end = member.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
            let (member, rest) = member.split_at(end);
            let declares = if is_function { rest.starts_with('(') } else { rest.starts_with(" = ") };
            (declares && !member.starts_with('_')).then(|| member.to_owned())
        })
        .collect()
}

/// Adds the fields that a file declares for its classes: `---@field name type` below `---@class NAME`.
fn add_tables(text: &str, tables: &mut BTreeMap<String, BTreeSet<String>>) {
    let mut class = None;
    for line in text.lines() {
        if let Some(header) = line.strip_prefix("---@class ") {
            class = Some(header.split(':').next().unwrap_or(header));
        } else if let (Some(class), Some(field)) = (class, line.strip_prefix("---@field ")) {
            let name = field.split([' ', '?']).next().unwrap_or_default();
            tables.entry(class.to_owned()).or_default().insert(name.to_owned());
        } else {
            class = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ModuleLibrary, is_built_in, members};

    #[test]
    fn declarations_are_read() {
        let text = "local m = {}\nfunction m.one(a) end\nm.two = 2\nfunction m._hidden() end\n  m.inner = 1\nm.two()\n";
        assert_eq!(members("m", text).into_iter().collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn the_embedded_files_are_known() {
        let library = ModuleLibrary::new();
        for (module, member) in
            [("im", "group_send"), ("im", "limits"), ("json", "null"), ("message", "text")]
        {
            assert!(library.members(module).unwrap().contains(member), "{module}.{member}");
        }
        assert!(library.members("types").is_none());
        for (module, built_in) in
            [("im", true), ("schedule", true), ("math", true), ("message", false), ("types", false)]
        {
            assert_eq!(is_built_in(module), built_in, "{module}");
        }
    }
}
