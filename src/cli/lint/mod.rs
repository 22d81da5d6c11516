//! What is wrong with a script, found by reading it: its syntax, misspelt names, messages that cannot be sent.
//!
//! Reading runs nothing, so it says only what is wrong whatever happens: a value that the script makes while it runs is
//! taken as right. Pure: no files, no network. May import: `message`, and the embedded library of `cli::stubs`.

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
mod syntax;
mod text;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::thread;

use full_moon::tokenizer::{Position, TokenReference};

use library::Library;
use nesting::Nesting;

/// Bytes of stack for reading a script: 200 nested functions take 4 MB of it where nothing is optimised.
const STACK: usize = 32 * 1024 * 1024;

/// One thing that is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong and what would be right, in one line.
    pub message: String,
}

impl Finding {
    fn at(position: Position, message: impl Into<String>) -> Self {
        Self { line: position.line(), column: position.character(), message: message.into() }
    }

    fn on(token: &TokenReference, message: impl Into<String>) -> Self {
        Self::at(token.token().start_position(), message)
    }
}

/// Reads scripts, knowing what there is to call.
#[derive(Debug)]
pub struct Linter {
    library: Library,
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
        Self { library: Library::new() }
    }

    /// What is wrong with the script, in the order of its lines. A script that cannot be read as Lua has one finding, its
    /// first error, as Lua itself would report it. `has_file` says whether the project has a file for a module's name.
    #[must_use]
    pub fn lint(&self, source: &str, has_file: &(dyn Fn(&str) -> bool + Sync)) -> Vec<Finding> {
        // Nested as deeply as Lua allows, a script takes more stack than a thread has by default.
        thread::scope(|scope| {
            let reader = thread::Builder::new().stack_size(STACK);
            match reader.spawn_scoped(scope, || self.read(source, has_file)) {
                Ok(reader) => reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => Vec::new(),
            }
        })
    }

    fn read(&self, source: &str, has_file: &dyn Fn(&str) -> bool) -> Vec<Finding> {
        let source = repair::readable(source);
        // The mark that some editors begin a file with.
        let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
        match nesting::measure(source) {
            Nesting::Fine => {}
            Nesting::TooDeep(finding) => return vec![finding],
            // Nothing that a person wrote: left to Lua itself.
            Nesting::TooLong => return Vec::new(),
        }
        let (parsed, number) = (syntax::parse(source), text::number_problem(source));
        let parsed = match (parsed, number) {
            (Ok(parsed), None) => parsed,
            (Err(error), Some(number)) => return vec![error.min(number)],
            (Err(error), None) => return vec![error],
            (Ok(_), Some(number)) => return vec![number],
        };
        let walked = walk::walk(&parsed);
        if let Some(first) = walked.errors.iter().min() {
            return vec![first.clone()];
        }
        let mut findings = calls::findings(&walked, &self.library, has_file);
        findings.sort();
        findings.dedup();
        findings
    }
}
