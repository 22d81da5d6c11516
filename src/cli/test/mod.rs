//! `mooncast test`: runs a project's tests, which are written in Lua.
//!
//! - `find`: finds the test files; `test_run`: the environment of each test; `service`: the simulator that a test
//!   sends to;
//! - `text` and `junit`: the results for people and for programs.

mod find;
mod junit;
mod service;
mod test_run;
mod text;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use crate::clock::Clock;
use crate::config::{Environment, Project, Settings};
use crate::core::parse_duration;
use crate::message::counted;
use crate::protocol::{LoadMode, LuaSource, ScriptError};
use crate::run::testing::DeclaredTest;
use crate::run::{RunEnd, RunError};

use super::grants::GrantArgs;
use super::{Exit, GlobalArgs, script};

/// Runs the tests of scripts.
///
/// A test runs scripts as `mooncast run` does, in simulated time and against its own simulator. It sends nothing over
/// the network and changes files in memory only. `mooncast new` creates a first test. The module `test` of the Lua
/// reference documents the functions for tests.
///
/// Exit status: 0 all passed; 1 some failed; 2 usage or configuration, or no test was found; 130 interrupted.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Files of tests, or folders; by default scripts/tests/ and all files scripts/**/*_test.lua
    paths: Vec<PathBuf>,
    /// Run only the tests whose `FILE: NAME` contains this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write a JUnit report for CI to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The maximum real time of one test
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "60s")]
    timeout: Duration,
    #[command(flatten)]
    grants: GrantArgs,
}

struct TestFile {
    path: PathBuf,
    project: Project,
    settings: Rc<Settings>,
    source: LuaSource,
}

/// The result of a test, or of a file that failed to load.
struct TestOutcome {
    /// `scripts/tests/hello.lua`
    file: String,
    /// The test. `None` for the file itself.
    test: Option<DeclaredTest>,
    /// The real time that the test took.
    took: Duration,
    failure: Option<TestFailure>,
}

/// Why a test failed.
struct TestFailure {
    error: ScriptError,
    /// The line of the file that the error is about, with its number.
    line: Option<(usize, String)>,
    /// The output and log until then.
    said: String,
}

pub(super) fn run(args: &TestArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let files = find::files(&args.paths, global)?;
    let mut files: Vec<TestFile> =
        files.iter().map(|path| open(path, args, global)).collect::<anyhow::Result<_>>()?;
    files.sort_by(|left, right| left.source.name.cmp(&right.source.name));
    files.dedup_by(|left, right| left.path == right.path);
    let clock = Clock::real();
    let began = clock.now();
    let mut outcomes = Vec::new();
    for file in &files {
        if run_file(file, args, &clock, &mut outcomes)? == TestProgress::Interrupted {
            return Ok(Exit::Interrupted);
        }
    }
    if outcomes.is_empty() {
        let among = counted(files.len(), "file");
        match &args.filter {
            Some(filter) => bail!("no test in {among} contains `{filter}` in its `FILE: NAME`"),
            None => bail!("there are no tests in {among}; a test is `test(\"name\", function(t) … end)`"),
        }
    }
    let took = clock.now() - began;
    let failed = outcomes.iter().any(|outcome| outcome.failure.is_some());
    text::summary(&outcomes, took);
    if let Some(path) = &args.junit {
        junit::write(path, &outcomes, took).with_context(|| format!("--junit {}", path.display()))?;
    }
    Ok(if failed { Exit::Failed } else { Exit::Delivered })
}

fn open(path: &Path, args: &TestArgs, global: &GlobalArgs) -> anyhow::Result<TestFile> {
    let (project, source) = script::open(path, global)?;
    let mut settings = Settings::load_offline(&project, &Environment::of_process())?;
    settings.permissions.extend(args.grants.permissions()?);
    let path = path.canonicalize().with_context(|| format!("{}", path.display()))?;
    Ok(TestFile { path, project, settings: Rc::new(settings), source })
}

/// Whether to continue.
#[derive(PartialEq, Eq)]
enum TestProgress {
    GoOn,
    Interrupted,
}

/// Runs the tests of a file that match the filter.
fn run_file(
    file: &TestFile,
    args: &TestArgs,
    clock: &Clock,
    outcomes: &mut Vec<TestOutcome>,
) -> anyhow::Result<TestProgress> {
    let loaded = test_run::run_test(file, LoadMode::Declare, None, args.timeout)?;
    let declared = match &loaded.ended {
        RunEnd::Interrupted => return Ok(TestProgress::Interrupted),
        RunEnd::Finished => loaded.declared,
        RunEnd::Failed(failed) => {
            let failure = Some(failure_of(file, failed, loaded.said.clone()));
            let outcome =
                TestOutcome { file: file.source.name.clone(), test: None, took: Duration::ZERO, failure };
            text::outcome(&outcome);
            outcomes.push(outcome);
            return Ok(TestProgress::GoOn);
        }
    };
    for test in declared {
        let full = format!("{}: {}", file.source.name, test.name);
        if args.filter.as_ref().is_some_and(|filter| !full.contains(filter.as_str())) {
            continue;
        }
        let began = clock.now();
        let played = test_run::run_test(file, LoadMode::Job, Some(&test.name), args.timeout)?;
        let failure = match &played.ended {
            RunEnd::Interrupted => return Ok(TestProgress::Interrupted),
            RunEnd::Finished => None,
            RunEnd::Failed(failed) => Some(failure_of(file, failed, played.said)),
        };
        let took = clock.now() - began;
        let outcome = TestOutcome { file: file.source.name.clone(), test: Some(test), took, failure };
        text::outcome(&outcome);
        outcomes.push(outcome);
    }
    Ok(TestProgress::GoOn)
}

fn failure_of(file: &TestFile, failed: &RunError, said: String) -> TestFailure {
    let error = match failed {
        RunError::Script(error) => error.clone(),
        failed => ScriptError { message: failed.to_string(), ..ScriptError::default() },
    };
    let number = line_of(&file.source.name, &error);
    let text = String::from_utf8_lossy(&file.source.text);
    let line = number.and_then(|number| {
        text.lines().nth(number.checked_sub(1)?).map(|line| (number, line.trim_end().to_owned()))
    });
    TestFailure { error, line, said }
}

/// The innermost line of the file that led to the error.
fn line_of(name: &str, error: &ScriptError) -> Option<usize> {
    let own = format!("{name}:");
    std::iter::once(&error.message)
        .chain(&error.traceback)
        .find_map(|text| text.strip_prefix(&own)?.split(':').next()?.parse().ok())
}
