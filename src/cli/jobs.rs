//! `mooncast jobs`: shows jobs from the ledger, and writes commands for them.

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::control::{JobAction, act_on_job, arguments_as_details, asked_scripts, find_job, run_script};
use crate::daemon;
use crate::ledger::{JobRow, JobRun, JobState, Ledger, RunRequest, ScriptRow};
use crate::schedule::{AT_EACH_POST, ON_EVENT, run_name, script_of};

use super::runs::{format_time, ledger_location};
use super::{Exit, GlobalArgs, actor, arguments, job_runs};

/// Lists and controls jobs, also while `mooncast serve` runs them. Without a command, lists them.
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    /// Use the simulator's ledger, that of `mooncast serve --simulator`
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: Option<JobsCommand>,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs: the next scheduled time, the result of the last run, and the script of each
    List,
    /// Show a job and its recent runs, or one run: its state, what it sent, and its output
    Show {
        /// The job, or a run as JOB@RUN
        name: String,
        /// Show this run of the job
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// The maximum number of runs to show
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Print what a run has printed and logged: its first 64 KiB and its last 64 KiB
    Logs {
        /// The job, or a run as JOB@RUN
        name: String,
        /// The run of the job. Default: the latest
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// Go on until the run ends
        #[arg(long, short)]
        follow: bool,
    },
    /// Have the daemon run a job now, independent of its schedule
    Trigger {
        /// The job
        name: String,
    },
    /// Have the daemon run a script now, as `mooncast run` does: its top level, then main(args)
    RunScript {
        /// The script: its path below the project's folder, or below scripts/
        script: String,
        /// Its arguments, as they are or as `NAME=VALUE`. A file is kept in the ledger for the run
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Have the daemon run a hook's failed run again with that run's request
    Retry {
        /// The hook
        name: String,
        /// The run, as `jobs show` names it. Default: the latest failed run
        run: Option<String>,
    },
    /// Pause a job: it skips its scheduled times until you resume it
    Pause {
        /// The job
        name: String,
    },
    /// Resume a job: it runs again from its next scheduled time
    Resume {
        /// The job
        name: String,
    },
    /// End its run that goes on, with its broadcasts, and those that wait for their turn
    Cancel {
        /// The job
        name: String,
    },
}

pub(super) fn run(args: JobsArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let location = ledger_location(&project, &settings, args.simulator || settings.simulator).context(
        "there are no jobs in the ledger yet; `mooncast serve` loads the scripts and records their jobs",
    )?;
    let clock = Clock::real();
    clock.block_on(async {
        let ledger = Ledger::open_at(&location, clock.clone()).await?;
        dispatch(args.command.unwrap_or(JobsCommand::List), &ledger, &clock).await
    })?
}

async fn dispatch(command: JobsCommand, ledger: &Ledger, clock: &Clock) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    match command {
        JobsCommand::List => {
            ledger.reap_dead_command_runs().await;
            let mut jobs = ledger.job_rows(None).await?;
            jobs.extend(asked_scripts(ledger, None).await?);
            list(&mut out, &jobs)?;
            stale(&mut out, &ledger.scripts().await?)?;
        }
        JobsCommand::Show { name, run, limit } => {
            ledger.reap_dead_command_runs().await;
            if let Some(run) = job_runs::named_run(ledger, &name, run.as_deref()).await? {
                job_runs::show(&mut out, ledger, &run, clock).await?;
                return Ok(Exit::Delivered);
            }
            let job = find_job(ledger, &name).await?;
            let runs = ledger.job_runs(Some(&name), limit).await?;
            show(&mut out, &job, ledger.waiting_events(&name).await?, &runs)?;
        }
        JobsCommand::Logs { name, run, follow } => {
            job_runs::logs(&mut out, ledger, &name, run.as_deref(), follow, clock).await?;
        }
        JobsCommand::RunScript { script, args } => {
            let args = arguments::kept(ledger, &script, args).await?;
            let audit = actor::act("script.run", &script).with(arguments_as_details(&args));
            let done = ledger.audited(audit, run_script(ledger, &script, &RunRequest::of(&args))).await?;
            writeln!(out, "{}", done.message)?;
        }
        JobsCommand::Retry { name, run } => {
            let run = run.as_deref().map(job_runs::instant_of).transpose()?;
            let audit = actor::act("job.retry", &name).with(json!({ "run": run.map(run_name) }));
            let doing = act_on_job(ledger, &name, JobAction::Retry, run);
            writeln!(out, "{}", ledger.audited(audit, doing).await?.message)?;
        }
        JobsCommand::Trigger { name } => {
            act(&mut out, ledger, &name, JobAction::Trigger, "job.trigger").await?;
        }
        JobsCommand::Pause { name } => act(&mut out, ledger, &name, JobAction::Pause, "job.pause").await?,
        JobsCommand::Resume { name } => act(&mut out, ledger, &name, JobAction::Resume, "job.resume").await?,
        JobsCommand::Cancel { name } => act(&mut out, ledger, &name, JobAction::Cancel, "job.cancel").await?,
    }
    Ok(Exit::Delivered)
}

