//! Records a run of the command line in the ledger: who runs it, how it ends, and its output.
//!
//! The run is recorded when it opens the ledger. One that never opens it is recorded at its end if there is a ledger. So a
//! script that only looks makes no ledger, and needs none.

use std::rc::Rc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::ScriptLimits;
use crate::core::CommandLineStart;
use crate::delivery::LazyLedger;
use crate::ledger::{Ledger, LedgerError, LedgerLocation, NewCommandRun, RunRequest};
use crate::run::{
    OutputWriter, RecordedOutput, RunEnd, RunError, RunOutcome, RunRecord, RunServices, ScriptOutput,
};
use crate::schedule::command_runs_of;

use super::{actor, secret_words};

/// How long the end of a run waits for a ledger that it has not opened before.
const PATIENCE: Duration = Duration::from_secs(5);

/// The data that is recorded when a run begins.
pub(super) struct RunToRecord<'a> {
    /// The script's name, or for other code the word in the name of its runs: `-` or `eval`.
    pub(super) script: &'a str,
    pub(super) request: RunRequest,
    /// The job, if only this one runs.
    pub(super) job: Option<&'a str>,
    /// What holds it to its rehearsed plan, as JSON.
    pub(super) plan_guard: Option<String>,
}

/// A run of the command line that is recorded.
pub(super) struct CommandRecord {
    ledger: Rc<LazyLedger>,
    location: LedgerLocation,
    clock: Clock,
    run: NewCommandRun,
    keep: ScriptLimits,
    /// Holds what the record writes with.
    _writer: Rc<OutputWriter>,
    /// `None` if no output is kept.
    record: Option<Rc<RunRecord>>,
}

impl CommandRecord {
    /// Has a run recorded once `ledger`, the ledger at `location`, is opened.
    pub(super) fn begin(
        ledger: &Rc<LazyLedger>,
        location: LedgerLocation,
        clock: &Clock,
        keep: ScriptLimits,
        RunToRecord { script, request, job, plan_guard }: RunToRecord<'_>,
    ) -> Self {
        let actor = actor::actor();
        let run = NewCommandRun {
            job: command_runs_of(script),
            args: shown(request),
            start: CommandLineStart { user: actor.name, host: actor.host, job: job.map(str::to_owned) },
            started_at: clock.unix_time(),
            plan_guard,
        };
        ledger.records(run.clone());
        let writer = OutputWriter::new(clock.clone());
        let source = Rc::clone(ledger);
        let opened = move || source.recorded().map(|(ledger, at)| (ledger.clone(), at));
        let kept = !keep.keep_output.is_zero();
        let record = kept.then(|| writer.record(&run.job, opened, keep.keep_output_size));
        Self { ledger: Rc::clone(ledger), location, clock: clock.clone(), run, keep, _writer: writer, record }
    }

    /// Returns an output that passes all on to `next`, and records it.
    pub(super) fn output(&self, next: Rc<dyn ScriptOutput>) -> Rc<dyn ScriptOutput> {
        match &self.record {
            Some(record) => Rc::new(RecordedOutput { next, record: Rc::clone(record) }),
            None => next,
        }
    }

    /// Hides the secrets that the run names.
    pub(super) fn hide_secrets_of(&self, services: &Rc<RunServices>) {
        if let Some(record) = &self.record {
            record.hide_secrets_of(services);
        }
    }

    /// Records how the run ended. A failure is logged, and changes nothing about the run.
    pub(super) async fn end(&self, ended: &RunEnd, services: &Rc<RunServices>) {
        let outcome = match self.missing_job(ended, services) {
            Some(why) => RunOutcome::of(&RunEnd::Failed(RunError::Stopped(why)), Some(services), true),
            None => RunOutcome::of(ended, Some(services), true),
        };
        if let Some(record) = &self.record {
            outcome.write_to(record);
        }
        let written = if let Some((ledger, at)) = self.ledger.recorded() {
            if let Some(record) = &self.record {
                record.close().await;
            }
            let (state, note) = (outcome.state, outcome.note.as_deref());
            match ledger.finish_command_run(&self.run.job, at, state, note).await {
                Ok(()) => self.prune(ledger).await,
                Err(error) => Err(error),
            }
        } else if self.ledger.failure().is_some() || self.location.missing_file().is_some() {
            return;
        } else {
            let Ok(written) = Box::pin(self.clock.timeout(PATIENCE, self.record_now(&outcome))).await else {
                tracing::warn!("the run is not recorded: the ledger does not answer");
                return;
            };
            written
        };
        if let Err(error) = written {
            tracing::warn!("the end of the run is not recorded in the ledger: {error}");
        }
    }

    /// Why nothing ran, if the script does not declare the job.
    fn missing_job(&self, ended: &RunEnd, services: &RunServices) -> Option<String> {
        let job = self.run.start.job.as_ref().filter(|_| matches!(ended, RunEnd::Finished))?;
        let missing = services.jobs.are_complete() && services.jobs.find(job).is_none();
        missing.then(|| format!("the script declares no job `{job}`"))
    }

    /// Records the whole run, which did not open the ledger.
    async fn record_now(&self, outcome: &RunOutcome) -> Result<(), LedgerError> {
        let ledger = Ledger::open_at(&self.location, self.clock.clone()).await?;
        let at = ledger.record_command_run(&self.run, outcome.state, outcome.note.as_deref()).await?;
        if let Some(record) = &self.record {
            record.close_in(&ledger, at).await?;
        }
        self.prune(&ledger).await
    }

    /// Keeps the output of all runs within its limits, where no daemon does.
    async fn prune(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        let before = self.clock.unix_time().saturating_sub(self.keep.keep_output);
        ledger.prune_output(before, self.keep.keep_output_size).await.map(drop)
    }
}

/// Returns the request as the ledger records it: without the values of arguments that may be secret.
pub(super) fn shown(request: RunRequest) -> RunRequest {
    RunRequest { args: secret_words::without_secrets(&request.args), ..request }
}
