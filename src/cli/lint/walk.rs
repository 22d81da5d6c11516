//! One pass over the tree: which variable each name means, what is called, and what Lua refuses though it parses.

use std::collections::BTreeSet;

use full_moon::ast::{
    Assignment, Block, Call, Expression, Field, FunctionArgs, FunctionBody, FunctionDeclaration, Index,
    LastStmt, LocalAssignment, Parameter, Prefix, Stmt, Suffix, TableConstructor, Var,
};
use full_moon::tokenizer::{Symbol, TokenReference};

use super::chain::{Chain, member};
use super::labels::Labels;
use super::scopes::Scopes;
use super::syntax::Parsed;
use super::{Finding, text};

/// What the pass has found.
#[derive(Default)]
pub(super) struct Walked<'a> {
    pub(super) scopes: Scopes<'a>,
    pub(super) chains: Vec<Chain<'a>>,
    /// Members that are set as `function name.member()`: the name and the member.
    pub(super) declared: Vec<(&'a TokenReference, String)>,
    /// What Lua refuses.
    pub(super) errors: Vec<Finding>,
}

/// What is done with the value of an expression.
#[derive(Clone, Copy)]
enum Use {
    /// It is only looked at: compared, measured, tested.
    Look,
    /// It may go anywhere.
    Escape,
    /// A call is given it: the chain and the suffix.
    Give(usize, usize),
}

/// What belongs to the function that is walked.
#[derive(Default)]
struct Function {
    labels: Labels,
    loops: usize,
    varargs: bool,
}

struct Walker<'a, 's> {
    breaks: &'s BTreeSet<usize>,
    out: Walked<'a>,
    functions: Vec<Function>,
}

/// Walks the tree of a script.
pub(super) fn walk(parsed: &Parsed) -> Walked<'_> {
    let main = Function { varargs: true, ..Function::default() };
    let mut walker = Walker { breaks: &parsed.breaks, out: Walked::default(), functions: vec![main] };
    walker.scoped(|walker| walker.statements(parsed.ast.nodes(), true));
    walker.out
}

