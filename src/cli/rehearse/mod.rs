//! `mooncast rehearse`: shows what a script would send, to whom and when, without sending it.
//!
//! - `dry_run`: the run itself, with a simulated clock, a scratch ledger and no service;
//! - `report`: the results as numbers; `text`: the results for people;
//! - `held`: binds a run to its rehearsal; `targets`: checks the recipients against the service's own lists.

pub(super) mod dry_run;
pub(super) mod held;
mod report;
mod targets;
pub(super) mod text;

use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;

use clap::Args;
use rand::Rng;

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, ScriptLimits, Settings};
use crate::protocol::LogLine;
use crate::run::{RunEnd, ScriptOutput, log_line};

use super::grants::GrantArgs;
use super::limits::LimitArgs;
use super::progress::TerminalOutput;
use super::{AppArgs, Exit, GlobalArgs, job, script};
use dry_run::DryRunConfig;
use report::RehearsalReport;

/// Runs a script without sending: shows what would be sent to whom, how long that takes, and every message that breaks
/// a limit.
///
/// Nothing changes anywhere: uploads are hashed, files are written to memory, requests other than GET are only listed.
/// Time is simulated, so that hours pass in seconds. In the end it names a plan; `mooncast run --plan PLAN FILE` sends
/// that and nothing else. A message that breaks a limit is noted even where the script would catch the error, and the
/// script goes on as if it had been sent.
///
/// Exit status: 0 all would be delivered; 1 the script failed; 2 usage or configuration; 3 some would not be delivered.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub(super) struct RehearseArgs {
    /// The script
    file: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    /// Rehearse this job of the script, and nothing else
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Rehearse what would go to the built-in simulator, whatever is configured
    #[arg(long)]
    simulator: bool,
    /// Print one JSON document; what the script prints goes to standard error then
    #[arg(long)]
    json: bool,
    /// Let `im.groups` and `im.members` read the app's real lists
    #[arg(long)]
    read_lists: bool,
    /// Look up the groups, members and senders in the app's real lists, and name those that are not there
    #[arg(long)]
    check_targets: bool,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(super) fn run(args: &RehearseArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let (project, script) = script::open(&args.file, global)?;
    let lists = args.read_lists || args.check_targets;
    let flags = AppFlags { offline: args.simulator || !lists, ..args.app.clone().into() };
    let mut settings = Settings::load(&project, &Environment::of_process(), &flags)?;
    settings.permissions.extend(args.grants.permissions()?);
    // The project's timeout applies only to runs that send.
    let limits = args.limits.over(ScriptLimits { timeout: None, ..settings.scripts });
    let simulated = args.simulator || settings.simulator;
    let name = script.name.clone();
    let output: Rc<dyn ScriptOutput> =
        if args.json { Rc::new(StderrOutput) } else { Rc::new(TerminalOutput::default()) };
    let performance = dry_run::dry_run(DryRunConfig {
        project: &project,
        settings: &settings,
        file: &args.file,
        script,
        args: args.args.clone(),
        job: args.job.clone(),
        limits: &limits,
        simulated,
        lists,
        targets: args.check_targets,
        start: job::whole_seconds(Clock::real().unix_time()),
        seed: rand::rng().random(),
        output,
    })?;
    let targets = if args.check_targets {
        // Connections belong to the runtime that opened them, so these are not the rehearsal's.
        let lists = dry_run::lists(&project, &settings, simulated, true)?;
        Some(Clock::real().block_on(targets::check(&performance, &lists))??)
    } else {
        None
    };
    let mut report = RehearsalReport::new(&performance, &name, targets);
    report.command = report.plan.as_deref().map(|plan| command(args, plan, std::env::args()));
    let exit = match performance.ended {
        RunEnd::Interrupted => Exit::Interrupted,
        RunEnd::Failed(_) => Exit::Failed,
        RunEnd::Finished if report.deliverable => Exit::Delivered,
        RunEnd::Finished => Exit::Undelivered,
    };
    performance.clean_up()?;
    let mut out = std::io::stdout().lock();
    // A closed pipe is not an error.
    let _ = if args.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        text::write(&mut out, &report)
    };
    Ok(exit)
}

/// The command that sends what was rehearsed: the typed command with another verb.
fn command(args: &RehearseArgs, plan: &str, typed: impl Iterator<Item = String>) -> String {
    let mut words = vec!["mooncast".to_owned()];
    let rest = args.args.len();
    let typed: Vec<String> = typed.skip(1).collect();
    let own = typed.len().saturating_sub(rest);
    for (index, word) in typed.into_iter().enumerate() {
        let is_own = index < own;
        match word.as_str() {
            "rehearse" if is_own && !words.iter().any(|word| word == "run") => {
                words.extend(["run".to_owned(), "--plan".to_owned(), plan.to_owned()]);
            }
            "--json" | "--read-lists" | "--check-targets" if is_own => {}
            _ => words.push(quoted(&word)),
        }
    }
    words.join(" ")
}

/// A word quoted for a shell.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Sends the script's output to standard error, because standard output has the JSON document.
struct StderrOutput;

impl ScriptOutput for StderrOutput {
    fn print(&self, bytes: &[u8]) {
        // Without standard error, nothing can be shown.
        let _ = std::io::stderr().lock().write_all(bytes);
    }

    fn log(&self, line: &LogLine) {
        log_line(line);
    }
}
