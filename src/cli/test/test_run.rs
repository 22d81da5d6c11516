//! The environment of each test: its own clock, service, ledger and files.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tracing_subscriber::fmt::MakeWriter;

use crate::client::ClientError;
use crate::clock::Clock;
use crate::delivery::{Delivery, LazyLedger};
use crate::protocol::{JobStart, LoadMode};
use crate::run::testing::{CapturedOutput, DeclaredTest, Testbed, TestbedParts};
use crate::run::{ProjectFiles, RunEnd};
use crate::simulator::{Latency, Simulator};

use super::super::apps;
use super::super::traces::TARGET;
use super::TestFile;
use super::service::InProcessSimulator;

/// The start time of a test's clock: 2026-01-05T09:00:00Z, a Monday.
const START: Duration = Duration::from_hours(491_001);

/// The round-trip time to the service.
const LATENCY: Duration = Duration::from_millis(20);

/// The base of the seeds of all scripts in tests.
const SEED: u64 = 1;

/// The command name of this process in the test's ledger.
const COMMAND: &str = "test";

/// The result of a test, or of loading a file.
pub(super) struct TestRun {
    pub(super) ended: RunEnd,
    pub(super) declared: Vec<DeclaredTest>,
    pub(super) said: String,
}

/// Loads a file to find its tests, or runs the test of this name, in its own testbed.
pub(super) fn run_test(
    file: &TestFile,
    mode: LoadMode,
    test: Option<&str>,
    timeout: Duration,
) -> anyhow::Result<TestRun> {
    let scratch = tempfile::Builder::new()
        .prefix("mooncast-test-")
        .tempdir()
        .context("cannot create a scratch ledger in the temporary folder; set TMPDIR to another folder")?;
    let clock = Clock::simulated(START);
    let ledger = Rc::new(LazyLedger::timed_scratch(scratch.path().to_owned(), clock.clone(), COMMAND));
    let settings = &file.settings;
    let mut service = apps::service(&apps::limits(settings));
    service.latency = Latency::fixed(LATENCY);
    let customers = apps::simulated_apps(settings, &service);
    let service =
        InProcessSimulator { simulator: Simulator::new(service, clock.clone()), clock: clock.clone() };
    let deliveries: Vec<Rc<Delivery>> = customers
        .iter()
        .map(|app| {
            let delivery = Delivery::over(Arc::new(service.clone()), app, clock.clone())?;
            let key = format!("{}/{}", apps::SIMULATOR, app.name);
            Ok(Rc::new(delivery.with_ledger(Rc::clone(&ledger), &key).alone()))
        })
        .collect::<Result<_, ClientError>>()
        .context("the simulator's address")?;
    let files =
        ProjectFiles::new(&file.project, &settings.permissions, &settings.secret_files, Some(&file.path))
            .with_context(|| format!("{}", file.project.root.display()))?;

    let testbed = Rc::new(Testbed::new(TestbedParts {
        project: file.project.clone(),
        settings: Rc::clone(settings),
        apps: deliveries.clone(),
        clock: clock.clone(),
        files: files.overlaid(START.as_secs(), settings.scripts.host_memory),
        service: Rc::new(service),
    }));
    let mut run = testbed.run_of(&file.path, file.source.clone());
    run.test(&testbed);
    (run.load, run.seed, run.limits.timeout) = (mode, SEED, Some(timeout));
    run.output = Rc::new(Arc::clone(testbed.said()));
    run.job = test.map(|name| JobStart {
        name: format!("test {name}"),
        scheduled_at_ms: 0,
        // The default run of a broadcast, as under `mooncast run`.
        run: "1".to_owned(),
        attempt: 1,
        input: None,
    });
    let run = run.build().with_context(|| file.source.name.clone())?;
    let log = tracing_subscriber::fmt()
        // Spans are turned off: if another thread drops a span, tracing looks for it in that thread's own
        // log.
        .with_env_filter(format!("info,{TARGET}=off"))
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(LogCapture(Arc::clone(testbed.said())))
        .finish();
    let play = async {
        let ended = run.run_until_signal().await;
        for delivery in &deliveries {
            delivery.release().await;
        }
        ended
    };
    // The host's log lines belong to the test too.
    let ended = tracing::subscriber::with_default(log, || clock.block_on(play))?;
    if let Some(error) = ledger.failure() {
        bail!("cannot use the scratch ledger: {error}");
    }
    Ok(TestRun { ended, declared: testbed.declared(), said: testbed.said().text() })
}

/// Captures log lines.
#[derive(Debug, Clone)]
struct LogCapture(Arc<CapturedOutput>);

impl io::Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.add(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogCapture {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