impl<'a> Walker<'a, '_> {
    fn error(&mut self, token: &TokenReference, message: impl Into<String>) {
        self.out.errors.push(Finding::on(token, message));
    }

    fn labels(&mut self, act: impl FnOnce(&mut Labels, &mut Vec<Finding>)) {
        if let Some(function) = self.functions.last_mut() {
            act(&mut function.labels, &mut self.out.errors);
        }
    }

    fn scoped(&mut self, body: impl FnOnce(&mut Self)) {
        self.out.scopes.open();
        self.labels(|labels, _| labels.open());
        body(self);
        self.labels(Labels::close);
        self.out.scopes.close();
    }

    fn looped(&mut self, body: impl FnOnce(&mut Self)) {
        self.functions.last_mut().into_iter().for_each(|function| function.loops += 1);
        body(self);
        self.functions.last_mut().into_iter().for_each(|function| function.loops -= 1);
    }

    fn declare(&mut self, name: &TokenReference, initial: Option<&'a Expression>, constant: bool) {
        self.out.scopes.declare(name.token().to_string(), initial, constant);
        self.labels(|labels, _| labels.local());
    }

    fn block(&mut self, block: &'a Block) {
        self.scoped(|walker| walker.statements(block, true));
    }

    /// The statements of a block. `ends` is false where a condition follows that still sees the block's variables.
    fn statements(&mut self, block: &'a Block, ends: bool) {
        let statements: Vec<&Stmt> = block.stmts().collect();
        let is_label = |stmt: &Stmt| match stmt {
            Stmt::Label(label) => {
                !self.breaks.contains(&label.left_colons().token().start_position().bytes())
            }
            _ => false,
        };
        let trailing = statements.iter().rev().take_while(|stmt| is_label(stmt)).count();
        let first_trailing =
            if ends && block.last_stmt().is_none() { statements.len() - trailing } else { statements.len() };
        for (index, statement) in statements.into_iter().enumerate() {
            self.statement(statement, index >= first_trailing);
        }
        match block.last_stmt() {
            Some(LastStmt::Return(values)) => self.expressions(values.returns().iter()),
            Some(LastStmt::Break(token)) => self.leave_loop(token),
            _ => {}
        }
    }

    fn leave_loop(&mut self, token: &TokenReference) {
        if self.functions.last().is_some_and(|function| function.loops == 0) {
            self.error(token, "`break` outside of a loop");
        }
    }

    fn statement(&mut self, statement: &'a Stmt, at_end: bool) {
        match statement {
            Stmt::Assignment(assignment) => self.assignment(assignment),
            Stmt::Do(body) => self.block(body.block()),
            Stmt::FunctionCall(call) => {
                self.chain(call.prefix(), call.suffixes().collect(), false);
            }
            Stmt::FunctionDeclaration(declaration) => self.function_declaration(declaration),
            Stmt::GenericFor(generic) => {
                self.expressions(generic.expressions().iter());
                self.looped(|walker| {
                    walker.scoped(|walker| {
                        generic.names().iter().for_each(|name| walker.declare(name, None, false));
                        walker.block(generic.block());
                    });
                });
            }
            Stmt::If(branches) => {
                self.expression(branches.condition(), Use::Look);
                self.block(branches.block());
                for branch in branches.else_if().into_iter().flatten() {
                    self.expression(branch.condition(), Use::Look);
                    self.block(branch.block());
                }
                branches.else_block().into_iter().for_each(|block| self.block(block));
            }
            Stmt::LocalAssignment(local) => self.local_assignment(local),
            Stmt::LocalFunction(function) => {
                self.declare(function.name(), None, false);
                self.function(function.body(), false);
            }
            Stmt::NumericFor(numeric) => {
                let bounds = [Some(numeric.start()), Some(numeric.end()), numeric.step()];
                self.expressions(bounds.into_iter().flatten());
                self.looped(|walker| {
                    walker.scoped(|walker| {
                        walker.declare(numeric.index_variable(), None, false);
                        walker.block(numeric.block());
                    });
                });
            }
            Stmt::Repeat(repeat) => self.looped(|walker| {
                walker.scoped(|walker| {
                    walker.statements(repeat.block(), false);
                    walker.expression(repeat.until(), Use::Look);
                });
            }),
            Stmt::While(body) => {
                self.expression(body.condition(), Use::Look);
                self.looped(|walker| walker.block(body.block()));
            }
            Stmt::Goto(goto) => self.labels(|labels, _| labels.goto(goto.label_name())),
            Stmt::Label(label)
                if self.breaks.contains(&label.left_colons().token().start_position().bytes()) =>
            {
                self.leave_loop(label.left_colons());
            }
            Stmt::Label(label) => self.labels(|labels, errors| labels.label(label.name(), at_end, errors)),
            _ => {}
        }
    }

    fn assignment(&mut self, assignment: &'a Assignment) {
        self.expressions(assignment.expressions().iter());
        let values = assignment.expressions().iter().map(Some).chain(std::iter::repeat(None));
        for (variable, value) in assignment.variables().iter().zip(values) {
            match variable {
                Var::Name(name) => self.set(name, matches!(value, Some(Expression::Function(_)))),
                Var::Expression(expression) => {
                    let suffixes: Vec<_> = expression.suffixes().collect();
                    if suffixes.is_empty() {
                        self.error(
                            assignment.equal_token(),
                            "only a name or a field can be set; take the brackets away",
                        );
                    }
                    self.chain(expression.prefix(), suffixes, true);
                }
                _ => {}
            }
        }
    }

    fn set(&mut self, name: &'a TokenReference, to_function: bool) {
        match self.out.scopes.resolve(name) {
            Some(id) => {
                self.out.scopes.bindings[id].reassigned = true;
                if self.out.scopes.bindings[id].constant {
                    let shown = name.token();
                    self.error(
                        name,
                        format!("`{shown}` is constant (`<const>` or `<close>`) and cannot be set again"),
                    );
                }
            }
            None => self.out.scopes.global(name).set.push((name, to_function)),
        }
    }

    fn local_assignment(&mut self, local: &'a LocalAssignment) {
        self.expressions(local.expressions().iter());
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
                        format!("`<{word}>` is unknown; there are `<const>` and `<close>`"),
                    );
                }
                None => {}
            }
            self.declare(name, values.get(index).copied(), attribute.is_some());
        }
    }

    fn function_declaration(&mut self, declaration: &'a FunctionDeclaration) {
        let name = declaration.name();
        let mut names = name.names().iter().chain(name.method_name());
        if let Some(first) = names.next() {
            match names.next() {
                None => self.set(first, true),
                Some(member) => {
                    let member = member.token().to_string();
                    match self.out.scopes.resolve(first) {
                        Some(id) => {
                            self.out.scopes.bindings[id].written.insert(member.clone());
                        }
                        None => self.out.scopes.global(first).read = true,
                    }
                    self.out.declared.push((first, member));
                }
            }
        }
        self.function(declaration.body(), name.method_name().is_some());
    }

    fn function(&mut self, body: &'a FunctionBody, is_method: bool) {
        let varargs = body.parameters().iter().any(|parameter| matches!(parameter, Parameter::Ellipsis(_)));
        self.functions.push(Function { varargs, ..Function::default() });
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

    fn expressions(&mut self, expressions: impl Iterator<Item = &'a Expression>) {
        expressions.for_each(|expression| self.expression(expression, Use::Escape));
    }

    fn expression(&mut self, mut expression: &'a Expression, mut used: Use) {
        loop {
            match expression {
                // Long sums lean to the left: no recursion there.
                Expression::BinaryOperator { lhs, binop, rhs } => {
                    let inner = if matches!(binop.token().token().to_string().as_str(), "and" | "or") {
                        used
                    } else {
                        Use::Look
                    };
                    self.expression(rhs, inner);
                    (expression, used) = (lhs, inner);
                }
                Expression::Parentheses { expression: inner, .. } => expression = inner,
                Expression::UnaryOperator { expression: inner, .. } => {
                    (expression, used) = (inner, Use::Look);
                }
                _ => break,
            }
        }
        match expression {
            Expression::Function(function) => self.function(function.body(), false),
            Expression::FunctionCall(call) => self.chain(call.prefix(), call.suffixes().collect(), false),
            Expression::TableConstructor(table) => self.table(table, used),
            Expression::String(token) => self.string(token),
            Expression::Symbol(token)
                if token.is_symbol(Symbol::Ellipsis)
                    && self.functions.last().is_some_and(|function| !function.varargs) =>
            {
                self.error(token, "`...` only stands in a function that takes it: `function(...)`");
            }
            Expression::Var(Var::Name(name)) => self.read(name, used),
            Expression::Var(Var::Expression(var)) => {
                self.chain(var.prefix(), var.suffixes().collect(), false);
            }
            _ => {}
        }
    }

    fn string(&mut self, token: &TokenReference) {
        self.out.errors.extend(text::string(token).err());
    }

    fn read(&mut self, name: &TokenReference, used: Use) {
        let Some(id) = self.out.scopes.resolve(name) else {
            self.out.scopes.global(name).read = true;
            return;
        };
        let binding = &mut self.out.scopes.bindings[id];
        match used {
            Use::Look => {}
            Use::Escape => binding.escapes = true,
            Use::Give(chain, suffix) => binding.given_to.push((chain, suffix)),
        }
    }

    fn table(&mut self, table: &'a TableConstructor, used: Use) {
        for field in table.fields() {
            match field {
                Field::ExpressionKey { key, value, .. } => {
                    self.expression(key, Use::Look);
                    self.expression(value, used);
                }
                Field::NameKey { value, .. } => self.expression(value, used),
                Field::NoKey(value) => self.expression(value, used),
                _ => {}
            }
        }
    }

    fn chain(&mut self, prefix: &'a Prefix, suffixes: Vec<&'a Suffix>, target: bool) {
        let id = self.out.chains.len();
        self.out.chains.push(Chain { prefix, suffixes: suffixes.clone(), target });
        match prefix {
            Prefix::Expression(expression) => self.expression(expression, Use::Escape),
            Prefix::Name(name) => {
                self.read(name, Use::Look);
                if let Some(binding) = self.out.scopes.binding_of(name) {
                    self.note_member(binding, &suffixes, target);
                }
            }
            _ => {}
        }
        for (index, suffix) in suffixes.into_iter().enumerate() {
            match suffix {
                Suffix::Index(Index::Brackets { expression, .. }) => self.expression(expression, Use::Look),
                Suffix::Call(Call::AnonymousCall(arguments)) => {
                    self.arguments(arguments, Use::Give(id, index));
                }
                Suffix::Call(Call::MethodCall(call)) => self.arguments(call.args(), Use::Escape),
                _ => {}
            }
        }
    }

    /// What the first suffix does with a variable's value.
    fn note_member(&mut self, binding: usize, suffixes: &[&Suffix], target: bool) {
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
            // What a method does with it is not to be seen here.
            Some(Suffix::Call(Call::MethodCall(_))) => binding.escapes = true,
            _ => {}
        }
    }

    fn arguments(&mut self, arguments: &'a FunctionArgs, used: Use) {
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
