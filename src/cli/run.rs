//! `mooncast run`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, Project, Settings};
use crate::delivery::{ActiveBroadcast, SendCounts};
use crate::ledger::RunRequest;
use crate::message::counted;
use crate::run::rehearsal::RehearsalPlan;
use crate::run::{
    DiscardOutput, OnChange, PlanProgress, PreparedRun, RunBuilder, RunEnd, RunServices, job_start,
};
use crate::schedule::FROM_STANDARD_INPUT;

use super::apps::CliApps;
use super::arguments::{self, NamedArgs};
use super::grants::GrantArgs;
use super::limits::LimitArgs;
use super::logging::LogFormat;
use super::next::FollowUpCommands;
use super::progress::{ProgressDisplay, ProgressSource, TerminalOutput};
use super::rehearse::dry_run::DryRunConfig;
use super::run_record::{CommandRecord, RunToRecord};
use super::script::{self, STANDARD_INPUT};
use super::summary::RunSummary;
use super::{AppArgs, Exit, GlobalArgs, actor, apps, held_run, job};

/// Runs a script: its top level, then its function `main(args)` if it defines one. With `--job`, runs one of its jobs.
///
/// Exit status: 0 all delivered; 1 the script failed; 2 usage or configuration; 3 finished, some not delivered;
/// 130 interrupted.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct RunArgs {
    /// The script; `-` reads it from standard input
    file: PathBuf,
    /// Its arguments, as they are or as `NAME=VALUE`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    /// Run only this job of the script; the script's top level then only declares jobs
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Send only if the script sends exactly what `mooncast rehearse` showed with this plan name
    #[arg(long, value_name = "PLAN")]
    plan: Option<RehearsalPlan>,
    /// Send only the test messages of campaigns, not the messages to their audiences
    #[arg(long)]
    test_only: bool,
    /// Continue unfinished broadcasts with their stored plans, even if their inputs changed
    #[arg(long = "continue", conflicts_with = "replan")]
    go_on: bool,
    /// Make new plans for unfinished broadcasts whose inputs changed; recipients with the message get no second one
    #[arg(long)]
    replan: bool,
    /// Send to the built-in simulator, even if an app is configured
    #[arg(long)]
    simulator: bool,
    /// Show the arguments that the script declares, and an example, instead of running it
    #[arg(long, conflicts_with_all = ["job", "plan", "test_only", "args", "named"])]
    help_script: bool,
    #[command(flatten)]
    named: NamedArgs,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

pub(super) fn run(mut args: RunArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let (project, script) = script::open(&args.file, global)?;
    if args.help_script {
        return arguments::help(&script, &args.file);
    }
    let environment = Environment::of_process();
    let flags = AppFlags { offline: args.simulator, ..args.app.clone().into() };
    let mut settings = Settings::load(&project, &environment, &flags)?;
    settings.permissions.extend(args.grants.permissions()?);
    let limits = args.limits.over(settings.scripts);
    args.args = args.named.with(&args.args, &script, args.job.as_deref(), &[], &mut settings)?;
    let rehearsed = args.plan.as_ref().map(|plan| {
        let config = DryRunConfig {
            project: &project,
            settings: &settings,
            file: &args.file,
            script: script.clone(),
            args: args.args.clone(),
            mounts: Vec::new(),
            job: args.job.clone(),
            limits: &limits,
            simulated: args.simulator || settings.simulator,
            targets: false,
            lists: !settings.apps.is_empty(),
            start: plan.start,
            seed: plan.seed,
            output: Rc::new(DiscardOutput),
        };
        let location = apps::location(&project, &settings, args.simulator);
        let recorded = recorded_script(&args, &script.name);
        anyhow::Ok((plan, held_run::hold(plan, config, &location, recorded, request(&args))?))
    });
    let rehearsed = rehearsed.transpose()?;
    let clock = Clock::real();
    let apps = apps::choose(&project, &settings, args.simulator, &clock, &apps::fail_point(&environment)?)?;
    if let Some(ledger) = &apps.ledger {
        let details = json!({ "job": args.job, "plan": args.plan.as_ref().map(ToString::to_string) });
        ledger.begins(actor::run(&script.name, &args.args, details));
    }
    let name = script.name.clone();
    let terminal = TerminalOutput::default();
    let kept = rehearsed.as_ref().map(|(_, held)| held.kept.clone());
    let record = recorded(&args, kept, &name, &project, &settings, &apps, &clock);
    let file =
        if args.file.as_os_str() == "-" { project.root.join(STANDARD_INPUT) } else { args.file.clone() };
    let mut run = RunBuilder::new(&project, &settings, &apps.deliveries, &clock, &file, script);
    (run.args, run.limits, run.output) = (args.args, limits, Rc::new(terminal.clone()));
    if let Some(record) = &record {
        run.output = record.output(run.output);
    }
    let mut starts = clock.unix_time();
    if let Some((plan, held)) = rehearsed {
        (run.seed, starts) = (plan.seed.into(), plan.start);
        run.hold_to_parts(held.guard);
    }
    if let Some(job) = &args.job {
        run.run_job(job_start(job, job::whole_seconds(starts)));
    }
    let run = run.build()?;
    let services = Rc::clone(&run.services);
    if args.test_only {
        services.broadcasts.only_test();
    }
    if args.go_on || args.replan {
        let on_change = if args.replan { OnChange::Replan } else { OnChange::Continue };
        services.broadcasts.decide_on_change(on_change);
    }
    let format = global.log_format;
    let (ended, elapsed) = shown_to_end(run, &apps, record.as_ref(), &clock, &terminal, format)?;
    job::must_be_there(args.job.as_deref(), &services.jobs, &ended, &name)?;
    let summary = RunSummary {
        edits: false,
        ended: &ended,
        counts: services.tally.counts(),
        elapsed,
        refused: services.broadcasts.refused(),
        broadcasts: &services.broadcasts.watched(),
        next: FollowUpCommands::new(global, &project, args.simulator || settings.simulator),
    };
    let exit = summary.report(format);
    let idle = summary.counts == SendCounts::default() && summary.broadcasts.is_empty();
    if args.job.is_none() && idle && matches!(ended, RunEnd::Finished) {
        job::only_declared(&services.jobs.declared(), &name, format);
    }
    let exit = terminal.lost().map_or(exit, |error| lost_prints(&error, exit));
    // The script got the error too, but the configuration has to be fixed.
    Ok(if apps.ledger.is_some_and(|ledger| ledger.failure().is_some()) { Exit::Usage } else { exit })
}

