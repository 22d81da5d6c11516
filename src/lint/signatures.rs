//! Function parameters, as the annotations of the editor stubs and the standard library declare them.

use std::collections::{BTreeMap, BTreeSet};

/// A parameter of a function.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// The type as written in the annotation.
    pub(super) kind: String,
}

/// The parameters of a function.
#[derive(Debug, Clone, Default)]
pub(super) struct Signature {
    pub(super) parameters: Vec<Parameter>,
    /// Whether the function takes further arguments.
    pub(super) open: bool,
}

/// The tables that a parameter accepts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AcceptedTables<'s> {
    Any,
    /// Tables with these fields and no others.
    Of(BTreeSet<&'s str>),
    No,
}

#[derive(Debug, Default)]
struct ClassDeclaration {
    parents: Vec<String>,
    fields: BTreeSet<String>,
    open: bool,
}

/// All declared functions and classes.
#[derive(Debug, Default)]
pub(super) struct Signatures {
    functions: BTreeMap<(String, String), Signature>,
    classes: BTreeMap<String, ClassDeclaration>,
    aliases: BTreeMap<String, Vec<String>>,
}

impl Signatures {
    /// Adds the declarations of a file. Only functions of the module itself are added.
    pub(super) fn add(&mut self, module: &str, text: &str) {
        let (mut parameters, mut class, mut alias): (
            BTreeMap<String, Parameter>,
            Option<String>,
            Option<String>,
        ) = Default::default();
        let mut overloaded = false;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("---@param ") {
                let (name, kind) = typed(rest);
                parameters.insert(name.clone(), Parameter { name, kind });
            } else if let Some(rest) = line.strip_prefix("---@class ") {
                let (name, parents) = rest.split_once(':').unwrap_or((rest, ""));
                let parents = parents.split(',').map(|parent| parent.trim().to_owned());
                let parents = parents.filter(|parent| !parent.is_empty()).collect();
                let name = name.split_whitespace().next().unwrap_or_default().to_owned();
                self.classes
                    .insert(name.clone(), ClassDeclaration { parents, ..ClassDeclaration::default() });
                class = Some(name);
            } else if let (Some(rest), Some(class)) =
                (line.strip_prefix("---@field "), class.as_ref().and_then(|name| self.classes.get_mut(name)))
            {
                let (name, _) = typed(rest);
                if name.starts_with('[') {
                    class.open = true;
                } else {
                    class.fields.insert(name);
                }
            } else if let Some(rest) = line.strip_prefix("---@alias ") {
                let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
                let kinds = alternatives(kind.split("  ").next().unwrap_or_default());
                self.aliases.insert(name.to_owned(), kinds);
                alias = Some(name.to_owned());
            } else if let (Some(rest), Some(name)) = (line.strip_prefix("---|"), &alias) {
                let kinds = alternatives(rest.trim().split("  ").next().unwrap_or_default());
                self.aliases.entry(name.clone()).or_default().extend(kinds);
            } else if line.starts_with("---@overload") || line.starts_with("---@generic") {
                overloaded = true;
            } else if !line.starts_with("---") {
                if !overloaded && let Some((name, signature)) = declared(module, line, &parameters) {
                    self.functions.insert((module.to_owned(), name), signature);
                }
                (parameters, class, alias, overloaded) = (BTreeMap::new(), None, None, false);
            }
        }
    }

    /// The signature of a function. `None` if it is unknown.
    pub(super) fn of(&self, module: &str, member: &str) -> Option<&Signature> {
        self.functions.get(&(module.to_owned(), member.to_owned()))
    }

    /// Whether the parameter accepts a string.
    pub(super) fn takes_text(&self, parameter: &Parameter) -> bool {
        self.expanded(&parameter.kind).iter().any(|kind| {
            let is_other = matches!(kind.as_str(), "boolean" | "table" | "function" | "nil")
                || kind.starts_with("table<")
                || kind.starts_with("fun(")
                || kind.starts_with('{')
                || kind.ends_with("[]")
                || self.classes.contains_key(kind);
            !is_other
        })
    }

    pub(super) fn tables(&self, parameter: &Parameter) -> AcceptedTables<'_> {
        let mut fields: Option<BTreeSet<&str>> = None;
        for kind in self.expanded(&parameter.kind) {
            let is_plain = matches!(
                kind.as_str(),
                "string" | "number" | "integer" | "boolean" | "nil" | "function" | "lightuserdata"
            );
            if is_plain || kind.starts_with('"') || kind.starts_with("fun(") {
                continue;
            }
            let Some((known, open)) = self.fields_of(&kind, 0) else { return AcceptedTables::Any };
            if open {
                return AcceptedTables::Any;
            }
            // A class without fields is not a table that a script writes literally.
            if !known.is_empty() {
                fields.get_or_insert_default().extend(known);
            }
        }
        fields.map_or(AcceptedTables::No, AcceptedTables::Of)
    }

    /// The fields of a class, and whether it may have others. `None` if it is not a class.
    fn fields_of(&self, class: &str, depth: usize) -> Option<(BTreeSet<&str>, bool)> {
        let class = self.classes.get(class)?;
        let mut fields: BTreeSet<&str> = class.fields.iter().map(String::as_str).collect();
        let mut open = class.open;
        for parent in class.parents.iter().filter(|_| depth < 8) {
            let (more, is_open) = self.fields_of(parent, depth + 1)?;
            fields.extend(more);
            open |= is_open;
        }
        Some((fields, open))
    }

    /// The alternatives of a type, with aliases expanded.
    fn expanded(&self, kind: &str) -> Vec<String> {
        let mut expanded = Vec::new();
        let mut left = alternatives(kind);
        while let Some(kind) = left.pop() {
            match self.aliases.get(&kind) {
                Some(kinds) if expanded.len() + left.len() < 100 => left.extend(kinds.iter().cloned()),
                _ => expanded.push(kind),
            }
        }
        expanded
    }
}

