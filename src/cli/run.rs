//! `mooncast run`

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use rand::Rng;

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, Permissions, Project, ScriptLimits, Settings};
use crate::delivery::{ActiveBroadcast, FailPoint, SendCounts};
use crate::message::counted;
use crate::protocol::{LoadMode, LuaSource, WorkerLimits};
use crate::run::rehearsal::RehearsalPlan;
use crate::run::{
    DiscardOutput, InterruptSwitch, MAX_SOURCE, OWN_BINARY, OnChange, PlanProgress, RunEnd, RunMode,
    RunServices, RunSpec, ScriptOutput, run_script,
};

use super::apps::{self, CliApps};
use super::limits::LimitArgs;
use super::logging::LogFormat;
use super::next::FollowUpCommands;
use super::progress::{ProgressDisplay, ProgressSource, TerminalOutput};
use super::rehearse::dry_run::DryRunConfig;
use super::summary::RunSummary;
use super::{AppArgs, Exit, GlobalArgs, job, rehearse};

/// The name of a script from standard input.
const STANDARD_INPUT: &str = "stdin";

/// The variable that sets a fail point: `POINT:COUNT`.
const FAIL_POINT: &str = "MOONCAST_FAIL_POINT";

/// Runs a script: its top level, then the function `main(args)` where it defines one. Or one of its jobs, now.
///
/// Exit status: 0 all delivered; 1 the script failed; 2 usage or configuration; 3 finished, some not delivered;
/// 130 interrupted.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct RunArgs {
    /// The script; `-` reads it from standard input
    file: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    /// Run this job of the script now, and nothing else; its top level only declares then
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Send only what `mooncast rehearse` showed under this name: anything else is refused before the first send
    #[arg(long, value_name = "PLAN")]
    plan: Option<RehearsalPlan>,
    /// Send only the test messages of campaigns, and nothing to their audiences
    #[arg(long)]
    test_only: bool,
    /// Go on with unfinished broadcasts as they are stored, though their inputs changed
    #[arg(long = "continue", conflicts_with = "replan")]
    go_on: bool,
    /// Send the rest of unfinished broadcasts by a new plan where their inputs changed; those who have it get nothing again
    #[arg(long)]
    replan: bool,
    /// Send to the built-in simulator, whatever is configured
    #[arg(long)]
    simulator: bool,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: GrantArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// What a script may reach, beyond what `[permissions]` grants.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of the flags")]
pub(super) struct GrantArgs {
    /// Let the script read this file or folder; can be repeated
    #[arg(long, value_name = "PATH")]
    allow_read: Vec<PathBuf>,
    /// Let the script read and write this file or folder; can be repeated
    #[arg(long, value_name = "PATH")]
    allow_write: Vec<PathBuf>,
    /// Let the script talk to this host; can be repeated
    #[arg(long, value_name = "HOST")]
    allow_net: Vec<String>,
    /// Let the script read this environment variable; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_env: Vec<String>,
    /// Let the script use this environment variable in requests without seeing it; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_secret: Vec<String>,
    /// Let the script declare this hook, which others run by a request; can be repeated
    #[arg(long, value_name = "NAME")]
    allow_hook: Vec<String>,
}

impl GrantArgs {
    /// Converts the flags to permissions. Relative paths are relative to the current folder.
    pub(super) fn permissions(&self) -> anyhow::Result<Permissions> {
        let absolute = |paths: &[PathBuf]| {
            paths.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>().context("the current folder")
        };
        Ok(Permissions {
            read: absolute(&self.allow_read)?,
            write: absolute(&self.allow_write)?,
            net: self.allow_net.clone(),
            env: self.allow_env.clone(),
            secrets: self.allow_secret.clone(),
            hooks: self.allow_hook.clone(),
        })
    }
}

