//! Static checks of a script: syntax, misspelt names, messages that cannot be sent.
//!
//! The linter does not run the script, so it reports only problems that occur in every run; a value that is
//! computed at run time counts as correct. It accesses no files and no network.

mod arguments;
mod calls;
mod chain;
mod constants;
mod declaration;
mod fields;
mod globals;
mod labels;
mod library;
mod members;
mod message;
mod names;
mod nesting;
mod repair;
mod rest;
mod scopes;
mod signatures;
pub(crate) mod stubs;
mod suppression;
mod syntax;
mod text;
mod undefined;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::thread;

use full_moon::tokenizer::{Position, TokenReference};

use crate::core::{RestMethod, RestPath, UserScope};
use crate::message::ExtraNames;
use library::ModuleLibrary;
use nesting::NestingCheck;

pub(crate) use constants::{Constant, ConstantField};
pub(crate) use declaration::{ArgsTable, LIKE, args_table};
pub use suppression::{SuppressionGrant, SuppressionUse};

/// The stack size in bytes for parsing. 200 nested functions take 4 MB in an unoptimized build.
const STACK: usize = 32 * 1024 * 1024;

/// A problem in a script.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LintFinding {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The problem and the correction, in one line.
    pub message: String,
}

impl LintFinding {
    fn at(position: Position, message: impl Into<String>) -> Self {
        Self { line: position.line(), column: position.character(), message: message.into() }
    }

    fn on(token: &TokenReference, message: impl Into<String>) -> Self {
        Self::at(token.token().start_position(), message)
    }
}

/// A literal path that a script writes, creates or removes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPath {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    pub path: String,
}

/// A call of `im.request` whose method and path are literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteralCall {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    pub method: RestMethod,
    pub path: RestPath,
}

/// The users that a literal announcement goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteralScope {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    pub scope: UserScope,
}

/// Returns the text of a module that is a file. `None` if there is no such file.
pub type ModuleText<'a> = dyn Fn(&str) -> Option<String> + Sync + 'a;

/// The result of linting a script.
#[derive(Debug, Clone, Default)]
pub struct LintReport {
    /// The problems, in the order of their lines.
    pub findings: Vec<LintFinding>,
    /// The first line that reads the script's arguments, as `arg` or `...`.
    pub arguments: Option<usize>,
    /// The literal paths that the script writes to.
    pub writes: Vec<WrittenPath>,
    pub announces: Vec<LiteralScope>,
    /// The literal calls of `im.request`.
    pub requests: Vec<LiteralCall>,
    /// The uses of the permissions about the suppression list.
    pub suppression: Vec<SuppressionUse>,
}

impl LintReport {
    fn of(finding: LintFinding) -> Self {
        Self { findings: vec![finding], ..Self::default() }
    }
}

/// Lints scripts. It knows the modules of this executable.
#[derive(Debug)]
pub struct Linter {
    library: ModuleLibrary,
}

impl Default for Linter {
    fn default() -> Self {
        Self::new()
    }
}

impl Linter {
    /// Creates a linter that knows the modules of this executable.
    pub fn new() -> Self {
        Self { library: ModuleLibrary::new() }
    }

    /// The problems of a script, in the order of their lines. A script with a syntax error has one finding, the
    /// first error, as Lua itself would report it. `module_text` returns the text of a module that is a file.
    pub fn lint(&self, source: &str, module_text: &ModuleText<'_>) -> Vec<LintFinding> {
        self.look(source, module_text, &ExtraNames::default()).findings
    }

    /// Lints a script whose messages may have extra fields. Also reports where it reads its arguments and which paths it
    /// writes.
    pub fn look(&self, source: &str, module_text: &ModuleText<'_>, extra: &ExtraNames) -> LintReport {
        on_large_stack(|| self.read(source, module_text, extra)).unwrap_or_default()
    }

    fn read(
        &self,
        source: &str,
        module_text: &dyn Fn(&str) -> Option<String>,
        extra: &ExtraNames,
    ) -> LintReport {
        let source = repair::readable(source);
        // A byte order mark, which some editors write.
        let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
        let parsed = match parsed(source) {
            Ok(parsed) => parsed,
            Err(UnreadScript::Wrong(finding)) => return LintReport::of(finding),
            // Such an expression is probably generated. Lua itself checks it.
            Err(UnreadScript::TooLong) => return LintReport::default(),
        };
        let walked = walk::walk(&parsed);
        if let Some(first) = walked.errors.iter().min() {
            return LintReport::of(first.clone());
        }
        let calls::CallFindings { mut findings, writes, announces, requests, suppression } =
            calls::findings(&walked, &self.library, module_text, extra);
        findings.sort();
        findings.dedup();
        let arg = walked.scopes.globals.get("arg").and_then(|arg| arg.first);
        let arg = arg.map(|token| token.token().start_position().line());
        let arguments = arg.into_iter().chain(walked.arguments).min();
        LintReport { findings, arguments, writes, announces, requests, suppression }
    }
}

/// Why a script has no syntax tree.
enum UnreadScript {
    /// Lua refuses the script.
    Wrong(LintFinding),
    /// Lua may accept the script, but this parser could not handle it.
    TooLong,
}

/// Parses a script after [`repair::readable`].
fn parsed(source: &str) -> Result<syntax::ParsedScript, UnreadScript> {
    match nesting::measure(source) {
        NestingCheck::Fine => {}
        NestingCheck::TooDeep(finding) => return Err(UnreadScript::Wrong(finding)),
        NestingCheck::TooLong => return Err(UnreadScript::TooLong),
    }
    match (syntax::parse(source), text::number_problem(source)) {
        (Ok(parsed), None) => Ok(parsed),
        (Err(error), Some(number)) => Err(UnreadScript::Wrong(error.min(number))),
        (Err(error), None) => Err(UnreadScript::Wrong(error)),
        (Ok(_), Some(number)) => Err(UnreadScript::Wrong(number)),
    }
}

/// Runs a function on a thread with a large stack. At the maximum nesting that Lua permits, parsing needs more than a
/// thread's default stack. `None` if there is no memory for the thread.
fn on_large_stack<T: Send>(read: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let reader = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, read).ok()?;
        Some(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// The names of all modules, for completion.
pub(super) fn module_names() -> Vec<String> {
    let library = library::ModuleLibrary::new();
    let mut names: Vec<String> = library.names().map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

pub(super) fn global_names() -> Vec<String> {
    undefined::GLOBALS.iter().map(|name| (*name).to_owned()).collect()
}

/// The members of a module or of `im.limits`. Empty if it is not a module.
pub(super) fn member_names(module: &str) -> Vec<String> {
    let library = library::ModuleLibrary::new();
    if module == "im.limits" {
        return library.fields("im.limits").into_iter().map(str::to_owned).collect();
    }
    library.members(module).map(|members| members.iter().cloned().collect()).unwrap_or_default()
}
