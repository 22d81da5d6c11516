//! `mooncast doctor`

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, Settings};
use crate::delivery::{Delivery, FailPoint, ServiceHealth};
use crate::run::{OWN_BINARY, confinement};

use super::findings::FindingsReport;
use super::{AppArgs, Exit, GlobalArgs, apps, store};

/// The maximum difference between this machine's clock and the service's. With a larger one, a token's expiry is
/// misjudged.
const CLOCK_MARGIN: Duration = Duration::from_secs(30);

/// Looks at the settings, the store, the address, the token, the clock, the state folder and how the processes of scripts are
/// confined; sends no message.
///
/// Exit status: 0 all is well; 1 something is not; 2 the settings cannot be read.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Look at the built-in simulator instead of the configured apps
    #[arg(long)]
    simulator: bool,
    #[command(flatten)]
    app: AppArgs,
}

pub(super) fn run(args: DoctorArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let flags = AppFlags { offline: args.simulator, ..args.app.into() };
    let settings = Settings::load(&project, &Environment::of_process(), &flags)?;
    let mut report = FindingsReport::default();
    let file = project.settings_file();
    report.line(true, "project", &project.root.display().to_string());
    let found = if file.is_file() {
        "mooncast.toml is well-formed"
    } else {
        "no mooncast.toml; defaults are in force"
    };
    report.line(true, "settings", found);
    let (writable, folder) = state_folder(&project.state_folder());
    report.line(writable, "state folder", &folder);

    let clock = Clock::real();
    clock.block_on(workers(&mut report))?;
    let place = apps::place(&project, &settings, args.simulator);
    if let Some(file) = place.missing_file() {
        report.line(true, "store", &format!("{} will be made when it is needed", file.display()));
    } else {
        clock.block_on(store::look_and_examine(&place, &clock, &mut report))?;
    }
    let apps = apps::choose(&project, &settings, args.simulator, &clock, &FailPoint::default())?;
    clock.block_on(async {
        for app in &apps.deliveries {
            examine(app, &clock, &mut report).await;
        }
        if let Some(book) = &apps.book {
            book.close().await;
        }
    })?;
    Ok(if report.is_unwell() { Exit::Failed } else { Exit::Delivered })
}

/// Reports how the worker processes are confined on this machine.
async fn workers(report: &mut FindingsReport) {
    match confinement(OWN_BINARY.as_ref()).await {
        Ok(how) => report.line(true, "scripts", &how),
        Err(error) => {
            report.line(false, "scripts", &format!("no process for a script can be started: {error}"));
        }
    }
}

async fn examine(app: &Delivery, clock: &Clock, report: &mut FindingsReport) {
    let name = app.name();
    match app.examine().await {
        Ok(ServiceHealth { service_time }) => {
            report.line(true, &format!("app {name}"), "the address answers, the token is accepted");
            let Some(theirs) = service_time else { return };
            let apart = theirs.abs_diff(clock.unix_time());
            let text = format!("{:.1} s apart from the service's", apart.as_secs_f64());
            report.line(apart <= CLOCK_MARGIN, "clock", &text);
        }
        Err(undelivered) => report.line(false, &format!("app {name}"), &undelivered.message),
    }
    let limits = app.limits();
    let shown: Vec<String> = limits.iter().take(6).map(|(name, value)| format!("{name} {value}")).collect();
    report.line(true, "limits", &shown.join(", "));
}

/// The free space in bytes that the state folder needs: about the size of a new ledger.
const ROOM: usize = 512 * 1024;

/// Whether the state folder exists or can be created, and a small file can be written to it.
fn state_folder(folder: &PathBuf) -> (bool, String) {
    let written = tempfile::Builder::new().prefix(".doctor").tempfile_in(folder).and_then(|mut file| {
        file.write_all(&vec![0; ROOM])?;
        file.as_file().sync_all()
    });
    match written {
        Ok(()) => (true, format!("{} can be written", folder.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            (true, format!("{} will be made when it is needed", folder.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            let text = format!("{}: the disk is full; free some space, or nothing is sent", folder.display());
            (false, text)
        }
        Err(error) => (false, format!("{} cannot be written: {error}", folder.display())),
    }
}