pub(super) fn run(args: RunArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let (project, script) = open(&args.file, global)?;
    let environment = Environment::of_process();
    let flags = AppFlags { offline: args.simulator, ..args.app.clone().into() };
    let mut settings = Settings::load(&project, &environment, &flags)?;
    settings.permissions.extend(args.grants.permissions()?);
    let limits = args.limits.over(settings.scripts);
    let part = match &args.plan {
        None => RunMode::default(),
        Some(plan) => rehearse::held::to(
            plan,
            DryRunConfig {
                project: &project,
                settings: &settings,
                file: &args.file,
                script: script.clone(),
                args: args.args.clone(),
                job: args.job.clone(),
                limits: &limits,
                simulated: args.simulator || settings.simulator,
                targets: false,
                lists: !settings.apps.is_empty(),
                start: plan.start,
                seed: plan.seed,
                output: Rc::new(DiscardOutput),
            },
        )?,
    };
    let clock = Clock::real();
    let fail_point = fail_point(&environment)?;
    let apps = apps::choose(&project, &settings, args.simulator, &clock, &fail_point)?;
    let name = script.name.clone();
    let mut spec = spec(script, LoadMode::Run, args.args, &limits);
    if let Some(job) = &args.job {
        let now = args.plan.as_ref().map_or_else(|| clock.unix_time(), |plan| plan.start);
        (spec.mode, spec.job) = (LoadMode::Job, Some(job::start(job, now)));
    }
    if let Some(plan) = &args.plan {
        spec.seed = plan.seed.into();
    }
    let terminal = TerminalOutput::default();
    let file =
        if args.file.as_os_str() == "-" { project.root.join(STANDARD_INPUT) } else { args.file.clone() };
    let mut services = services(&project, &settings, &apps, &clock, &file, Rc::new(terminal.clone()))?;
    services.part = part;
    if args.test_only {
        services.broadcasts.only_test();
    }
    if args.go_on || args.replan {
        let on_change = if args.replan { OnChange::Replan } else { OnChange::Continue };
        services.broadcasts.decide_on_change(on_change);
    }
    let format = global.log_format;
    let over = clock.block_on(async {
        let driven = drive(spec, services, terminal.clone(), &clock, format).await;
        apps.release().await;
        driven
    })?;
    job::must_be_there(args.job.as_deref(), &over.services.jobs, &over.ended, &name)?;
    let summary = RunSummary {
        ended: &over.ended,
        counts: over.services.tally.counts(),
        elapsed: over.elapsed,
        refused: over.services.broadcasts.refused(),
        broadcasts: &over.services.broadcasts.watched(),
        next: FollowUpCommands::new(global, &project, args.simulator || settings.simulator),
    };
    let exit = summary.tell(format);
    let idle = summary.counts == SendCounts::default() && summary.broadcasts.is_empty();
    if args.job.is_none() && idle && matches!(over.ended, RunEnd::Finished) {
        job::only_declared(&over.services.jobs.declared(), &name, format);
    }
    let exit = terminal.lost().map_or(exit, |error| lost_prints(&error, exit));
    // The script got the error too, but the configuration has to be fixed.
    Ok(if apps.book.is_some_and(|book| book.failure().is_some()) { Exit::Usage } else { exit })
}

/// Where a crash test ends the process.
pub(super) fn fail_point(environment: &Environment) -> anyhow::Result<FailPoint> {
    environment
        .get(FAIL_POINT)
        .map_or_else(|| Ok(FailPoint::default()), |text| text.parse().context(FAIL_POINT))
}

