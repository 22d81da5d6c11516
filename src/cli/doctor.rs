//! `mooncast doctor`

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::clock::Clock;
use crate::config::{App, AppFlags, Credentials, DATA_FOLDER, Environment, Project, Settings};
use crate::core::utc;
use crate::core::{FailureKind, RequestFailure};
use crate::delivery::{Delivery, FailPoint, ServiceHealth};
use crate::ledger::{AlertAddress, CallbackActivity, Ledger, LedgerLocation, StoredAlerts};
use crate::message::counted;
use crate::run::{OWN_BINARY, confinement};

use super::findings::FindingsReport;
use super::runs::sends;
use super::{AppArgs, Exit, GlobalArgs, apps, store};

/// The maximum difference between this machine's clock and the service's. With a larger one, a token's expiry is
/// misjudged.
const CLOCK_MARGIN: Duration = Duration::from_secs(30);

/// Checks the settings, the store, waiting alerts, the service's address, the token, the clock, the state folder, and how the processes
/// of scripts are confined. Sends no messages.
///
/// Exit status: 0 no problems; 1 a check found a problem; 2 the settings cannot be read.
#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    /// Check the built-in simulator instead of the configured apps
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
    let found =
        if file.is_file() { "mooncast.toml is well-formed" } else { "no mooncast.toml; the defaults apply" };
    report.line(true, "settings", found);
    if let (Some(env), Some(file)) = (&project.env, project.env_file()) {
        let base = Settings::load(
            &Project { env: None, ..project.clone() },
            &Environment::of(Vec::new()),
            &offline(),
        );
        let of_env = Settings::load(&project, &Environment::of(Vec::new()), &offline())?;
        let is_one_app = |base: Settings| {
            let sends = !of_env.simulator && !base.simulator;
            sends
                && of_env
                    .apps
                    .iter()
                    .any(|app| base.apps.iter().any(|other| other.key() == app.key() && !app.is_nowhere()))
        };
        let twice = base.is_ok_and(is_one_app);
        let text = if twice {
            format!(
                "{env}: {} sends through an app of mooncast.toml, with a ledger of its own: neither knows what the other has sent; set another app there",
                file.display()
            )
        } else {
            format!("{env}: {} is laid over mooncast.toml", file.display())
        };
        report.line(!twice, "environment", &text);
        let has_files =
            std::fs::read_dir(project.root.join(DATA_FOLDER)).is_ok_and(|mut files| files.next().is_some());
        if has_files {
            report.line(true, "data", "data/ is shared by all environments: what a script writes there in one, the scripts of the others read; keep what a script remembers in `store`, which is apart");
        }
    }
    for text in settings.approval.without_scripts(&project.root) {
        report.line(false, "approval", &text);
    }
    let (writable, folder) = state_folder(&project.state_folder());
    report.line(writable, "state folder", &folder);

    let clock = Clock::real();
    clock.block_on(workers(&mut report))?;
    let location = apps::location(&project, &settings, args.simulator);
    if let Some(file) = location.missing_file() {
        report.line(
            true,
            "store",
            &format!("{} does not exist yet; Mooncast creates it when it needs it", file.display()),
        );
    } else {
        clock.block_on(async {
            if store::look_and_examine(&location, &clock, &mut report).await {
                doubts(&location, &clock, &mut report).await;
                alerts(&location, &settings, &clock, &mut report).await;
            }
        })?;
    }
    let exists = location.missing_file().is_none();
    let apps = apps::choose(&project, &settings, args.simulator, &clock, &FailPoint::default())?;
    clock.block_on(async {
        for app in &apps.deliveries {
            examine(app, &settings, &clock, &mut report).await;
            callbacks(app, &settings, exists, &mut report).await;
            if let Some(doubt) = app.history_zone_doubt() {
                report.line(true, &format!("history {}", app.name()), &doubt);
            }
        }
        if let Some(ledger) = &apps.ledger {
            ledger.close().await;
        }
    })?;
    Ok(if report.has_errors() { Exit::Failed } else { Exit::Delivered })
}

/// Reports the alerts that wait for a receiver that the settings do not have. A store that cannot be opened was reported.
async fn alerts(location: &LedgerLocation, settings: &Settings, clock: &Clock, report: &mut FindingsReport) {
    let Ok(ledger) = Ledger::open_at(location, clock.clone()).await else { return };
    let receivers: Vec<AlertAddress> = settings.alerts.iter().map(AlertAddress::of).collect();
    let stored = match ledger.stored_alerts().await {
        Ok(stored) => stored,
        Err(error) => return report.line(false, "alerts", &error.to_string()),
    };
    let known = |name: &String| settings.alerts_without_url.contains_key(name);
    for StoredAlerts { receiver, pending, .. } in stored
        .into_iter()
        .filter(|one| one.pending > 0 && one.receiver_in(&receivers).is_none() && !known(&one.receiver))
    {
        let text = format!(
            "{} for the receiver `{receiver}`, which the settings do not have: name a receiver so or give one its URL; without one, `mooncast serve` drops them 3 days after they were raised",
            counted(usize::try_from(pending).unwrap_or(usize::MAX), "waiting alert")
        );
        report.line(false, "alerts", &text);
    }
}

