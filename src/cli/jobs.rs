//! `mooncast jobs`: shows jobs from the ledger, and writes commands for them.

use std::io::Write;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::control::{JobAction, act_on_job, asked_scripts, find_job, run_script};
use crate::daemon;
use crate::ledger::{JobRow, JobRun, JobState, Ledger, ScriptRow};
use crate::schedule::{AT_EACH_POST, run_name, script_of};

use super::runs::{instant, ledger_place};
use super::{Exit, GlobalArgs};

/// Looks at jobs and steers them, also while `mooncast serve` runs them. Without a command it lists them.
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    /// Those of a daemon that sends to the simulator
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: Option<JobsCommand>,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs: when each runs next, how its last run ended, which script declares it
    List,
    /// Show a job and its recent runs
    Show {
        /// The job
        name: String,
        /// Runs to show at the most
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Have the daemon run it now, whatever its schedule says
    Trigger {
        /// The job
        name: String,
    },
    /// Have the daemon run a script now, as `mooncast run` would: its top level, then main(args)
    RunScript {
        /// The script: its path below the project's folder, or below scripts/
        script: String,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Have the daemon run a hook's failed run again, with the request that it was for
    Retry {
        /// The hook
        name: String,
        /// Which run, as `jobs show` names it; by default the latest one that failed
        run: Option<String>,
    },
    /// Let its instants pass without a run, until it is resumed
    Pause {
        /// The job
        name: String,
    },
    /// Let it run again, from its next instant on
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
    let place = ledger_place(&project, &settings, args.simulator || settings.simulator)
        .context("no job is known: `mooncast serve` loads the scripts and writes down what they declare")?;
    let clock = Clock::real();
    clock.block_on(async {
        let ledger = Ledger::open_at(&place, clock.clone()).await?;
        steer(args.command.unwrap_or(JobsCommand::List), &ledger).await
    })?
}

async fn steer(command: JobsCommand, ledger: &Ledger) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    match command {
        JobsCommand::List => {
            let mut jobs = ledger.job_rows(None).await?;
            jobs.extend(asked_scripts(ledger, None).await?);
            list(&mut out, &jobs)?;
            stale(&mut out, &ledger.scripts().await?)?;
        }
        JobsCommand::Show { name, limit } => {
            let job = find_job(ledger, &name).await?;
            show(&mut out, &job, &ledger.job_runs(Some(&name), limit).await?)?;
        }
        JobsCommand::RunScript { script, args } => {
            writeln!(out, "{}", run_script(ledger, &script, &args).await?.message)?;
        }
        JobsCommand::Retry { name, run } => {
            let run = run.as_deref().map(instant_of).transpose()?;
            writeln!(out, "{}", act_on_job(ledger, &name, JobAction::Retry, run).await?.message)?;
        }
        JobsCommand::Trigger { name } => act(&mut out, ledger, &name, JobAction::Trigger).await?,
        JobsCommand::Pause { name } => act(&mut out, ledger, &name, JobAction::Pause).await?,
        JobsCommand::Resume { name } => act(&mut out, ledger, &name, JobAction::Resume).await?,
        JobsCommand::Cancel { name } => act(&mut out, ledger, &name, JobAction::Cancel).await?,
    }
    Ok(Exit::Delivered)
}

async fn act(out: &mut impl Write, ledger: &Ledger, name: &str, act: JobAction) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", act_on_job(ledger, name, act, None).await?.message)?)
}

/// The scheduled time that a run's name stands for.
fn instant_of(run: &str) -> anyhow::Result<std::time::Duration> {
    let instant: Option<jiff::Timestamp> = run.trim().parse().ok();
    instant.and_then(|instant| instant.as_duration().try_into().ok()).with_context(|| {
        format!(
            "`{}` is no run; `mooncast jobs show` names them, such as 2026-11-23T09:00:00Z",
            run.escape_debug()
        )
    })
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
            |run| format!("{} {}", run.state.name(), instant(run.scheduled_at)),
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
        let (name, since) = (&script.name, instant(since));
        match &script.hash {
            Some(hash) => {
                let hash = daemon::short(hash);
                writeln!(out, "{name} is stale since {since}, version {hash} stays in force: {error}")?;
            }
            None => writeln!(out, "{name} is stale since {since}, and never was in force: {error}")?,
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
        (_, _, Some(at)) => instant(at),
        _ if job.times.starts_with(AT_EACH_POST) => "when posted".to_owned(),
        _ if script_of(&job.name).is_some() => "when asked".to_owned(),
        _ => "never".to_owned(),
    }
}

fn show(out: &mut impl Write, job: &JobRow, runs: &[JobRun]) -> anyhow::Result<()> {
    writeln!(out, "{}: {}", job.name, job.times)?;
    let what = if script_of(&job.name).is_some() { "runs" } else { "declared in" };
    writeln!(out, "  {what} {}", job.script)?;
    if let Some(at) = job.gone_at {
        writeln!(out, "  gone since {}: no script declares it any more", instant(at))?;
    }
    if let Some(at) = job.paused_at {
        writeln!(out, "  paused since {}; `mooncast jobs resume` lets it go on", instant(at))?;
    }
    writeln!(out, "  next: {}", next(job))?;
    for run in runs {
        write!(out, "  {} {}", run_name(run.scheduled_at), run.state.name())?;
        if run.attempt > 1 {
            write!(out, ", attempt {}", run.attempt)?;
        }
        if let Some(at) = run.finished_at.filter(|_| run.state != JobState::Skipped) {
            let took = at.saturating_sub(run.started_at).as_secs_f64();
            write!(out, ", began {}, took {took:.1} s", instant(run.started_at))?;
        }
        if let Some(args) = run.args.as_ref().filter(|args| !args.is_empty()) {
            write!(out, ", with {}", serde_json::json!(args))?;
        }
        match &run.note {
            Some(note) => write!(out, ": {note}")?,
            None if run.state == JobState::Waiting && job.paused_at.is_some() => {
                write!(out, ": it waits until the job is resumed")?;
            }
            None if run.state == JobState::Waiting && job.gone_at.is_some() => {
                write!(out, ": no script declares the job now; it ends soon unless one does")?;
            }
            None => {}
        }
        writeln!(out)?;
    }
    Ok(())
}
