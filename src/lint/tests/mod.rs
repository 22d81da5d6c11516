//! Tests of the linter with whole scripts.

mod fine;
mod messages;
mod misspelt;
mod random;
mod syntax;

use super::Linter;

/// The findings of a script, as `line: message`.
fn lint(source: &str) -> Vec<String> {
    let module_text = |name: &str| match name {
        "own" => Some("ours = 1\nrequire('lib.helper')".to_owned()),
        "lib.helper" => Some("function help() end\nreturn {}".to_owned()),
        _ => None,
    };
    let findings = Linter::new().lint(source, &module_text);
    findings.into_iter().map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
}

/// Asserts that each script has exactly one finding, in this line and with this text in its message.
#[track_caller]
fn assert_found(cases: &[(&str, usize, &str)]) {
    for (source, line, part) in cases {
        let found = lint(source);
        assert_eq!(found.len(), 1, "{source}\n{found:#?}");
        assert!(found[0].starts_with(&format!("{line}: ")), "{source}\n{found:#?} is not in line {line}");
        assert!(found[0].contains(part), "{source}\n{found:#?} has no {part:?}");
    }
}