/// Parses `name? type remark` into the name and the type.
fn typed(text: &str) -> (String, String) {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    let kind = rest.trim_start().split("  ").next().unwrap_or_default();
    (name.trim_end_matches('?').to_owned(), kind.to_owned())
}

/// Splits a type such as `a|b|fun(): c` into its alternatives.
fn alternatives(kind: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0_i32);
    for letter in kind.chars() {
        match letter {
            '(' | '{' | '[' | '<' => depth += 1,
            ')' | '}' | ']' | '>' => depth -= 1,
            _ => {}
        }
        if letter == '|' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(letter);
        }
    }
    parts.push(part);
    let trimmed = parts.iter().map(|part| part.trim().trim_end_matches('?').to_owned());
    trimmed.filter(|part| !part.is_empty()).collect()
}

/// Parses `function module.name(a, b, ...)`.
fn declared(module: &str, line: &str, known: &BTreeMap<String, Parameter>) -> Option<(String, Signature)> {
    let rest = line.strip_prefix("function ")?.strip_prefix(module)?.strip_prefix('.')?;
    let (name, rest) = rest.split_once('(')?;
    let (names, _) = rest.split_once(')')?;
    let mut signature = Signature::default();
    for parameter in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if parameter == "..." {
            signature.open = true;
        } else {
            signature.parameters.push(known.get(parameter)?.clone());
        }
    }
    Some((name.to_owned(), signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_read() {
        let mut signatures = Signatures::default();
        signatures.add(
            "m",
            "---@alias m.value string|number|m.secret\n\n---@class m.secret\n\n---@class m.base\n---@field a? string  said\n\n\
             ---@class m.more: m.base\n---@field b integer\n\n---@param x m.value\n---@param y? m.more  said\n---@param z? table<string, any>\n\
             function m.f(x, y, z) end\n\n---@param f fun(a: string|nil): any\nfunction m.g(f, ...) end\n",
        );
        let f = signatures.of("m", "f").unwrap();
        assert_eq!(f.parameters.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["x", "y", "z"]);
        assert!(signatures.takes_text(&f.parameters[0]));
        assert!(!signatures.takes_text(&f.parameters[1]) && !signatures.takes_text(&f.parameters[2]));
        assert_eq!(signatures.tables(&f.parameters[0]), AcceptedTables::No);
        assert_eq!(signatures.tables(&f.parameters[1]), AcceptedTables::Of(["a", "b"].into()));
        assert_eq!(signatures.tables(&f.parameters[2]), AcceptedTables::Any);
        let g = signatures.of("m", "g").unwrap();
        assert!(g.open && !signatures.takes_text(&g.parameters[0]));
        assert_eq!(signatures.tables(&g.parameters[0]), AcceptedTables::No);
    }
}
