//! Compares the calls in all examples with the stubs: each called function is declared, and takes this many
//! arguments.

use std::collections::BTreeMap;
use std::path::Path;

use full_moon::LuaVersion;
use full_moon::ast::{
    Ast, Call, Expression, FunctionArgs, FunctionCall, Index, LocalAssignment, Prefix, Suffix,
};
use full_moon::visitors::Visitor;

use crate::book::reference::files;
use crate::book::stub::Kind;
use crate::book::written;

/// The number of arguments that a function takes: the least and the most.
type Takes = (usize, usize);

/// Returns the functions of all modules by name, with their numbers of arguments.
fn declared() -> BTreeMap<String, Takes> {
    let entries = files().into_iter().flat_map(|(_, file)| file.entries);
    let functions = entries.filter(|entry| entry.kind == Kind::Function);
    functions
        .map(|entry| {
            let needed = entry
                .members
                .iter()
                .filter(|member| !member.name.ends_with(['?', '.']) && member.of != "any");
            let most = if entry.arguments.iter().any(|name| name == "...") {
                usize::MAX
            } else {
                entry.arguments.len()
            };
            // Arguments that an overload leaves out are optional.
            let fewer = entry.overloads.len();
            (entry.name.clone(), (needed.count().saturating_sub(fewer), most))
        })
        .collect()
}

/// The calls of a script that name a module's function.
#[derive(Default)]
struct Calls {
    /// The modules of the script, by their local names.
    modules: BTreeMap<String, String>,
    /// The function and its number of arguments; None if the number is unknown.
    found: Vec<(String, Option<usize>)>,
}

impl Visitor for Calls {
    fn visit_local_assignment(&mut self, local: &LocalAssignment) {
        for (name, value) in local.names().iter().zip(local.expressions()) {
            let value = value.to_string();
            if let Some(module) =
                value.trim().strip_prefix("require(\"").and_then(|rest| rest.strip_suffix("\")"))
            {
                self.modules.insert(name.token().to_string(), module.to_owned());
            }
        }
    }

    fn visit_function_call(&mut self, call: &FunctionCall) {
        let Prefix::Name(prefix) = call.prefix() else { return };
        let prefix = prefix.token().to_string();
        let globals = ["im", "schedule"].contains(&prefix.as_str()).then(|| prefix.clone());
        let Some(module) = self.modules.get(&prefix).cloned().or(globals) else { return };
        let suffixes: Vec<&Suffix> = call.suffixes().collect();
        if let [Suffix::Index(Index::Dot { name, .. }), Suffix::Call(Call::AnonymousCall(arguments)), ..] =
            suffixes.as_slice()
        {
            self.found.push((format!("{module}.{}", name.token()), count(arguments)));
        }
    }
}

fn count(arguments: &FunctionArgs) -> Option<usize> {
    let FunctionArgs::Parentheses { arguments, .. } = arguments else { return Some(1) };
    // A call in the last position may give any number of values.
    let open = matches!(arguments.iter().last(), Some(Expression::FunctionCall(_)))
        || arguments.iter().last().is_some_and(|last| last.to_string().trim() == "...");
    (!open).then_some(arguments.len())
}

fn scripts(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|end| end == "lua") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_call_of_an_example_is_declared() {
    let declared = declared();
    let mut examples = Vec::new();
    scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), &mut examples);
    scripts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/new"), &mut examples);
    for (_, _, page) in written() {
        let lua = page.blocks.iter().filter(|block| block.language == "lua");
        examples.extend(lua.map(|block| (format!("{}:{}", page.shown(), block.line), block.text.clone())));
    }
    let (mut wrong, mut looked_at) = (Vec::new(), 0);
    for (place, text) in examples {
        let ast: Ast = full_moon::parse_fallible(&text, LuaVersion::lua54()).into_result().unwrap();
        let mut calls = Calls::default();
        calls.visit_ast(&ast);
        for (name, given) in calls.found {
            looked_at += 1;
            match (declared.get(&name), given) {
                (None, _) => wrong.push(format!("{place}: no stub declares {name}")),
                (Some((least, most)), Some(given)) if given < *least || given > *most => {
                    wrong.push(format!(
                        "{place}: {name} takes {least} to {most} arguments, and is given {given}"
                    ));
                }
                _ => {}
            }
        }
    }
    assert!(looked_at > 150, "{looked_at} calls");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
