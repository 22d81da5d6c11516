//! Walks expressions: what is read, what is called, and with which arguments.

use full_moon::ast::{Call, Expression, Field, FunctionArgs, Index, Prefix, Suffix, TableConstructor, Var};
use full_moon::tokenizer::{Symbol, TokenReference};

use super::super::chain::{SuffixChain, member};
use super::super::text;
use super::{SyntaxWalker, ValueUse};

impl<'a> SyntaxWalker<'a, '_> {
    pub(super) fn expressions(&mut self, expressions: impl Iterator<Item = &'a Expression>) {
        expressions.for_each(|expression| self.expression(expression, ValueUse::Escape));
    }

    pub(super) fn expression(&mut self, mut expression: &'a Expression, mut used: ValueUse) {
        loop {
            match expression {
                // Long sums nest to the left, so a loop handles them without recursion.
                Expression::BinaryOperator { lhs, binop, rhs } => {
                    let operator = binop.token().token().to_string();
                    let inner = if matches!(operator.as_str(), "and" | "or") { used } else { ValueUse::Look };
                    if matches!(operator.as_str(), "and" | "or" | "==" | "~=") {
                        self.ask(lhs);
                    }
                    if matches!(operator.as_str(), "==" | "~=") {
                        self.ask(rhs);
                    }
                    if matches!(operator.as_str(), "and" | "or") {
                        self.guarded(|walker| walker.expression(rhs, inner));
                    } else {
                        self.expression(rhs, inner);
                    }
                    (expression, used) = (lhs, inner);
                }
                Expression::Parentheses { expression: inner, .. } => expression = inner,
                Expression::UnaryOperator { unop, expression: inner } => {
                    if unop.token().token().to_string() == "not" {
                        self.ask(inner);
                    }
                    (expression, used) = (inner, ValueUse::Look);
                }
                _ => break,
            }
        }
        match expression {
            Expression::Function(function) => self.function(function.body(), false),
            Expression::FunctionCall(call) => self.chain(call.prefix(), call.suffixes().collect(), false),
            Expression::TableConstructor(table) => self.table(table, used),
            Expression::String(token) => self.string(token),
            Expression::Symbol(token) if token.is_symbol(Symbol::Ellipsis) && self.functions.len() == 1 => {
                self.out.arguments.get_or_insert(token.token().start_position().line());
            }
            Expression::Symbol(token)
                if token.is_symbol(Symbol::Ellipsis)
                    && self.functions.last().is_some_and(|function| !function.varargs) =>
            {
                self.error(token, "`...` is valid only in a function that declares it: `function(...)`");
            }
            Expression::Var(Var::Name(name)) => self.read(name, used),
            Expression::Var(Var::Expression(var)) => {
                self.chain(var.prefix(), var.suffixes().collect(), false);
            }
            _ => {}
        }
    }

    pub(super) fn string(&mut self, token: &TokenReference) {
        self.out.errors.extend(text::string(token).err());
    }

    /// Notes a name whose value may be nil here, because it is compared, tested, or has a fallback.
    pub(super) fn ask(&mut self, mut expression: &Expression) {
        while let Expression::Parentheses { expression: inner, .. } = expression {
            expression = inner;
        }
        if let Expression::Var(Var::Name(name)) = expression {
            self.asked.insert(name.token().start_position().bytes());
        }
    }

    pub(super) fn read(&mut self, name: &'a TokenReference, used: ValueUse) {
        let Some(id) = self.out.scopes.resolve(name) else {
            let needed = !self.asked.contains(&name.token().start_position().bytes());
            self.out.scopes.global(name).note_read(name, needed);
            return;
        };
        let binding = &mut self.out.scopes.bindings[id];
        match used {
            ValueUse::Look => {}
            ValueUse::Escape => binding.escapes = true,
            ValueUse::Give(chain, suffix) => binding.given_to.push((chain, suffix)),
        }
    }

    pub(super) fn table(&mut self, table: &'a TableConstructor, used: ValueUse) {
        for field in table.fields() {
            match field {
                Field::ExpressionKey { key, value, .. } => {
                    self.expression(key, ValueUse::Look);
                    self.expression(value, used);
                }
                Field::NameKey { value, .. } => self.expression(value, used),
                Field::NoKey(value) => self.expression(value, used),
                _ => {}
            }
        }
    }

    pub(super) fn chain(&mut self, prefix: &'a Prefix, suffixes: Vec<&'a Suffix>, target: bool) {
        let id = self.out.chains.len();
        let within = self.functions.iter().filter_map(|function| function.name.clone()).collect();
        let guarded = self.guards > 0;
        self.out.chains.push(SuffixChain { prefix, suffixes: suffixes.clone(), target, guarded, within });
        match prefix {
            Prefix::Expression(expression) => self.expression(expression, ValueUse::Escape),
            Prefix::Name(name) => {
                self.read(name, ValueUse::Look);
                if let Some(binding) = self.out.scopes.binding_of(name) {
                    self.note_member(binding, &suffixes, target);
                }
            }
            _ => {}
        }
        for (index, suffix) in suffixes.into_iter().enumerate() {
            match suffix {
                Suffix::Index(Index::Brackets { expression, .. }) => {
                    self.expression(expression, ValueUse::Look);
                }
                Suffix::Call(Call::AnonymousCall(arguments)) => {
                    if matches!(prefix, Prefix::Name(name) if name.token().to_string() == "type")
                        && let FunctionArgs::Parentheses { arguments, .. } = &**arguments
                    {
                        arguments.iter().for_each(|argument| self.ask(argument));
                    }
                    let catches = matches!(prefix, Prefix::Name(name)
                        if index == 0 && matches!(name.token().to_string().as_str(), "pcall" | "xpcall"));
                    if catches {
                        self.note_caught(arguments);
                        self.guarded(|walker| walker.arguments(arguments, ValueUse::Give(id, index)));
                    } else {
                        self.arguments(arguments, ValueUse::Give(id, index));
                    }
                }
                Suffix::Call(Call::MethodCall(call)) => self.arguments(call.args(), ValueUse::Escape),
                _ => {}
            }
        }
    }

    /// Notes the function that is passed to `pcall` or `xpcall` by name.
    fn note_caught(&mut self, arguments: &FunctionArgs) {
        if let FunctionArgs::Parentheses { arguments, .. } = arguments
            && let Some(Expression::Var(Var::Name(name))) = arguments.iter().next()
        {
            self.out.caught.insert(name.token().to_string());
        }
    }

    /// Records what the first suffix does with a variable's value.
    pub(super) fn note_member(&mut self, binding: usize, suffixes: &[&Suffix], target: bool) {
        let binding = &mut self.out.scopes.bindings[binding];
        match suffixes.first() {
            Some(first @ Suffix::Index(_)) => match member(first) {
                Some(member) if target && suffixes.len() == 1 => {
                    binding.written.insert(member.name);
                }
                Some(member) => {
                    binding.touched.insert(member.name);
                }
                None => binding.escapes |= target,
            },
            // The effect of a method on the value is unknown.
            Some(Suffix::Call(Call::MethodCall(_))) => binding.escapes = true,
            _ => {}
        }
    }

    pub(super) fn arguments(&mut self, arguments: &'a FunctionArgs, used: ValueUse) {
        match arguments {
            FunctionArgs::Parentheses { arguments, .. } => {
                arguments.iter().for_each(|argument| self.expression(argument, used));
            }
            FunctionArgs::String(token) => self.string(token),
            FunctionArgs::TableConstructor(table) => self.table(table, used),
            _ => {}
        }
    }
}
