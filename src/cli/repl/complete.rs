//! Tab completion: globals, modules and their members.

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::lint::{global_names, member_names, module_names};

/// The known names.
#[derive(Debug)]
pub(super) struct NameCompleter {
    globals: Vec<String>,
}

impl Default for NameCompleter {
    fn default() -> Self {
        let mut globals = global_names();
        globals.extend(module_names());
        globals.sort();
        globals.dedup();
        Self { globals }
    }
}

impl NameCompleter {
    /// The start of the word at the end of `typed`, and its completions.
    fn candidates(&self, typed: &str) -> (usize, Vec<String>) {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
        let word = typed.rfind(|letter| !is_part(letter)).map_or(typed, |at| {
            let next = typed[at..].chars().next().map_or(1, char::len_utf8);
            &typed[at + next..]
        });
        if word.is_empty() && !typed.is_empty() {
            return (typed.len(), Vec::new());
        }
        let (begin, known): (usize, Vec<String>) = match word.rsplit_once('.') {
            Some((holder, member)) => (typed.len() - member.len(), member_names(holder)),
            None => (typed.len() - word.len(), self.globals.clone()),
        };
        let start = &typed[begin..];
        (begin, known.into_iter().filter(|name| name.starts_with(start)).collect())
    }
}

impl Completer for NameCompleter {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.candidates(line.get(..at).unwrap_or(line)))
    }
}

impl Hinter for NameCompleter {
    type Hint = String;
}

impl Highlighter for NameCompleter {}

impl Validator for NameCompleter {}

impl Helper for NameCompleter {}

#[cfg(test)]
mod tests {
    use super::NameCompleter;

    #[test]
    fn names_are_completed() {
        let names = NameCompleter::default();
        for (typed, begin, expected) in [
            ("im.group_s", 3, "group_send"),
            ("x = im.limits.mess", 14, "message_bytes"),
            ("print(json.enc", 11, "encode"),
            ("datet", 0, "datetime"),
            ("群 = campai", 6, "campaign"),
            ("tostr", 0, "tostring"),
        ] {
            let (at, candidates) = names.candidates(typed);
            assert_eq!(at, begin, "{typed}");
            assert!(candidates.iter().any(|name| name == expected), "{typed}: {candidates:?}");
        }
        assert!(names.candidates("nosuch.").1.is_empty());
        assert!(names.candidates("f(").1.is_empty());
    }
}
