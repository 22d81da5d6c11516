//! Sets up a dry run: apps whose messages end in this process, a scratch ledger, a simulated clock.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::client::ClientError;
use crate::clock::Clock;
use crate::config::{App, Project, ScriptLimits, Settings};
use crate::delivery::{Delivery, FailPoint, LazyLedger, SendCounts};
use crate::ledger::Ledger;
use crate::protocol::LuaSource;
use crate::run::rehearsal::{Rehearsal, RehearsalPlan};
use crate::run::{FileChange, MountedFile, RunBuilder, RunEnd, ScriptOutput, StoreChange, job_start};

use super::super::apps::{self, SIMULATOR};
use super::super::job;

/// The command name of this process in the scratch ledger.
const COMMAND: &str = "rehearse";

pub(in super::super) struct DryRunConfig<'a> {
    pub(in super::super) project: &'a Project,
    pub(in super::super) settings: &'a Settings,
    pub(in super::super) file: &'a Path,
    pub(in super::super) script: LuaSource,
    pub(in super::super) args: Vec<String>,
    /// Files that it may read under other names.
    pub(in super::super) mounts: Vec<MountedFile>,
    /// The job to run instead of the script.
    pub(in super::super) job: Option<String>,
    pub(in super::super) limits: &'a ScriptLimits,
    /// Whether the messages are meant for the simulator.
    pub(in super::super) simulated: bool,
    /// Whether the apps' real lists are read.
    pub(in super::super) lists: bool,
    /// Whether the recipients of the messages are recorded.
    pub(in super::super) targets: bool,
    /// The start time of the simulated clock, since 1970.
    pub(in super::super) start: Duration,
    pub(in super::super) seed: u32,
    pub(in super::super) output: Rc<dyn ScriptOutput>,
}

/// A finished dry run. Dropping it removes its scratch ledger.
pub(in super::super) struct DryRun {
    pub(in super::super) ended: RunEnd,
    pub(in super::super) counts: SendCounts,
    /// How many test messages of campaigns it would send.
    pub(in super::super) tests: u64,
    pub(in super::super) rehearsal: Rc<Rehearsal>,
    pub(in super::super) files: Vec<FileChange>,
    pub(in super::super) store: Vec<StoreChange>,
    pub(in super::super) apps: Vec<Rc<Delivery>>,
    pub(in super::super) seed: u32,
    pub(in super::super) start: Duration,
    scratch: TempDir,
}

impl DryRun {
    /// The rehearsed plan, if a run could follow it: nothing failed and nothing exceeds a limit.
    pub(in super::super) fn plan(&self) -> Option<RehearsalPlan> {
        self.is_deliverable().then(|| self.rehearsal.plan(self.seed))
    }

    /// Whether everything would be delivered.
    pub(in super::super) fn is_deliverable(&self) -> bool {
        matches!(self.ended, RunEnd::Finished)
            && self.counts.all_delivered()
            && self.rehearsal.problems().total() == 0
    }

    /// Removes the scratch ledger.
    pub(in super::super) fn clean_up(self) -> anyhow::Result<()> {
        let path = self.scratch.path().to_owned();
        self.scratch.close().with_context(|| format!("{}: cannot remove the scratch ledger", path.display()))
    }
}

/// Runs a script whose messages are not sent.
pub(in super::super) fn dry_run(config: DryRunConfig<'_>) -> anyhow::Result<DryRun> {
    let scratch = tempfile::Builder::new()
        .prefix("mooncast-rehearsal-")
        .tempdir()
        .context("cannot create a scratch ledger in the temporary folder; set TMPDIR to another folder")?;
    let clock = Clock::simulated(config.start);
    // What was sent before counts here too: a broadcast that continues, one that is skipped, a key that was used.
    let location = apps::location(config.project, config.settings, config.simulated);
    let now = Clock::real();
    now.block_on(Ledger::snapshot_into(&location, scratch.path(), &now))?.context("a copy of the ledger")?;
    let lists = lists(config.project, config.settings, config.simulated, config.lists)?;
    let configured = configured(&config);
    let prefixes = configured.iter().map(|app| app.prefix.clone()).collect();
    let rehearsal = Rehearsal::new(config.start, lists, prefixes);
    let rehearsal = Rc::new(if config.targets { rehearsal.keeping_targets() } else { rehearsal });
    let ledger = Rc::new(LazyLedger::scratch(scratch.path().to_owned(), clock.clone(), COMMAND));
    let deliveries: Vec<Rc<Delivery>> = configured
        .iter()
        .map(|app| {
            // No server listens at this address, so nothing can be sent even after another error.
            let nowhere =
                App { name: app.name.clone(), limits: app.limits.clone(), ..apps::placeholder_app() };
            let delivery =
                Delivery::new(&nowhere, clock.clone(), None)?.with_approval(&config.settings.approval);
            Ok(Rc::new(
                delivery
                    .with_ledger(Rc::clone(&ledger), app.key())
                    .with_transport(Rc::clone(&rehearsal) as _),
            ))
        })
        .collect::<Result<_, ClientError>>()
        .context("the app's address")?;

    let name = config.script.name.clone();
    let mut run =
        RunBuilder::new(config.project, config.settings, &deliveries, &clock, config.file, config.script);
    run.dry_run(&rehearsal);
    (run.args, run.limits, run.output) = (config.args, *config.limits, config.output);
    run.mounts = config.mounts;
    run.seed = config.seed.into();
    if let Some(job) = &config.job {
        run.run_job(job_start(job, config.start));
    }
    let run = run.build()?;
    let services = Rc::clone(&run.services);
    let ended = clock.block_on(run.run_until_signal())?;
    job::must_be_there(config.job.as_deref(), &services.jobs, &ended, &name)?;
    if let Some(error) = ledger.failure() {
        bail!("cannot use the scratch ledger: {error}");
    }
    Ok(DryRun {
        ended,
        counts: services.tally.counts(),
        tests: services.broadcasts.tests(),
        rehearsal,
        files: services.files.changes(),
        store: services.store.changes(),
        apps: deliveries,
        seed: config.seed,
        start: config.start,
        scratch,
    })
}

/// The apps whose messages are rehearsed, or one with the default limits if none is configured.
fn configured(config: &DryRunConfig<'_>) -> Vec<App> {
    let mut apps = match config.settings.apps.as_slice() {
        [] => vec![apps::placeholder_app()],
        apps => apps.to_vec(),
    };
    if config.simulated {
        for app in &mut apps {
            app.prefix = format!("{SIMULATOR}/{}", app.name);
        }
    }
    apps
}

/// The apps for the real lists, in real time and without a ledger. Empty if the lists are not read.
pub(super) fn lists(
    project: &Project,
    settings: &Settings,
    simulated: bool,
    wanted: bool,
) -> anyhow::Result<Vec<Rc<Delivery>>> {
    let real = Clock::real();
    if simulated {
        return Ok(apps::choose(project, settings, true, &real, &FailPoint::default())?.deliveries);
    }
    if !wanted {
        return Ok(Vec::new());
    }
    if settings.apps.is_empty() {
        bail!(
            "no app is configured, so there are no lists to read; set the app in mooncast.toml or in the environment; `mooncast doctor` checks both"
        );
    }
    // The token of the runs serves the look-ups too. A rehearsal makes no state folder.
    let state = Some(project.state_folder()).filter(|state| state.is_dir());
    settings
        .apps
        .iter()
        .map(|app| Delivery::new(app, real.clone(), state.as_deref()).map(Rc::new))
        .collect::<Result<_, _>>()
        .context("the app's address")
}
