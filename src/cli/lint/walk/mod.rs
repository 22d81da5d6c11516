//! One pass over the tree: which variable each name means, what is called, and what Lua refuses though it parses.

mod assignments;
mod expressions;
mod statements;

use std::collections::BTreeSet;

use full_moon::ast::Expression;
use full_moon::tokenizer::TokenReference;

use super::LintFinding;
use super::chain::SuffixChain;
use super::labels::FunctionLabels;
use super::scopes::Scopes;
use super::syntax::ParsedScript;

/// What the pass has found.
#[derive(Default)]
pub(super) struct WalkResult<'a> {
    pub(super) scopes: Scopes<'a>,
    pub(super) chains: Vec<SuffixChain<'a>>,
    /// Members that are set as `function name.member()`: the name and the member.
    pub(super) declared: Vec<(&'a TokenReference, String)>,
    /// The names of functions that are given to `pcall` or `xpcall`: what they require may be missing.
    pub(super) caught: BTreeSet<String>,
    /// The line where the script first takes its arguments as `...`.
    pub(super) arguments: Option<usize>,
    /// Whether it gives something to whoever requires it.
    pub(super) is_module: bool,
    /// What Lua refuses.
    pub(super) errors: Vec<LintFinding>,
}

/// What is done with the value of an expression.
#[derive(Clone, Copy)]
enum ValueUse {
    /// It is only looked at: compared, measured, tested.
    Look,
    /// It may go anywhere.
    Escape,
    /// A call is given it: the chain and the suffix.
    Give(usize, usize),
}

/// What belongs to the function that is walked.
#[derive(Default)]
struct FunctionScope {
    /// The name that it is declared by, where it has one.
    name: Option<String>,
    labels: FunctionLabels,
    loops: usize,
    varargs: bool,
}

struct SyntaxWalker<'a, 's> {
    breaks: &'s BTreeSet<usize>,
    out: WalkResult<'a>,
    functions: Vec<FunctionScope>,
    /// Places of names that the script only asks about.
    asked: BTreeSet<usize>,
    /// Conditions and calls that catch errors around what is walked.
    guards: usize,
    /// The name of the function that is walked next.
    naming: Option<String>,
}

/// Walks the tree of a script.
pub(super) fn walk(parsed: &ParsedScript) -> WalkResult<'_> {
    let main = FunctionScope { varargs: true, ..FunctionScope::default() };
    let mut walker = SyntaxWalker {
        breaks: &parsed.breaks,
        out: WalkResult::default(),
        functions: vec![main],
        asked: BTreeSet::new(),
        guards: 0,
        naming: None,
    };
    walker.scoped(|walker| walker.statements(parsed.ast.nodes(), true));
    walker.out
}

impl<'a> SyntaxWalker<'a, '_> {
    fn error(&mut self, token: &TokenReference, message: impl Into<String>) {
        self.out.errors.push(LintFinding::on(token, message));
    }

    fn labels(&mut self, act: impl FnOnce(&mut FunctionLabels, &mut Vec<LintFinding>)) {
        if let Some(function) = self.functions.last_mut() {
            act(&mut function.labels, &mut self.out.errors);
        }
    }

    fn scoped(&mut self, body: impl FnOnce(&mut Self)) {
        self.out.scopes.open();
        self.labels(|labels, _| labels.open());
        body(self);
        self.labels(FunctionLabels::close);
        self.out.scopes.close();
    }

    fn guarded(&mut self, body: impl FnOnce(&mut Self)) {
        self.guards += 1;
        body(self);
        self.guards -= 1;
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
}
