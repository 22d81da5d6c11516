//! Walks blocks and their statements.

use full_moon::ast::{Block, Expression, LastStmt, Stmt};
use full_moon::tokenizer::TokenReference;

use super::{SyntaxWalker, ValueUse};

impl<'a> SyntaxWalker<'a, '_> {
    pub(super) fn block(&mut self, block: &'a Block) {
        self.scoped(|walker| walker.statements(block, true));
    }

    /// Walks the statements of a block. `ends` is false if a condition follows that still sees the block's
    /// variables.
    pub(super) fn statements(&mut self, block: &'a Block, ends: bool) {
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
            Some(LastStmt::Return(values)) => {
                self.out.is_module |= self.functions.len() == 1 && !values.returns().is_empty();
                self.expressions(values.returns().iter());
            }
            Some(LastStmt::Break(token)) => self.leave_loop(token),
            _ => {}
        }
    }

    fn condition(&mut self, condition: &'a Expression) {
        self.ask(condition);
        self.expression(condition, ValueUse::Look);
    }

    pub(super) fn leave_loop(&mut self, token: &TokenReference) {
        if self.functions.last().is_some_and(|function| function.loops == 0) {
            self.error(token, "`break` outside of a loop");
        }
    }

    pub(super) fn statement(&mut self, statement: &'a Stmt, at_end: bool) {
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
                self.condition(branches.condition());
                self.guarded(|walker| walker.block(branches.block()));
                for branch in branches.else_if().into_iter().flatten() {
                    self.guarded(|walker| {
                        walker.condition(branch.condition());
                        walker.block(branch.block());
                    });
                }
                branches
                    .else_block()
                    .into_iter()
                    .for_each(|block| self.guarded(|walker| walker.block(block)));
            }
            Stmt::LocalAssignment(local) => self.local_assignment(local),
            Stmt::LocalFunction(function) => {
                self.declare(function.name(), None, false);
                self.naming = Some(function.name().token().to_string());
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
                    walker.condition(repeat.until());
                });
            }),
            Stmt::While(body) => {
                self.condition(body.condition());
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
}
