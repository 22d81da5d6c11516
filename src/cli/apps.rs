//! Chooses the apps that a command sends through: the configured ones, or the simulator in this process.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, bail};
use secrecy::ExposeSecret;

use crate::client::ClientError;
use crate::clock::Clock;
use crate::config::{App, AppLimits, Credentials, Environment, Project, RecordSettings, Settings, Timeouts};
use crate::delivery::{Delivery, FailPoint, LazyLedger};
use crate::ledger::LedgerLocation;
use crate::simulator::{self, AgoraApp};

const HOW: &str = "no app is configured, so nothing was sent. Either
  try it on the built-in simulator:   mooncast run --simulator FILE
  or name your app in mooncast.toml:  [app] base_url, org, name, client_id (MOONCAST_CLIENT_SECRET in the environment)
  or an app of Agora:                 [app] base_url, app_id (MOONCAST_APP_CERTIFICATE in the environment)
  or in the environment:              MOONCAST_BASE_URL, MOONCAST_ORG, MOONCAST_APP, MOONCAST_CLIENT_ID, MOONCAST_CLIENT_SECRET";

/// The simulator's folder in the project's state folder, and its name in the ledger there.
pub(super) const SIMULATOR: &str = "simulator";

/// The Agora app that the simulator in this process accepts.
const APP_ID: &str = "0123456789abcdef0123456789abcdef";
const APP_CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";

/// The command name of this process in the ledger.
const COMMAND: &str = "run";

/// The variable that sets a fail point: `POINT:COUNT`.
const FAIL_POINT: &str = "MOONCAST_FAIL_POINT";

/// The apps of a command.
pub(super) struct CliApps {
    pub(super) deliveries: Vec<Rc<Delivery>>,
    /// The ledger for what the apps send. `None` if they send nothing.
    pub(super) ledger: Option<Rc<LazyLedger>>,
}

impl CliApps {
    /// Releases what this process holds in the ledger, so that others can have it at once.
    pub(super) async fn release(&self) {
        for delivery in &self.deliveries {
            delivery.release().await;
        }
        if let Some(ledger) = &self.ledger {
            ledger.close().await;
        }
    }
}

/// Where a crash test ends the process.
pub(super) fn fail_point(environment: &Environment) -> anyhow::Result<FailPoint> {
    environment
        .get(FAIL_POINT)
        .map_or_else(|| Ok(FailPoint::default()), |text| text.parse().context(FAIL_POINT))
}

/// The apps that a script sends through.
pub(super) fn choose(
    project: &Project,
    settings: &Settings,
    simulated: bool,
    clock: &Clock,
    fail_point: &FailPoint,
) -> anyhow::Result<CliApps> {
    choose_for(COMMAND, project, settings, simulated, clock, fail_point)
}

/// The apps that a command sends through. The ledger lists the process under `command`.
pub(super) fn choose_for(
    command: &str,
    project: &Project,
    settings: &Settings,
    simulated: bool,
    clock: &Clock,
    fail_point: &FailPoint,
) -> anyhow::Result<CliApps> {
    let (state, location) = (project.state_folder(), location(project, settings, simulated));
    if simulated || settings.simulator {
        // The simulator has its own ledger: what was sent there must not count as sent to the service.
        let ledger = Rc::new(LazyLedger::new(location, clock.clone(), command));
        return simulate(settings, clock, ledger, fail_point);
    }
    if settings.apps.is_empty() {
        bail!(HOW);
    }
    let ledger = Rc::new(LazyLedger::new(location, clock.clone(), command));
    let deliveries = settings
        .apps
        .iter()
        .map(|app| {
            let delivery = Delivery::new(app, clock.clone(), Some(&state))?.with_approval(&settings.approval);
            Ok(Rc::new(delivery.with_ledger(Rc::clone(&ledger), app.key()).failing_at(fail_point.clone())))
        })
        .collect::<Result<_, ClientError>>()
        .context("the app's address")?;
    Ok(CliApps { deliveries, ledger: Some(ledger) })
}

/// The location of the ledger that a command reads or writes.
pub(super) fn location(project: &Project, settings: &Settings, simulated: bool) -> LedgerLocation {
    let state = project.state_folder();
    match &settings.store {
        _ if simulated || settings.simulator => LedgerLocation::Folder(state.join(SIMULATOR)),
        Some(address) => LedgerLocation::Server(address.clone()),
        None => LedgerLocation::Folder(state),
    }
}

/// The folder for files of this machine, wherever the ledger is.
pub(super) fn state(project: &Project, settings: &Settings, simulated: bool) -> PathBuf {
    match location(project, settings, simulated) {
        LedgerLocation::Folder(folder) => folder,
        LedgerLocation::Server(_) => project.state_folder(),
    }
}

