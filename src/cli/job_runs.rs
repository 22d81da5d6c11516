//! `mooncast jobs show JOB@RUN` and `mooncast jobs logs`: one run of a job, and its output.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::clock::Clock;
use crate::control::{LeftOutView, OutputLineView, OutputView, RunDetail, find_job, find_run};
use crate::core::visible;
use crate::daemon;
use crate::ledger::{JobRun, Ledger};
use crate::message::counted;
use crate::schedule::{run_id, run_name, run_of_id, run_of_name};

use super::runs::{format_time, local_text};

/// How often `logs -f` looks for new lines.
const OFTEN: Duration = Duration::from_secs(1);

/// The lines of output that `jobs show` prints.
const FIRST: usize = 20;

/// The scheduled time that a run's name stands for.
pub(super) fn instant_of(run: &str) -> anyhow::Result<Duration> {
    run_of_name(run).with_context(|| {
        format!(
            "`{}` is not the name of a run; `mooncast jobs show JOB` lists the names, such as 2026-11-23T09:00:00Z",
            run.escape_debug()
        )
    })
}

/// Finds the run that a command names: a job with `--run`, or `JOB@RUN`. `None` if it names a job alone.
pub(super) async fn named_run(
    ledger: &Ledger,
    name: &str,
    run: Option<&str>,
) -> anyhow::Result<Option<JobRun>> {
    if let Some(run) = run {
        return Ok(Some(find_run(ledger, &run_id(name, instant_of(run)?)).await?));
    }
    if run_of_id(name).is_some() && find_job(ledger, name).await.is_err() {
        return Ok(Some(find_run(ledger, name).await?));
    }
    Ok(None)
}

/// Prints one run: its state, what it sent, and the beginning of its output.
pub(super) async fn show(
    out: &mut impl Write,
    ledger: &Ledger,
    run: &JobRun,
    clock: &Clock,
) -> anyhow::Result<()> {
    let detail = RunDetail::read(ledger, run, clock.unix_time()).await?;
    writeln!(out, "{}: {}", detail.run.id, run.state.name())?;
    if let Some(note) = &run.note {
        writeln!(out, "  because: {}", visible(note))?;
    }
    match (&detail.script, &run.version) {
        (Some(script), Some(version)) => {
            writeln!(out, "  script: {script}, version {}", daemon::short(version))?;
        }
        (Some(script), None) => writeln!(out, "  script: {script}")?,
        (None, _) => {}
    }
    if let Some(start) = &run.command_line {
        writeln!(out, "  on the command line, by {} at {}", start.user, start.host)?;
        if let Some(job) = &start.job {
            writeln!(out, "  only the job {job}")?;
        }
    }
    if let Some(request) = &run.args {
        if !request.args.is_empty() {
            writeln!(out, "  arguments: {}", visible(&serde_json::json!(request.args).to_string()))?;
        }
        if let Some(plan) = &request.plan {
            writeln!(out, "  held to the rehearsed plan {plan}")?;
        }
        if request.test_only {
            writeln!(out, "  only the test messages")?;
        }
    }
    writeln!(out, "  started {}, attempt {}", format_time(run.started_at), run.attempt)?;
    if let Some(at) = run.finished_at {
        let took = at.saturating_sub(run.started_at).as_secs_f64();
        writeln!(out, "  ended {}, took {took:.1} s", format_time(at))?;
    }
    for broadcast in &detail.broadcasts {
        let counts = &broadcast.counts;
        writeln!(
            out,
            "  broadcast {} {}/{}: {}, sent to {} of {}",
            broadcast.id,
            broadcast.name,
            broadcast.run,
            broadcast.state,
            counts.sent,
            counts.total()
        )?;
    }
    for send in &detail.sends {
        let error = send.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        writeln!(out, "  single send {} to {}: {}{error}", send.id, send.to(), send.state)?;
    }
    let output = OutputView::read(ledger, run, 0).await?;
    if output.lines.is_empty() {
        writeln!(out, "  output: none")?;
        return Ok(());
    }
    writeln!(out, "  output:")?;
    let (first, rest) = output.lines.split_at(output.lines.len().min(FIRST));
    let shown = OutputView { lines: first.to_vec(), ..output.clone() };
    print(out, &shown, "    ")?;
    if !rest.is_empty() {
        writeln!(out, "    the rest: `mooncast jobs logs {} --run {}`", run.job, run_name(run.scheduled_at))?;
    }
    Ok(())
}

/// Prints the output of a run, the latest by default. With `follow`, goes on until the run ends.
pub(super) async fn logs(
    out: &mut impl Write,
    ledger: &Ledger,
    name: &str,
    run: Option<&str>,
    follow: bool,
    clock: &Clock,
) -> anyhow::Result<()> {
    if let Some(run) = run.filter(|_| follow) {
        wait_for_claim(ledger, name, instant_of(run)?, clock).await?;
    }
    let mut found = if let Some(run) = named_run(ledger, name, run).await? {
        run
    } else {
        let job = find_job(ledger, name).await?;
        let latest = ledger.job_runs(Some(&job.name), 1).await?.pop();
        let Some(latest) = latest else { bail!("{} has not run yet", job.name) };
        latest
    };
    let mut after = 0;
    loop {
        if found.command_line.is_some() && found.finished_at.is_none() {
            ledger.reap_dead_command_runs().await;
            found = find_run(ledger, &run_id(&found.job, found.scheduled_at)).await?;
        }
        let output = OutputView::read(ledger, &found, after).await?;
        print(out, &output, "")?;
        out.flush()?;
        after = output.last_line;
        if output.over || !follow {
            break;
        }
        clock.sleep(OFTEN).await;
        // The run is read before its output, so the output of an ended run is complete.
        found = find_run(ledger, &run_id(&found.job, found.scheduled_at)).await?;
    }
    if after == 0 {
        writeln!(out, "no output is kept of {} ({})", run_id(&found.job, found.scheduled_at), found.state)?;
    }
    Ok(())
}

/// Waits while a run was requested and no daemon has claimed it.
async fn wait_for_claim(ledger: &Ledger, job: &str, at: Duration, clock: &Clock) -> anyhow::Result<()> {
    while ledger.job_run(job, at).await?.is_none() && ledger.run_is_requested(job, at).await? {
        clock.sleep(OFTEN / 4).await;
    }
    Ok(())
}

/// Prints lines of output, and where some were left out.
fn print(out: &mut impl Write, output: &OutputView, indent: &str) -> anyhow::Result<()> {
    for line in &output.lines {
        if let Some(left) = output.left_out.as_ref().filter(|left| left.before_line == line.number) {
            writeln!(out, "{indent}{}", left_out(left))?;
        }
        let OutputLineView { at, stream, text, .. } = line;
        let stream = stream.name().trim_start_matches("log_");
        writeln!(out, "{indent}{} {stream:<5} {}", local_text(at), text)?;
    }
    Ok(())
}

fn left_out(left: &LeftOutView) -> String {
    format!("({} with {} bytes left out)", counted(left.lines, "line"), left.bytes)
}
