//! Runs one job of a script now, and reports jobs that were not run.

use std::fmt::Write as _;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{anyhow, bail};

use crate::core::nearest;
use crate::run::{DeclaredJobs, RunEnd};
use crate::schedule::Job;

use super::logging::LogFormat;

/// The maximum number of names that are listed.
const LISTED: usize = 20;

/// The scheduled time of a run on request, which has whole seconds.
pub(super) const fn whole_seconds(now: Duration) -> Duration {
    Duration::from_secs(now.as_secs())
}

/// Checks that the script has the requested job. Succeeds too if the script failed before it declared its jobs.
pub(super) fn must_be_there(
    name: Option<&str>,
    jobs: &DeclaredJobs,
    ended: &RunEnd,
    script: &str,
) -> anyhow::Result<()> {
    let Some(name) = name else { return Ok(()) };
    if jobs.find(name).is_some() || !jobs.are_complete() || matches!(ended, RunEnd::Interrupted) {
        return Ok(());
    }
    let declared = jobs.declared();
    if declared.is_empty() {
        bail!(
            "{script} declares no jobs, so there is no job `{name}` to run; `mooncast run {script}` runs the script itself"
        );
    }
    let hint = nearest(name, declared.iter().map(|job| job.name.as_str()))
        .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(anyhow!("{script} declares no job named `{name}`{hint} Its jobs: {}", names(&declared)))
}

/// Reports that jobs were declared and not run, if the script did nothing else.
pub(super) fn only_declared(declared: &[Rc<Job>], script: &str, format: LogFormat) {
    let jobs = match declared {
        [] => return,
        [job] => format!("the job `{}`, which was not run", job.name),
        jobs => format!("{} jobs, which were not run: {}", jobs.len(), names(jobs)),
    };
    let line = format!(
        "{script} declares {jobs}. To run one now: `mooncast run {script} --job NAME`; to run all at their scheduled times: `mooncast serve`"
    );
    match format {
        // Without standard error, the message cannot be shown.
        LogFormat::Text => drop(writeln!(std::io::stderr().lock(), "{line}")),
        LogFormat::Json => tracing::info!("{line}"),
    }
}

/// A list such as: `daily`, `weekly` and 3 more
///
/// Writing to a `String` cannot fail, so the results are ignored.
fn names(jobs: &[Rc<Job>]) -> String {
    let listed: Vec<String> = jobs.iter().take(LISTED).map(|job| format!("`{}`", job.name)).collect();
    let mut text = listed.join(", ");
    if jobs.len() > LISTED {
        let _ = write!(text, " and {} more", jobs.len() - LISTED);
    }
    text
}