/// Applies an action; `word` is its name in the audit.
async fn act(
    out: &mut impl Write,
    ledger: &Ledger,
    name: &str,
    act: JobAction,
    word: &str,
) -> anyhow::Result<()> {
    let done = ledger.audited(actor::act(word, name), act_on_job(ledger, name, act, None)).await?;
    Ok(writeln!(out, "{}", done.message)?)
}

fn list(out: &mut impl Write, jobs: &[JobRow]) -> anyhow::Result<()> {
    if jobs.is_empty() {
        writeln!(out, "no jobs")?;
        return Ok(());
    }
    writeln!(out, "{:<24} {:<26} {:<38} {:<24} times", "job", "next", "last", "script")?;
    for job in jobs {
        let last = job.last.as_ref().map_or_else(
            || "never".to_owned(),
            |run| format!("{} {}", run.state.name(), format_time(run.scheduled_at)),
        );
        writeln!(out, "{:<24} {:<26} {last:<38} {:<24} {}", job.name, next(job), job.script, job.times)?;
    }
    for job in jobs.iter().filter(|job| job.next_at.is_none() && job.paused_at.is_none()) {
        let skipped = job.last.as_ref().filter(|run| run.state == JobState::Skipped);
        if let Some((run, note)) = skipped.and_then(|run| Some((run, run.note.as_ref()?))) {
            writeln!(out, "{}: {} did not run: {note}", job.name, run_name(run.scheduled_at))?;
        }
    }
    Ok(())
}

/// Lists the scripts whose current files failed to load.
fn stale(out: &mut impl Write, scripts: &[ScriptRow]) -> anyhow::Result<()> {
    for script in scripts {
        let (Some(error), Some(since)) = (&script.error, script.stale_since) else { continue };
        let (name, since) = (&script.name, format_time(since));
        match &script.hash {
            Some(hash) => {
                let hash = daemon::short(hash);
                writeln!(
                    out,
                    "{name} has failed to load since {since}; version {hash} stays active: {error}"
                )?;
            }
            None => writeln!(
                out,
                "{name} has failed to load since {since}; no earlier version is running: {error}"
            )?,
        }
    }
    for script in scripts.iter().filter(|script| script.stale_since.is_none()) {
        if let Some(what) = &script.error {
            writeln!(out, "{} is {what}", script.name)?;
        }
    }
    Ok(())
}

fn next(job: &JobRow) -> String {
    match (job.gone_at, job.paused_at, job.next_at) {
        (Some(_), _, _) => "gone".to_owned(),
        (_, Some(_), _) => "paused".to_owned(),
        (_, _, Some(at)) => format_time(at),
        _ if job.times.starts_with(AT_EACH_POST) => "on a request".to_owned(),
        _ if job.times.starts_with(ON_EVENT) => "on an event".to_owned(),
        _ if script_of(&job.name).is_some() => "on request".to_owned(),
        _ => "never".to_owned(),
    }
}

fn show(out: &mut impl Write, job: &JobRow, waiting: u64, runs: &[JobRun]) -> anyhow::Result<()> {
    writeln!(out, "{}: {}", job.name, job.times)?;
    let what = if script_of(&job.name).is_some() { "runs" } else { "declared in" };
    writeln!(out, "  {what} {}", job.script)?;
    if let Some(at) = job.gone_at {
        writeln!(out, "  removed at {}: no script declares it now", format_time(at))?;
    }
    if let Some(at) = job.paused_at {
        writeln!(out, "  paused since {}; to resume it: `mooncast jobs resume`", format_time(at))?;
    }
    writeln!(out, "  next: {}", next(job))?;
    if waiting > 0 {
        writeln!(out, "  waiting: {waiting} events")?;
    }
    for run in runs {
        write!(out, "  {} {}", run_name(run.scheduled_at), run.state.name())?;
        if run.attempt > 1 {
            write!(out, ", attempt {}", run.attempt)?;
        }
        if let Some(at) = run.finished_at.filter(|_| run.state != JobState::Skipped) {
            let took = at.saturating_sub(run.started_at).as_secs_f64();
            write!(out, ", started {}, took {took:.1} s", format_time(run.started_at))?;
        }
        if let Some(start) = &run.command_line {
            write!(out, ", by {} at {} on the command line", start.user, start.host)?;
        }
        if let Some(request) = run.args.as_ref().filter(|request| !request.args.is_empty()) {
            write!(out, ", with {}", serde_json::json!(request.args))?;
        }
        match &run.note {
            Some(note) => write!(out, ": {note}")?,
            None if run.state == JobState::Waiting && job.paused_at.is_some() => {
                write!(out, ": it waits until you resume the job")?;
            }
            None if run.state == JobState::Waiting && job.gone_at.is_some() => {
                write!(out, ": no script declares the job now; the run is cancelled soon unless one does")?;
            }
            None => {}
        }
        writeln!(out)?;
    }
    Ok(())
}
