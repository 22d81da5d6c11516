//! A single pass over the tree: resolves names, records calls, and finds errors that the parser does not report.

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

/// The result of the pass.
#[derive(Default)]
pub(super) struct WalkResult<'a> {
    pub(super) scopes: Scopes<'a>,
    pub(super) chains: Vec<SuffixChain<'a>>,
    /// Members that are set as `function name.member()`: the name and the member.
    pub(super) declared: Vec<(&'a TokenReference, String)>,
    /// The names of functions that are passed to `pcall` or `xpcall`. The modules that they require may be missing.
    pub(super) caught: BTreeSet<String>,
    /// The first line that reads the script's arguments as `...`.
    pub(super) arguments: Option<usize>,
    /// Whether the script returns a value to a `require`.
    pub(super) is_module: bool,
    /// The errors that Lua would report.
    pub(super) errors: Vec<LintFinding>,
}

/// The use of an expression's value.
#[derive(Clone, Copy)]
enum ValueUse {
    /// The value is only compared, measured or tested.
    Look,
    /// The value may be passed to any code.
    Escape,
    /// The value is an argument of a call: the chain and the suffix.
    Give(usize, usize),
}

/// The state of the function that is being walked.
#[derive(Default)]
struct FunctionScope {
    /// The name that the function is declared with.
    name: Option<String>,
    labels: FunctionLabels,
    loops: usize,
    varargs: bool,
}

struct SyntaxWalker<'a, 's> {
    breaks: &'s BTreeSet<usize>,
    out: WalkResult<'a>,
    functions: Vec<FunctionScope>,
    /// The positions of names that the script only tests.
    asked: BTreeSet<usize>,
    /// The number of enclosing conditions and error-catching calls.
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