/// The flags of a command that sends nothing.
fn offline() -> AppFlags {
    AppFlags { offline: true, ..AppFlags::default() }
}

/// Reports how the worker processes are confined on this machine.
async fn workers(report: &mut FindingsReport) {
    match confinement(OWN_BINARY.as_ref()).await {
        Ok(how) => report.line(true, "scripts", &how),
        Err(error) => {
            report.line(false, "scripts", &format!("cannot start a process for a script: {error}"));
        }
    }
}

async fn examine(app: &Delivery, settings: &Settings, clock: &Clock, report: &mut FindingsReport) {
    let name = app.name();
    match app.examine().await {
        Ok(ServiceHealth { service_time }) => {
            report.line(true, &format!("app {name}"), "the service answers and accepts the token");
            let Some(theirs) = service_time else { return };
            let apart = theirs.abs_diff(clock.unix_time());
            let text = format!("differs from the service's clock by {:.1} s", apart.as_secs_f64());
            report.line(apart <= CLOCK_MARGIN, "clock", &text);
        }
        Err(undelivered) => {
            let configured = settings.apps.iter().find(|app| app.name == name);
            let cause = configured.and_then(|app| cause(app, &undelivered)).unwrap_or_default();
            report.line(false, &format!("app {name}"), &format!("{}{cause}", undelivered.message));
        }
    }
    let limits = app.limits();
    let shown: Vec<String> = limits.iter().take(6).map(|(name, value)| format!("{name} {value}")).collect();
    report.line(true, "limits", &shown.join(", "));
}

/// Says which setting to compare, as far as the service's answer tells wrong credentials from a wrong address.
fn cause(app: &App, undelivered: &RequestFailure) -> Option<String> {
    if undelivered.status == Some(404) {
        let prefix = &app.prefix;
        return Some(format!(
            ". The service has no app at {prefix}: compare base_url, and org and name (or app_id), with the service's console"
        ));
    }
    if undelivered.kind != FailureKind::Auth {
        return None;
    }
    let settings = match app.credentials {
        Credentials::Token(_) => "the token (MOONCAST_TOKEN) is not one of this app, or has expired",
        Credentials::Client { .. } => {
            "compare client_id and MOONCAST_CLIENT_SECRET with the service's console"
        }
        Credentials::Agora { .. } => {
            "compare app_id and MOONCAST_APP_CERTIFICATE with Agora's console, and this machine's clock with another one"
        }
    };
    Some(format!(". The address is right, and the service does not accept the credentials: {settings}"))
}

/// Reports the single sends and calls in doubt, including those of dead processes.
async fn doubts(location: &LedgerLocation, clock: &Clock, report: &mut FindingsReport) {
    let found = async { sends::in_doubt(&Ledger::open_at(location, clock.clone()).await?).await };
    match found.await {
        Ok(found) if found.is_empty() => {}
        Ok(found) => {
            let text = format!(
                "{}; `mooncast runs list` lists them, and how to settle them",
                sends::summary(&found)
            );
            report.line(false, "doubts", &text);
        }
        Err(error) => report.line(false, "doubts", &error.to_string()),
    }
}

/// Reports when callbacks about the app's messages came.
async fn callbacks(app: &Delivery, settings: &Settings, ledger_exists: bool, report: &mut FindingsReport) {
    let topic = format!("callbacks {}", app.name());
    if settings.callback_secrets.get(app.name()).is_none_or(|secrets| secrets.as_slice().is_empty()) {
        let off = "off: there is no callback secret; to have sends in doubt settled within a minute, set MOONCAST_CALLBACK_SECRET (in [apps.NAME]: callback_secret) and switch on the callback rule in the service's console";
        return report.line(true, &topic, off);
    }
    let activity = async {
        let ledger =
            if ledger_exists { app.open_ledger().await.map_err(|failure| failure.message)? } else { None };
        let Some(ledger) = ledger else { return Ok(CallbackActivity::default()) };
        let activity = async {
            match ledger.known_app(app.key()).await? {
                Some(id) => ledger.callback_activity(id).await,
                None => Ok(CallbackActivity::default()),
            }
        };
        activity.await.map_err(|error| error.to_string())
    };
    let text = match activity.await {
        Err(error) => return report.line(false, &topic, &error),
        Ok(CallbackActivity { latest: None, .. }) => format!(
            "no callback has come about a message of this app; check that the service's callback rule names https://HOST/callbacks/{}, is for group messages sent over REST, and has this secret",
            app.name()
        ),
        Ok(CallbackActivity { latest: Some(latest), last_hour }) => {
            format!("the latest came {}, {last_hour} in the last hour", utc(latest))
        }
    };
    report.line(true, &topic, &text);
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
        Ok(()) => (true, format!("{} is writable", folder.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            (true, format!("{} does not exist yet; Mooncast creates it when it needs it", folder.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            let text = format!(
                "{}: the disk is full; free some space: until then Mooncast cannot send",
                folder.display()
            );
            (false, text)
        }
        Err(error) => (false, format!("{} is not writable: {error}", folder.display())),
    }
}
