//! Walks assignments, declarations and function definitions.

use full_moon::ast::{
    Assignment, Expression, FunctionBody, FunctionDeclaration, LocalAssignment, Parameter, Var,
};
use full_moon::tokenizer::TokenReference;

use super::{FunctionScope, SyntaxWalker, ValueUse};

impl<'a> SyntaxWalker<'a, '_> {
    pub(super) fn assignment(&mut self, assignment: &'a Assignment) {
        let names = assignment.variables().iter().map(|variable| match variable {
            Var::Name(name) => Some(name),
            _ => None,
        });
        self.named(names, assignment.expressions().iter());
        let values = assignment.expressions().iter().map(Some).chain(std::iter::repeat(None));
        for (variable, value) in assignment.variables().iter().zip(values) {
            match variable {
                Var::Name(name) => self.set(name, matches!(value, Some(Expression::Function(_)))),
                Var::Expression(expression) => {
                    let suffixes: Vec<_> = expression.suffixes().collect();
                    if suffixes.is_empty() {
                        self.error(
                            assignment.equal_token(),
                            "only a name or a field can be assigned; remove the brackets",
                        );
                    }
                    self.chain(expression.prefix(), suffixes, true);
                }
                _ => {}
            }
        }
    }

    pub(super) fn set(&mut self, name: &'a TokenReference, to_function: bool) {
        match self.out.scopes.resolve(name) {
            Some(id) => {
                self.out.scopes.bindings[id].reassigned = true;
                if self.out.scopes.bindings[id].constant {
                    let shown = name.token();
                    self.error(
                        name,
                        format!(
                            "`{shown}` is constant (`<const>` or `<close>`) and cannot be assigned again"
                        ),
                    );
                }
            }
            None => self.out.scopes.global(name).set.push((name, to_function)),
        }
    }

    /// Walks the values that are assigned to these names.
    fn named(
        &mut self,
        mut names: impl Iterator<Item = Option<&'a TokenReference>>,
        values: impl Iterator<Item = &'a Expression>,
    ) {
        for value in values {
            let name = names.next().flatten();
            let is_function = matches!(value, Expression::Function(_));
            self.naming = name.filter(|_| is_function).map(|name| name.token().to_string());
            self.expression(value, ValueUse::Escape);
        }
    }

    pub(super) fn local_assignment(&mut self, local: &'a LocalAssignment) {
        self.named(local.names().iter().map(Some), local.expressions().iter());
        let values: Vec<_> = local.expressions().iter().collect();
        let mut closing = false;
        for (index, (name, attribute)) in local.names().iter().zip(local.attributes()).enumerate() {
            let attribute = attribute.map(|attribute| (attribute, attribute.name().token().to_string()));
            match &attribute {
                Some((_, word)) if word == "const" => {}
                Some((attribute, word)) if word == "close" => {
                    if closing {
                        self.error(attribute.name(), "only one variable of a `local` can be `<close>`");
                    }
                    closing = true;
                }
                Some((attribute, word)) => {
                    self.error(
                        attribute.name(),
                        format!("`<{word}>` is unknown; Lua has `<const>` and `<close>`"),
                    );
                }
                None => {}
            }
            self.declare(name, values.get(index).copied(), attribute.is_some());
        }
    }

    pub(super) fn function_declaration(&mut self, declaration: &'a FunctionDeclaration) {
        let name = declaration.name();
        let mut names = name.names().iter().chain(name.method_name());
        if let Some(first) = names.next() {
            match names.next() {
                None => {
                    self.naming = Some(first.token().to_string());
                    self.set(first, true);
                }
                Some(member) => {
                    let member = member.token().to_string();
                    match self.out.scopes.resolve(first) {
                        Some(id) => {
                            self.out.scopes.bindings[id].written.insert(member.clone());
                        }
                        None => self.out.scopes.global(first).note_read(first, true),
                    }
                    self.out.declared.push((first, member));
                }
            }
        }
        self.function(declaration.body(), name.method_name().is_some());
    }

    pub(super) fn function(&mut self, body: &'a FunctionBody, is_method: bool) {
        let name = self.naming.take();
        let varargs = body.parameters().iter().any(|parameter| matches!(parameter, Parameter::Ellipsis(_)));
        self.functions.push(FunctionScope { name, varargs, ..FunctionScope::default() });
        self.scoped(|walker| {
            if is_method {
                walker.out.scopes.declare("self".to_owned(), None, false);
            }
            for parameter in body.parameters() {
                if let Parameter::Name(name) = parameter {
                    walker.declare(name, None, false);
                }
            }
            walker.statements(body.block(), true);
        });
        self.functions.pop();
    }
}