/// An app with the default limits and an unreachable address, for commands that send nothing.
pub(super) fn placeholder_app() -> App {
    App {
        name: "default".to_owned(),
        prefix: "http://localhost:9/none/none".to_owned(),
        credentials: Credentials::Token(String::new().into()),
        limits: AppLimits::default(),
        records: RecordSettings::default(),
        timeouts: Timeouts::default(),
    }
}

/// The limits that the simulator enforces.
pub(super) fn limits(settings: &Settings) -> AppLimits {
    settings.apps.first().map_or_else(AppLimits::default, |app| app.limits.clone())
}

pub(super) fn service(limits: &AppLimits) -> simulator::SimulatorSettings {
    let mut service = simulator::SimulatorSettings::new("simulator", "demo");
    // Only this program calls it, and must keep to the vendor's page.
    service.strict = true;
    service.agora = Some(AgoraApp { app_id: APP_ID.to_owned(), certificate: APP_CERTIFICATE.into() });
    service.limits.group_per_second = Some(limits.group_per_second);
    service.limits.targeted_per_second = Some(limits.targeted_per_second);
    service.limits.upload_per_second = Some(limits.upload_per_second);
    service.limits.read_per_second = Some(limits.read_per_second);
    service.limits.edit_per_second = Some(limits.edit_per_second);
    service.limits.user_calls_per_second = Some(limits.user_calls_per_second);
    service.limits.user_messages_per_minute = Some(limits.user_messages_per_minute);
    service.limits.room_messages_per_second = Some(limits.room_messages_per_second);
    service.limits.room_calls_per_second = Some(limits.room_calls_per_second).filter(|calls| *calls > 0);
    service.limits.announce_all_per_day = Some(limits.announce_all_per_day);
    service.limits.announce_online_per_day = Some(limits.announce_online_per_day);
    service.limits.message_bytes = limits.message_bytes;
    service.limits.upload_bytes = usize::try_from(limits.upload_bytes).unwrap_or(usize::MAX);
    service
}

/// The project's apps as apps of that simulator, at an unreachable address.
pub(super) fn simulated_apps(settings: &Settings, service: &simulator::SimulatorSettings) -> Vec<App> {
    let client = || Credentials::Client {
        id: service.client_id.clone(),
        secret: service.client_secret.expose_secret().to_owned().into(),
    };
    let credentials = |configured: &App| match configured.credentials {
        Credentials::Agora { login, .. } => {
            Credentials::Agora { app_id: APP_ID.to_owned(), certificate: APP_CERTIFICATE.into(), login }
        }
        Credentials::Token(_) | Credentials::Client { .. } => client(),
    };
    let named: Vec<(String, Credentials, bool)> = match settings.apps.as_slice() {
        [] => vec![("default".to_owned(), client(), false)],
        apps => apps.iter().map(|app| (app.name.clone(), credentials(app), app.records.mark)).collect(),
    };
    let app = |(name, credentials, mark)| App {
        name,
        prefix: format!("http://localhost{}", service.prefix),
        credentials,
        limits: limits(settings),
        // The size of a message is checked with its mark. The simulator's own zone names the hours of its files.
        records: RecordSettings { mark, ..RecordSettings::default() },
        timeouts: Timeouts::default(),
    };
    named.into_iter().map(app).collect()
}

/// Starts the simulator on its own thread and returns apps that send to it. Both sides use the project's limits.
/// The project's credentials are not used.
fn simulate(
    settings: &Settings,
    clock: &Clock,
    ledger: Rc<LazyLedger>,
    fail_point: &FailPoint,
) -> anyhow::Result<CliApps> {
    let limits = limits(settings);
    let service = service(&limits);
    let prefix = service.prefix.clone();
    let customer = simulated_apps(settings, &service);
    let simulator = simulator::Simulator::new(service, Clock::real());

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the simulator cannot listen")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    std::thread::Builder::new().name("simulator".to_owned()).spawn(move || {
        let serve = async {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => simulator.serve(listener, std::future::pending()).await,
                Err(error) => Err(error),
            }
        };
        if let Ok(Err(error)) | Err(error) = Clock::real().block_on(serve) {
            tracing::error!("the simulator has stopped: {error}");
        }
    })?;

    let deliveries = customer
        .into_iter()
        .map(|app| {
            let app = App { prefix: format!("http://{address}{prefix}"), ..app };
            let delivery = Delivery::new(&app, clock.clone(), None)?.with_approval(&settings.approval);
            // The simulator's port changes with every run.
            let key = format!("{SIMULATOR}/{}", app.name);
            Ok(Rc::new(delivery.with_ledger(Rc::clone(&ledger), &key).alone().failing_at(fail_point.clone())))
        })
        .collect::<Result<_, ClientError>>()
        .context("the simulator's address")?;
    Ok(CliApps { deliveries, ledger: Some(ledger) })
}