/// Has the run recorded in the ledger.
fn recorded(
    args: &RunArgs,
    plan_guard: Option<String>,
    name: &str,
    project: &Project,
    settings: &Settings,
    apps: &CliApps,
    clock: &Clock,
) -> Option<CommandRecord> {
    let ledger = apps.ledger.as_ref()?;
    let location = apps::location(project, settings, args.simulator);
    let (script, request) = (recorded_script(args, name), request(args));
    let run = RunToRecord { script, request, job: args.job.as_deref(), plan_guard };
    Some(CommandRecord::begin(ledger, location, clock, settings.scripts, run))
}

/// The script's name in the names of its runs.
fn recorded_script<'a>(args: &RunArgs, name: &'a str) -> &'a str {
    if args.file.as_os_str() == "-" { FROM_STANDARD_INPUT } else { name }
}

fn request(args: &RunArgs) -> RunRequest {
    let plan = args.plan.as_ref().map(ToString::to_string);
    RunRequest { args: args.args.clone(), plan, test_only: args.test_only }
}

/// Runs until the run ends or a signal arrives, and shows its progress. Returns how it ended and how long it took. `record`
/// records the run in the ledger.
pub(super) fn shown_to_end(
    run: PreparedRun,
    apps: &CliApps,
    record: Option<&CommandRecord>,
    clock: &Clock,
    terminal: &TerminalOutput,
    format: LogFormat,
) -> anyhow::Result<(RunEnd, Duration)> {
    let began = clock.now();
    Ok(clock.block_on(async {
        let services = Rc::clone(&run.services);
        let shown = RunProgress(Rc::clone(&services));
        if let Some(record) = record {
            record.hide_secrets_of(&services);
        }
        let progress = ProgressDisplay::start(shown, terminal.clone(), clock.clone(), format);
        let ended = run.run_until_signal().await;
        progress.stop();
        let elapsed = clock.now() - began;
        if let Some(record) = record {
            Box::pin(record.end(&ended, &services)).await;
        }
        apps.release().await;
        (ended, elapsed)
    })?)
}

/// The progress of a run.
struct RunProgress(Rc<RunServices>);

impl ProgressSource for RunProgress {
    fn broadcasts(&self) -> Vec<Rc<ActiveBroadcast>> {
        self.0.broadcasts.watched()
    }

    fn others(&self) -> Option<String> {
        let plans = self.0.broadcasts.plans();
        if !plans.is_empty() {
            let plan = |plan: &Rc<PlanProgress>| {
                format!("planning `{}`: {} so far", plan.name, counted(plan.recipients(), "recipient"))
            };
            return Some(plans.iter().map(plan).collect::<Vec<_>>().join("; "));
        }
        let counts = self.0.tally.counts();
        // A broadcast's messages are counted there only when it ends.
        let idle = counts.in_flight == 0 && !self.0.broadcasts.watched().is_empty();
        (!idle).then(|| describe(&self.0))
    }
}

/// `sent to 120 groups, 2 in flight; 38 wait for group messages (20 a second), the last for 1.9 s`
///
/// Writing to a `String` cannot fail, so the results are ignored.
fn describe(services: &RunServices) -> String {
    let counts = services.tally.counts();
    let mut text = format!("sent to {}, {} in flight", counted(counts.sent, counts.noun()), counts.in_flight);
    for (count, what) in [
        (counts.rejected, "rejected"),
        (counts.in_doubt, "in doubt"),
        (
            counts.throttled,
            if counts.throttled == 1 {
                "call refused by the rate limit"
            } else {
                "calls refused by the rate limit"
            },
        ),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    for quota in services.apps.iter().flat_map(|app| app.quotas().all()) {
        let status = quota.status();
        let waiting: usize = status.waiting.iter().map(|waiting| waiting.calls).sum();
        if let Some(longest) = status.waiting.iter().map(|waiting| waiting.last).max() {
            let (name, pace, seconds) = (status.name, status.pace, longest.as_secs_f64());
            let _ = write!(
                text,
                "; {waiting} waiting for the quota of {name} ({pace:.0} a second), the last one for {seconds:.1} s"
            );
        }
    }
    text
}

/// Reports that some of the script's output was lost. An otherwise successful run then counts as failed.
fn lost_prints(error: &std::io::Error, exit: Exit) -> Exit {
    let mut err = std::io::stderr().lock();
    // Without standard error, nothing can be shown.
    let _ = writeln!(
        err,
        "error: some of the script's output is lost: cannot write to standard output: {error}; free space, or redirect the output elsewhere"
    );
    if exit == Exit::Delivered { Exit::Failed } else { exit }
}
