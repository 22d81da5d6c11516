//! Evaluates expressions as far as possible without running the script.

use std::collections::BTreeSet;

use full_moon::ast::{Expression, Prefix, Suffix, TableConstructor, Var};
use full_moon::tokenizer::TokenReference;

use super::chain::{CallArguments, arguments, member};
use super::text;
use super::walk::WalkResult;

/// The maximum number of variables that are followed to a value.
const MAX_ALIASES: usize = 20;

/// The known part of a value.
#[derive(Clone)]
pub(super) enum StaticValue<'a> {
    /// A module with its name. `im` and the result of `im.app` are both `im`.
    Module(String),
    /// A member of a module.
    Member(String, String),
    /// A global of Lua.
    Global(String),
    Text(String),
    Number(String),
    Table(TableLiteral<'a>),
    /// Any value.
    Unknown,
}

#[derive(Clone)]
pub(super) struct TableLiteral<'a> {
    pub(super) table: &'a TableConstructor,
    /// The variable that holds the table, if the table is not used directly.
    pub(super) variable: Option<usize>,
}

/// Evaluates expressions of one script.
pub(super) struct ValueEvaluator<'w, 'a> {
    pub(super) walked: &'w WalkResult<'a>,
}

impl<'a> ValueEvaluator<'_, 'a> {
    pub(super) fn of(&self, expression: &'a Expression) -> StaticValue<'a> {
        self.expression(expression, MAX_ALIASES)
    }

    pub(super) fn of_argument(&self, argument: &CallArguments<'a>) -> StaticValue<'a> {
        match argument {
            CallArguments::Value(expression) => self.of(expression),
            CallArguments::Text(token) => text_value(token),
            CallArguments::Table(table) => StaticValue::Table(TableLiteral { table, variable: None }),
        }
    }

    pub(super) fn of_prefix(&self, prefix: &'a Prefix) -> StaticValue<'a> {
        self.prefix(prefix, MAX_ALIASES)
    }

    fn expression(&self, expression: &'a Expression, aliases: usize) -> StaticValue<'a> {
        match expression {
            Expression::Parentheses { expression, .. } => self.expression(expression, aliases),
            Expression::String(token) => text_value(token),
            Expression::Number(token) => StaticValue::Number(token.token().to_string()),
            Expression::TableConstructor(table) => StaticValue::Table(TableLiteral { table, variable: None }),
            Expression::FunctionCall(call) => self.suffixed(call.prefix(), call.suffixes(), aliases),
            Expression::Var(Var::Name(name)) => self.name(name, aliases),
            Expression::Var(Var::Expression(var)) => self.suffixed(var.prefix(), var.suffixes(), aliases),
            _ => StaticValue::Unknown,
        }
    }

    fn prefix(&self, prefix: &'a Prefix, aliases: usize) -> StaticValue<'a> {
        match prefix {
            Prefix::Name(name) => self.name(name, aliases),
            Prefix::Expression(expression) => self.expression(expression, aliases),
            _ => StaticValue::Unknown,
        }
    }

    fn suffixed(
        &self,
        prefix: &'a Prefix,
        suffixes: impl Iterator<Item = &'a Suffix>,
        aliases: usize,
    ) -> StaticValue<'a> {
        suffixes.fold(self.prefix(prefix, aliases), |value, suffix| self.step(&value, suffix))
    }

    pub(super) fn of_name(&self, name: &TokenReference) -> StaticValue<'a> {
        self.name(name, MAX_ALIASES)
    }

    /// A variable that is set only once has the value that it is set to.
    fn name(&self, name: &TokenReference, aliases: usize) -> StaticValue<'a> {
        let Some(id) = self.walked.scopes.binding_of(name) else {
            return self.global(&name.token().to_string());
        };
        let binding = &self.walked.scopes.bindings[id];
        match (binding.initial, aliases) {
            (Some(initial), 1..) if !binding.reassigned => match self.expression(initial, aliases - 1) {
                StaticValue::Table(literal) => {
                    StaticValue::Table(TableLiteral { variable: Some(id), ..literal })
                }
                value => value,
            },
            _ => StaticValue::Unknown,
        }
    }

    fn global(&self, name: &str) -> StaticValue<'a> {
        if self.walked.scopes.sets_global(name) {
            StaticValue::Unknown
        } else if name == "im" {
            StaticValue::Module(name.to_owned())
        } else {
            StaticValue::Global(name.to_owned())
        }
    }

    /// The value after a suffix is applied to `value`.
    pub(super) fn step(&self, value: &StaticValue<'a>, suffix: &'a Suffix) -> StaticValue<'a> {
        if let Some(member) = member(suffix) {
            return match value {
                StaticValue::Module(module) => StaticValue::Member(module.clone(), member.name),
                _ => StaticValue::Unknown,
            };
        }
        let Some(arguments) = arguments(suffix) else { return StaticValue::Unknown };
        match (value, arguments.first().map(|argument| self.of_argument(argument))) {
            (StaticValue::Global(name), Some(StaticValue::Text(module))) if name == "require" => {
                StaticValue::Module(module)
            }
            (StaticValue::Member(module, name), Some(_)) if module == "im" && name == "app" => {
                StaticValue::Module(module.clone())
            }
            _ => StaticValue::Unknown,
        }
    }

    /// The function that a call executes, and the number of arguments before that function's own, as in
    /// `pcall(im.group_send, m)`.
    pub(super) fn callee(
        &self,
        called: StaticValue<'a>,
        arguments: &[CallArguments<'a>],
    ) -> (StaticValue<'a>, usize) {
        let before = match &called {
            StaticValue::Global(name) if name == "pcall" => 1,
            StaticValue::Global(name) if name == "xpcall" => 2,
            StaticValue::Member(module, name) if module == "task" && name == "spawn" => 1,
            _ => return (called, 0),
        };
        match arguments.first().map(|argument| self.of_argument(argument)) {
            Some(inner @ StaticValue::Member(..)) => (inner, before),
            _ => (called, 0),
        }
    }

    /// The fields that are written to a table after its construction. `None` if it may change in a way that the
    /// linter cannot follow.
    pub(super) fn changes(&self, literal: &TableLiteral<'a>) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
        let Some(id) = literal.variable else { return Some((BTreeSet::new(), BTreeSet::new())) };
        let binding = &self.walked.scopes.bindings[id];
        let harmless = |&(chain, index): &(usize, usize)| {
            let chain = &self.walked.chains[chain];
            let before = &chain.suffixes[..index];
            let called =
                before.iter().fold(self.of_prefix(chain.prefix), |value, suffix| self.step(&value, suffix));
            let arguments = arguments(chain.suffixes[index]).unwrap_or_default();
            leaves_alone(&self.callee(called, &arguments).0)
        };
        let steady = !binding.escapes && binding.given_to.iter().all(harmless);
        steady.then(|| (binding.written.clone(), binding.touched.clone()))
    }
}

/// Whether a function leaves the tables that it gets unchanged.
fn leaves_alone(function: &StaticValue<'_>) -> bool {
    match function {
        StaticValue::Member(module, _) => matches!(module.as_str(), "im" | "json" | "log"),
        StaticValue::Global(name) => {
            matches!(name.as_str(), "print" | "tostring" | "type" | "pairs" | "ipairs" | "next")
        }
        _ => false,
    }
}

fn text_value<'a>(token: &TokenReference) -> StaticValue<'a> {
    match text::string(token) {
        Ok(Some(text)) => StaticValue::Text(text),
        _ => StaticValue::Unknown,
    }
}
