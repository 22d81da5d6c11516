//! Test results as text.

use std::io::{self, Write};
use std::time::Duration;

use super::super::rehearse::text::plural;
use super::{TestFailure, TestOutcome};

/// The maximum number of output lines that are shown, the last ones.
const LINES: usize = 30;

/// Prints the result of one test when it ends.
pub(super) fn outcome(outcome: &TestOutcome) {
    // A closed pipe is not an error.
    let _ = write_outcome(&mut io::stdout().lock(), outcome);
}

/// Prints the summary of all tests.
pub(super) fn summary(outcomes: &[TestOutcome], took: Duration) {
    let failed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count() as u64;
    let passed = outcomes.len() as u64 - failed;
    let verdict = match failed {
        0 => format!("{} passed", plural(passed, "test")),
        _ => format!("{} failed, {passed} passed", plural(failed, "test")),
    };
    // A closed pipe is not an error.
    let _ = writeln!(io::stdout(), "\n{verdict} in {:.1} s", took.as_secs_f64());
}

/// Whether a traceback frame belongs to the library, or is the location already shown.
fn is_known(frame: &str, position: &str) -> bool {
    frame.starts_with("stdlib/") || (!position.is_empty() && frame.starts_with(position))
}

fn write_outcome(out: &mut impl Write, outcome: &TestOutcome) -> io::Result<()> {
    let position = outcome.test.as_ref().map_or(outcome.file.as_str(), |test| &test.place);
    let name = outcome.test.as_ref().map_or("cannot be loaded", |test| &test.name);
    let Some(TestFailure { error, line, said }) = &outcome.failure else {
        return writeln!(out, "ok    {}: {name} ({:.2} s)", outcome.file, outcome.took.as_secs_f64());
    };
    writeln!(out, "FAIL  {position}: {name}")?;
    for text in error.message.lines() {
        writeln!(out, "      {text}")?;
    }
    if let Some((number, text)) = line {
        writeln!(out, "      {number:>4} | {text}")?;
    }
    let position = line.as_ref().map(|(number, _)| format!("{}:{number}:", outcome.file)).unwrap_or_default();
    for frame in error.traceback.iter().filter(|frame| !is_known(frame, &position)) {
        writeln!(out, "           {frame}")?;
    }
    let lines: Vec<&str> = said.lines().collect();
    if !lines.is_empty() {
        writeln!(out, "      printed and logged:")?;
    }
    for text in lines.iter().skip(lines.len().saturating_sub(LINES)) {
        writeln!(out, "        {text}")?;
    }
    Ok(())
}
