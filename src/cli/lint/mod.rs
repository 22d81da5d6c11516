//! What is wrong with a script, found by reading it: its syntax, misspelt names, messages that cannot be sent.
//!
//! Reading runs nothing, so it says only what is wrong whatever happens: a value that the script makes while it runs is
//! taken as right. Pure: no files, no network. May import: `message`, and the embedded library of `cli::stubs`.

mod arguments;
mod calls;
mod chain;
mod fields;
mod globals;
mod labels;
mod library;
mod members;
mod message;
mod names;
mod nesting;
mod repair;
mod scopes;
mod signatures;
mod syntax;
mod text;
mod undefined;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::thread;

use full_moon::tokenizer::{Position, TokenReference};

use library::ModuleLibrary;
use nesting::NestingCheck;

/// Bytes of stack for reading a script: 200 nested functions take 4 MB of it where nothing is optimised.
const STACK: usize = 32 * 1024 * 1024;

/// One thing that is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LintFinding {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong and what would be right, in one line.
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

/// A path that stands in a script, where it writes to it, makes it or removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPath {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The path as it stands.
    pub path: String,
}

/// Gives the text of a module that is a file.
pub type ModuleText<'a> = dyn Fn(&str) -> Option<String> + Sync + 'a;

/// What reading a script has shown.
#[derive(Debug, Clone, Default)]
pub struct LintReport {
    /// What is wrong with it, in the order of its lines.
    pub findings: Vec<LintFinding>,
    /// The first line where it takes its arguments, as `arg` or as `...`.
    pub arguments: Option<usize>,
    /// The paths that it writes to, as far as they stand in it.
    pub writes: Vec<WrittenPath>,
}

impl LintReport {
    fn of(finding: LintFinding) -> Self {
        Self { findings: vec![finding], ..Self::default() }
    }
}

/// Reads scripts, knowing what there is to call.
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
    /// A linter that knows the modules of this binary.
    #[must_use]
    pub fn new() -> Self {
        Self { library: ModuleLibrary::new() }
    }

    /// What is wrong with the script, in the order of its lines. A script that cannot be read as Lua has one finding, its
    /// first error, as Lua itself would report it. `module_text` gives the text of a module that is a file.
    #[must_use]
    pub fn lint(&self, source: &str, module_text: &ModuleText<'_>) -> Vec<LintFinding> {
        self.look(source, module_text).findings
    }

    /// The same, and where the script takes its arguments.
    #[must_use]
    pub fn look(&self, source: &str, module_text: &ModuleText<'_>) -> LintReport {
        // Nested as deeply as Lua allows, a script takes more stack than a thread has by default.
        thread::scope(|scope| {
            let reader = thread::Builder::new().stack_size(STACK);
            match reader.spawn_scoped(scope, || self.read(source, module_text)) {
                Ok(reader) => reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => LintReport::default(),
            }
        })
    }

    fn read(&self, source: &str, module_text: &dyn Fn(&str) -> Option<String>) -> LintReport {
        let source = repair::readable(source);
        // The mark that some editors begin a file with.
        let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
        match nesting::measure(source) {
            NestingCheck::Fine => {}
            NestingCheck::TooDeep(finding) => return LintReport::of(finding),
            // Nothing that a person wrote: left to Lua itself.
            NestingCheck::TooLong => return LintReport::default(),
        }
        let (parsed, number) = (syntax::parse(source), text::number_problem(source));
        let parsed = match (parsed, number) {
            (Ok(parsed), None) => parsed,
            (Err(error), Some(number)) => return LintReport::of(error.min(number)),
            (Err(error), None) => return LintReport::of(error),
            (Ok(_), Some(number)) => return LintReport::of(number),
        };
        let walked = walk::walk(&parsed);
        if let Some(first) = walked.errors.iter().min() {
            return LintReport::of(first.clone());
        }
        let (mut findings, writes) = calls::findings(&walked, &self.library, module_text);
        findings.sort();
        findings.dedup();
        let arg = walked.scopes.globals.get("arg").and_then(|arg| arg.first);
        let arg = arg.map(|token| token.token().start_position().line());
        LintReport { findings, arguments: arg.into_iter().chain(walked.arguments).min(), writes }
    }
}

/// The names of all modules, for a prompt.
pub(super) fn module_names() -> Vec<String> {
    let library = library::ModuleLibrary::new();
    let mut names: Vec<String> = library.names().map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// The globals that every script finds.
pub(super) fn global_names() -> Vec<String> {
    undefined::GLOBALS.iter().map(|name| (*name).to_owned()).collect()
}

/// The members of a module, or of `im.limits`; none where it is no module.
pub(super) fn member_names(module: &str) -> Vec<String> {
    let library = library::ModuleLibrary::new();
    if module == "im.limits" {
        return library.limits().iter().cloned().collect();
    }
    library.members(module).map(|members| members.iter().cloned().collect()).unwrap_or_default()
}
