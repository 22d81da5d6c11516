//! `mooncast jobs`: shows jobs from the ledger, and writes commands for them.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::daemon;
use crate::ledger::{InstanceName, JobRow, JobRun, JobState, Ledger, ScriptRow};
use crate::schedule::{AT_EACH_POST, run_name, script_of};
use crate::web::{RequestedRun, ask_for_script, asked_scripts};

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
            let job = named(ledger, &name).await?;
            show(&mut out, &job, &ledger.job_runs(Some(&name), limit).await?)?;
        }
        JobsCommand::Trigger { name } => {
            scheduled(&named(ledger, &name).await?)?;
            let daemon = live_daemon(ledger, &name).await?;
            let at = ledger.trigger_job(&name).await?;
            let (run, pid) = (run_name(at), daemon.pid);
            writeln!(
                out,
                "{name} is asked for: the daemon (process {pid}) begins run {run} within a second or two"
            )?;
        }
        JobsCommand::RunScript { script, args } => {
            let daemon = live_daemon(ledger, &script).await?;
            let RequestedRun { script, job, at } = ask_for_script(ledger, &script, &args).await?;
            let (run, pid) = (run_name(at), daemon.pid);
            writeln!(
                out,
                "{script} is asked for: the daemon (process {pid}) begins run {run} of `{job}` within a second or two"
            )?;
        }
        JobsCommand::Retry { name, run } => {
            let job = named(ledger, &name).await?;
            scheduled(&job)?;
            live_daemon(ledger, &name).await?;
            let wanted = run.as_deref().map(instant_of).transpose()?;
            let Some(at) = ledger.retry_hook_run(&name, wanted).await? else {
                bail!("{}", no_retry(&job, run.as_deref()));
            };
            writeln!(out, "{name} runs again with its request, as run {}", run_name(at))?;
        }
        JobsCommand::Pause { name } => {
            scheduled(&named(ledger, &name).await?)?;
            if ledger.pause_job(&name, true).await? {
                writeln!(out, "{name} is paused: its instants pass; `mooncast jobs resume` lets it go on")?;
            } else {
                writeln!(out, "{name} is paused already")?;
            }
        }
        JobsCommand::Resume { name } => {
            must_be_job(&named(ledger, &name).await?)?;
            if ledger.pause_job(&name, false).await? {
                writeln!(out, "{name} goes on with its next instant")?;
            } else {
                writeln!(out, "{name} is not paused")?;
            }
        }
        JobsCommand::Cancel { name } => {
            named(ledger, &name).await?;
            let runs = ledger.job_runs(Some(&name), 100).await?;
            let open = runs.iter().filter(|run| run.finished_at.is_none()).count();
            if open == 0 {
                writeln!(out, "no run of {name} goes on or waits")?;
            } else if ledger.live_instances(daemon::COMMAND).await?.is_empty() {
                bail!("no `mooncast serve` runs on this ledger, so nothing goes on of `{name}`");
            } else {
                ledger.cancel_job(&name).await?;
                writeln!(out, "{name} is being cancelled: {open} of its runs, with their broadcasts")?;
            }
        }
    }
    Ok(Exit::Delivered)
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

/// Why a run cannot be retried, and what to do instead.
fn no_retry(job: &JobRow, run: Option<&str>) -> String {
    let name = &job.name;
    if job.times.starts_with(AT_EACH_POST) {
        let which = run.map_or_else(|| "no failed run".to_owned(), |run| format!("no failed run {run}"));
        return format!(
            "{name} has {which} whose request is kept; `mooncast jobs show '{name}'` shows its runs"
        );
    }
    format!("{name} is no hook, so its runs have no request; `mooncast jobs trigger '{name}'` runs it now")
}

/// The daemon that would run the job or script.
async fn live_daemon(ledger: &Ledger, what: &str) -> anyhow::Result<InstanceName> {
    let Some(daemon) = ledger.live_instances(daemon::COMMAND).await?.into_iter().next() else {
        bail!("no `mooncast serve` runs on this ledger, so nobody would run `{what}`; start it first");
    };
    Ok(daemon)
}

/// The job of this name, or the script whose runs have this name. The error for an unknown name lists the known
/// ones.
async fn named(ledger: &Ledger, name: &str) -> anyhow::Result<JobRow> {
    let found = match script_of(name) {
        Some(_) => asked_scripts(ledger, Some(name)).await?,
        None => ledger.job_rows(Some(name)).await?,
    };
    if let Some(job) = found.into_iter().next() {
        return Ok(job);
    }
    let known: Vec<String> = ledger.job_rows(None).await?.into_iter().map(|job| job.name).collect();
    bail!("there is no job `{name}`; the jobs in force are: {}", known.join(", "));
}

/// Refuses a script's name: its runs on request have no schedule.
fn must_be_job(job: &JobRow) -> anyhow::Result<()> {
    if let Some(script) = script_of(&job.name) {
        bail!("`{}` is no job; `mooncast jobs run-script {script}` runs the script", job.name);
    }
    Ok(())
}

fn scheduled(job: &JobRow) -> anyhow::Result<()> {
    must_be_job(job)?;
    if let Some(gone) = job.gone_at {
        bail!("no script declares `{}` any more, since {}", job.name, instant(gone));
    }
    Ok(())
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
