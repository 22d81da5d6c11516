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

use anyhow::Context;
use clap::Args;
use rand::Rng;

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, ScriptLimits, Settings};
use crate::protocol::LogLine;
use crate::run::rehearsal::{GuardParts, PlanGuard, RehearsalPlan};
use crate::run::{MountedFile, RunEnd, ScriptOutput, log_line};

use super::arguments::NamedArgs;
use super::grants::GrantArgs;
use super::limits::LimitArgs;
use super::next::quoted;
use super::progress::TerminalOutput;
use super::{AppArgs, Exit, GlobalArgs, job, memory, script};
use dry_run::DryRunConfig;
use report::RehearsalReport;

/// Runs a script without sending. Shows what it would send to which groups, how long that takes, and every message
/// that breaks a limit.
///
/// A rehearsal changes nothing: it hashes uploads, writes files to memory, and only lists requests other than GET. Time
/// is simulated, so hours pass in seconds. At its end it prints a plan name; `mooncast run --plan PLAN FILE` then sends
/// exactly what was rehearsed. A rehearsal reports every message that breaks a limit, even if the script would catch
/// the error. The script then continues as if the message had been sent.
///
/// Exit status: 0 all would be delivered; 1 the script failed; 2 usage or configuration; 3 some would not be delivered.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub(super) struct RehearseArgs {
    /// The script
    file: PathBuf,
    /// Its arguments, as they are or as `NAME=VALUE`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    /// Rehearse only this job of the script
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Rehearse for the built-in simulator, even if an app is configured
    #[arg(long)]
    simulator: bool,
    /// Print the report as one JSON document; the script's output then goes to standard error
    #[arg(long)]
    json: bool,
    /// Let `im.groups`, `im.members` and `im.group` read the app's real lists, and make the GETs of `im.request`
    #[arg(long)]
    read_lists: bool,
    /// Look up the groups, members and senders, and list the missing ones, and groups that are disabled, muted or very large
    #[arg(long)]
    check_targets: bool,
    /// Look up only the groups. The daemon does this for the page
    #[arg(long, hide = true)]
    check_groups: bool,
    /// Rehearse this plan again, and print what holds a run to it. The daemon does this before it runs a rehearsed script
    #[arg(long, value_name = "PLAN", hide = true, requires = "json")]
    like: Option<RehearsalPlan>,
    /// Keep to the memory that a run may use. The daemon does this for the page
    #[arg(long, hide = true)]
    bounded: bool,
    /// A file of the daemon, by the name that the script has for it: NAME=PATH
    #[arg(long = "mount", value_name = "NAME=PATH", hide = true)]
    mounted: Vec<String>,
    #[command(flatten)]
    named: NamedArgs,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

impl RehearseArgs {
    fn mounts(&self) -> anyhow::Result<Vec<MountedFile>> {
        let mount = |text: &String| {
            let (name, path) =
                text.split_once('=').with_context(|| format!("--mount {text}: not NAME=PATH"))?;
            Ok(MountedFile { name: name.to_owned(), path: path.into() })
        };
        self.mounted.iter().map(mount).collect()
    }
}

/// Prints what holds a run to a plan, if the script still does what the plan says.
fn guard(plan: &RehearsalPlan, config: DryRunConfig<'_>) -> anyhow::Result<Exit> {
    let parts = GuardParts::from(held::to(plan, config)?);
    // A closed pipe is not an error.
    let _ = writeln!(std::io::stdout(), "{}", serde_json::to_string(&parts)?);
    Ok(Exit::Delivered)
}

pub(super) fn run(args: &RehearseArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let (project, script) = script::open(&args.file, global)?;
    let looks_up = args.check_targets || args.check_groups;
    let lists = args.read_lists || looks_up;
    let flags = AppFlags { offline: args.simulator || !lists, ..args.app.clone().into() };
    let mut settings = Settings::load(&project, &Environment::of_process(), &flags)?;
    settings.permissions.extend(args.grants.permissions()?);
    if args.bounded {
        memory::bound(settings.scripts.memory.saturating_add(settings.scripts.host_memory))?;
    }
    // The project's timeout applies only to runs that send.
    let limits = args.limits.over(ScriptLimits { timeout: None, ..settings.scripts });
    let simulated = args.simulator || settings.simulator;
    let mounts = args.mounts()?;
    let given = args.named.with(&args.args, &script, args.job.as_deref(), &mounts, &mut settings)?;
    let source = script.clone();
    let output: Rc<dyn ScriptOutput> =
        if args.json { Rc::new(StderrOutput) } else { Rc::new(TerminalOutput::default()) };
    let now = job::whole_seconds(Clock::real().unix_time());
    let (start, seed) =
        args.like.as_ref().map_or_else(|| (now, rand::rng().random()), |plan| (plan.start, plan.seed));
    let config = DryRunConfig {
        project: &project,
        settings: &settings,
        file: &args.file,
        script,
        args: given,
        mounts,
        job: args.job.clone(),
        limits: &limits,
        simulated,
        lists,
        targets: looks_up,
        start,
        seed,
        output,
    };
    if let Some(plan) = &args.like {
        return guard(plan, config);
    }
    let dry_run = dry_run::dry_run(config)?;
    let targets = if looks_up {
        // Connections belong to the runtime that opened them, so these are not the rehearsal's.
        let lists = dry_run::lists(&project, &settings, simulated, true)?;
        Some(Clock::real().block_on(targets::check(&dry_run, &lists, args.check_targets))?)
    } else {
        None
    };
    let mut report = RehearsalReport::new(&dry_run, &source, targets);
    report.env = project.env.as_ref().map(ToString::to_string);
    report.command = report.plan.as_deref().map(|plan| command(args, plan, std::env::args()));
    let exit = match dry_run.ended {
        RunEnd::Interrupted => Exit::Interrupted,
        RunEnd::Failed(_) => Exit::Failed,
        RunEnd::Finished if report.deliverable => Exit::Delivered,
        RunEnd::Finished => Exit::Undelivered,
    };
    dry_run.clean_up()?;
    let mut out = std::io::stdout().lock();
    // A closed pipe is not an error.
    let _ = if args.json {
        serde_json::to_writer_pretty(&mut out, &report).map_err(Into::into).and_then(|()| writeln!(out))
    } else {
        text::write(&mut out, &report)
    };
    Ok(exit)
}

/// Rehearses a script of a command, and prints what its broadcasts would do. Returns the guard that holds a run to
/// exactly that, or None if something would fail.
pub(super) fn preview(config: DryRunConfig<'_>) -> anyhow::Result<Option<PlanGuard>> {
    let source = config.script.clone();
    let dry_run = dry_run::dry_run(config)?;
    let report = RehearsalReport::new(&dry_run, &source, None);
    let guard = report.deliverable.then(|| dry_run.rehearsal.guard());
    dry_run.clean_up()?;
    // A closed pipe is not an error.
    let _ = text::preview(&mut std::io::stdout().lock(), &report);
    Ok(guard)
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