/// The project that a script belongs to, and the script's source.
pub(super) fn open(file: &std::path::Path, global: &GlobalArgs) -> anyhow::Result<(Project, LuaSource)> {
    if file.as_os_str() == "-" {
        return Ok((global.project()?, LuaSource::new(STANDARD_INPUT.to_owned(), standard_input()?)));
    }
    let shown = file.display();
    let metadata = std::fs::metadata(file).with_context(|| format!("{shown}"))?;
    if !metadata.is_file() {
        bail!("{shown}: not a file; `mooncast run` takes one script");
    }
    if metadata.len() > MAX_SOURCE {
        bail!("{shown}: {} bytes, over the limit of {MAX_SOURCE} for a script", metadata.len());
    }
    let project = match &global.project {
        Some(folder) => Project::at(folder).with_context(|| format!("--project {}", folder.display()))?,
        None => Project::of(Some(file)).with_context(|| format!("{shown}"))?,
    };
    let text = std::fs::read(file).with_context(|| format!("{shown}"))?;
    let name = project.shown(&file.canonicalize().with_context(|| format!("{shown}"))?);
    Ok((project, LuaSource::new(name, text)))
}

/// Reads all of standard input as the text of a script.
pub(super) fn standard_input() -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    std::io::stdin().lock().take(MAX_SOURCE + 1).read_to_end(&mut text).context("standard input")?;
    if text.len() as u64 > MAX_SOURCE {
        bail!("standard input: over the limit of {MAX_SOURCE} bytes for a script");
    }
    Ok(text)
}

pub(super) fn spec(script: LuaSource, mode: LoadMode, args: Vec<String>, limits: &ScriptLimits) -> RunSpec {
    RunSpec {
        program: OWN_BINARY.into(),
        script,
        job: None,
        mode,
        args,
        limits: WorkerLimits {
            memory: limits.memory,
            cpu_ms: u64::try_from(limits.cpu.as_millis()).unwrap_or(u64::MAX),
            tasks: limits.tasks,
        },
        timeout: limits.timeout,
        seed: rand::rng().random(),
    }
}

pub(super) fn services(
    project: &Project,
    settings: &Settings,
    apps: &CliApps,
    clock: &Clock,
    file: &std::path::Path,
    output: Rc<dyn ScriptOutput>,
) -> anyhow::Result<RunServices> {
    Ok(RunServices::new(project, settings, apps.deliveries.clone(), clock, file, output)?)
}

/// Executes a run with progress and Ctrl-C handling.
async fn drive(
    spec: RunSpec,
    services: RunServices,
    terminal: TerminalOutput,
    clock: &Clock,
    format: LogFormat,
) -> FinishedRun {
    let (switch, interrupt) = InterruptSwitch::new();
    let listening = tokio::task::spawn_local(listen(switch));
    let services = Rc::new(services);
    let began = clock.now();
    let progress = ProgressDisplay::start(RunProgress(Rc::clone(&services)), terminal, clock.clone(), format);
    let ended = run_script(spec, Rc::clone(&services), interrupt).await;
    progress.stop();
    listening.abort();
    FinishedRun { ended, elapsed: clock.now() - began, services }
}

struct FinishedRun {
    ended: RunEnd,
    elapsed: Duration,
    services: Rc<RunServices>,
}

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

/// Presses the switch at every Ctrl-C and SIGTERM.
pub(super) async fn listen(switch: InterruptSwitch) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("Ctrl-C cannot be listened for; it will end the program at once");
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::warn!(
            "interrupted: finishing what is in flight, beginning nothing new (again to end at once)"
        );
        switch.press();
    }
}

/// `sent to 120 groups, 2 in flight; 38 wait for group messages (20 a second), the last for 1.9 s`
///
/// Writing to a `String` cannot fail, so the results are ignored.
fn describe(services: &RunServices) -> String {
    let counts = services.tally.counts();
    let mut text = format!("sent to {}, {} in flight", counted(counts.sent, "group"), counts.in_flight);
    for (count, what) in [
        (counts.rejected, "rejected"),
        (counts.in_doubt, "in doubt"),
        (
            counts.throttled,
            if counts.throttled == 1 { "call refused as too many" } else { "calls refused as too many" },
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
            let _ =
                write!(text, "; {waiting} wait for {name} ({pace:.0} a second), the last for {seconds:.1} s");
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
        "error: what the script printed is not all written: standard output: {error}; make room or send it elsewhere"
    );
    if exit == Exit::Delivered { Exit::Failed } else { exit }
}
