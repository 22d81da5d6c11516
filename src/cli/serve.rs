//! `mooncast serve`

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::{
    AlertSettings, AppFlags, Environment, HostRoles, ListenAddress, Permissions, Project, ServeSettings,
    Settings,
};
use crate::control;
use crate::daemon::{
    self, AlertSender, Daemon, DaemonEvent, DaemonSetup, DaemonSignal, Rehearser, ScriptLoader,
    ScriptRegistry, ScriptWatcher, SettingsReload,
};
use crate::delivery::Delivery;
use crate::ledger::{Instance, Ledger};
use crate::run::OWN_BINARY;
use crate::web::{self, DaemonHandle, ListenerSetup, LogTail, PrometheusMetrics, Tls};

use super::apps::{self, fail_point};
use super::grants::GrantArgs;
use super::progress::TerminalOutput;
use super::{AppArgs, Exit, GlobalArgs, actor, tokens};

/// Runs the jobs that the project's scripts declare, until you stop it.
///
/// On SIGTERM or SIGINT (Ctrl-C), the daemon starts no new runs and waits for the active ones, at most
/// `[serve] stop_within` (30 s). A second signal stops it at once. On SIGHUP, it scans all files again.
///
/// Exit status: 0 stopped; 2 usage or configuration.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Send to the built-in simulator, even if an app is configured
    #[arg(long)]
    simulator: bool,
    /// The address of the page, its API and the hooks, or `nowhere`. Default: 127.0.0.1:7311. Port 0 is any free port.
    /// Overrides `[serve] listen`
    #[arg(long, value_name = "ADDR", value_parser = ListenAddress::of)]
    listen: Option<ListenAddress>,
    /// The roles of this host in a fleet, separated by commas: schedule, send, page. Default: all. Overrides
    /// `[serve] roles`
    #[arg(long, value_name = "ROLES", value_parser = roles)]
    roles: Option<HostRoles>,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: GrantArgs,
}

/// The watcher of the project's scripts. It also watches the path that was given for the project.
fn watch(
    global: &GlobalArgs,
    project: &Project,
    registry: &ScriptRegistry,
    reread: SettingsReload,
) -> ScriptWatcher {
    let watch = ScriptWatcher::new(registry.clone(), reread);
    match named_place(global, project) {
        Some(named) => watch.named(named),
        None => watch,
    }
}

/// The path that was given for the project, which may contain links: that of `--project`, or the shell's current
/// folder.
fn named_place(global: &GlobalArgs, project: &Project) -> Option<PathBuf> {
    let named = match &global.project {
        Some(named) => std::path::absolute(named).ok()?,
        None => PathBuf::from(std::env::var_os("PWD")?),
    };
    let leads_here = named.canonicalize().is_ok_and(|leads| leads == project.root);
    (leads_here && named != project.root).then_some(named)
}

/// Replaces settings of the file by flags.
fn over(serve: &mut ServeSettings, listen: Option<ListenAddress>, roles: Option<HostRoles>) {
    serve.listen = listen.unwrap_or(serve.listen);
    serve.roles = roles.unwrap_or(serve.roles);
}

/// The flags with which `mooncast rehearse` has the environment, the app and the permissions of this daemon.
fn rehearsal_flags(args: &ServeArgs, project: &Project, simulated: bool) -> Vec<String> {
    let mut flags = args.app.flags();
    flags.extend(args.grants.flags());
    if let Some(env) = &project.env {
        flags.extend(["--env".to_owned(), env.to_string()]);
    }
    // Without an app, the simulator's lists are read. It knows no groups.
    let lists = match (args.simulator, simulated) {
        (true, _) => "--simulator",
        (false, true) => "--read-lists",
        (false, false) => "--check-groups",
    };
    flags.push(lists.to_owned());
    flags
}

fn roles(text: &str) -> Result<HostRoles, String> {
    HostRoles::of(text.split(','))
}

pub(super) fn run(args: &ServeArgs, global: &GlobalArgs, log: &Arc<LogTail>) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let environment = Environment::of_process();
    let flags = AppFlags { offline: args.simulator, ..args.app.clone().into() };
    let mut settings = Settings::load(&project, &environment, &flags)?;
    let rehearsal_flags = rehearsal_flags(args, &project, settings.simulator);
    let granted = args.grants.permissions()?;
    settings.permissions.extend(granted.clone());
    let alerts = receivers(&settings)?;
    over(&mut settings.serve, args.listen, args.roles);
    let (serve, simulator) = (settings.serve.clone(), args.simulator || settings.simulator);
    let secure = serve.tls.as_ref().map(Tls::load).transpose().map_err(anyhow::Error::msg)?;
    let address = serve.address().map_err(anyhow::Error::msg)?;
    // The recorder must be installed before any metric is created.
    let figures =
        PrometheusMetrics::begin().map_err(anyhow::Error::msg).context("cannot start the metrics")?;
    let clock = Clock::real();
    let point = fail_point(&environment)?;
    let apps = apps::choose_for(control::DAEMON, &project, &settings, args.simulator, &clock, &point)?;
    let ledger = apps.ledger.as_ref().context("there is no ledger")?;
    let state = apps::state(&project, &settings, args.simulator);
    keep_log(log, &state, serve.keep_log);
    clock.block_on(async {
        // Signals are handled from here on. Little has started before.
        let (signals, received) = daemon::listen().context("cannot listen for signals")?;
        let open = ledger.open().await?;
        one_app_set(&open.ledger, &open.instance, &apps.deliveries, simulator).await?;
        let listening = listen(address, &serve, secure).await?;
        let loader = ScriptLoader::new(project.clone(), apps.deliveries.clone(), clock.clone(), OWN_BINARY.into());
        let registry = ScriptRegistry::new(loader, settings);
        let reread = reload(project.clone(), flags, granted, args.listen, args.roles);
        let alerts = AlertSender::new(alerts, open.ledger.clone(), clock.clone(), project.title());
        let alerts = Rc::new(alerts.map_err(anyhow::Error::msg)?);
        let reread = reread.taking(take(Rc::clone(&alerts), apps.deliveries.clone(), simulator));
        let watch = watch(global, &project, &registry, reread);
        registry.load_all().await.with_context(|| project.root.join("scripts").display().to_string())?;
        let mut beside = JoinSet::new();
        post(&alerts, &apps.deliveries, &mut beside);
        beside.spawn_local(figures.clone().keep(clock.clone()));
        beside.spawn_local(daemon::keep_status(registry.clone(), open.ledger.clone()));
        if let Some(interval) = daemon::systemd::watchdog_interval() {
            beside.spawn_local(daemon::systemd::watchdog(clock.clone(), interval));
        }
        let setup = DaemonSetup {
            project: project.clone(),
            registry,
            apps: apps.deliveries.clone(),
            ledger: open.ledger.clone(),
            instance: open.instance.clone(),
            roles: serve.roles,
            clock: clock.clone(),
            program: OWN_BINARY.into(),
            rehearser: Rc::new(Rehearser::new(OWN_BINARY.into(), rehearsal_flags)),
            output: Rc::new(TerminalOutput::beside_log()),
            poll: daemon::POLL,
            instead: None,
            report: Box::new(move |event| Box::pin(raise_alert(Rc::clone(&alerts), event))),
        };
        beside.spawn_local(watch.run());
        let [registry, jobs, reacting, settings] = std::array::from_fn(|_| setup.registry.clone());
        let daemon = Daemon::new(setup);
        match listening {
            Some(listening) => {
                let handle = DaemonHandle {
                    project: project.name(),
                    env: project.env.clone(),
                    simulator,
                    find: Box::new(move |name| Some(jobs.find(name)?.job)),
                    reactions: Box::new(move || reacting.reactions()),
                    inputs: Box::new(daemon.inputs()),
                    settings: Box::new(move || settings.settings()),
                    serve,
                    apps: apps.deliveries.clone(),
                    ledger: open.ledger.clone(),
                    state,
                    clock: clock.clone(),
                    unready: Box::new(daemon.unready()),
                    rehearse: Box::new(daemon.rehearsals()),
                    figures,
                    log: Arc::clone(log),
                    wake: Rc::new(move || {
                        // The send fails only after the daemon has ended.
                        let _ = signals.send(DaemonSignal::PollCommands);
                    }),
                };
                show_tokens(&listening, &open.ledger).await?;
                beside.spawn_local(async move {
                    if let Err(error) = web::serve(listening, handle).await {
                        tracing::error!("the listener failed, so the page, the API and the hooks are not reachable; restart the daemon: {error}");
                    }
                });
            }
            None => warn_unreachable(&registry),
        }
        daemon.serve(received).await?;
        drop(beside);
        apps.release().await;
        tracing::info!("stopped");
        log.flush();
        Ok(Exit::Delivered)
    })?
}

/// Reads the settings again, with what the command line lays over them.
fn reload(
    project: Project,
    flags: AppFlags,
    granted: Permissions,
    listen: Option<ListenAddress>,
    roles: Option<HostRoles>,
) -> SettingsReload {
    SettingsReload::new(move || {
        let mut settings = Settings::load(&project, &Environment::of_process(), &flags)?;
        settings.permissions.extend(granted.clone());
        over(&mut settings.serve, listen, roles);
        Ok(settings)
    })
}

/// Keeps the log in the state folder. If that fails, the daemon runs without it.
fn keep_log(log: &LogTail, state: &Path, most: u64) {
    if most == 0 {
        return;
    }
    if let Err(error) = log.keep(state, most) {
        let folder = state.display();
        tracing::warn!("the log is kept in memory only, because {folder} cannot hold its file: {error}");
    }
}

/// The receivers of alerts. Each must have an address.
fn receivers(settings: &Settings) -> anyhow::Result<Vec<AlertSettings>> {
    match settings.alerts_without_url.values().next() {
        Some(problem) => anyhow::bail!("{problem}"),
        None => Ok(settings.alerts.clone()),
    }
}

/// Warns if scripts declare jobs that only requests to a listener start.
fn warn_unreachable(registry: &ScriptRegistry) {
    if registry.jobs().iter().any(|registered| registered.job.has_inputs()) {
        tracing::warn!(
            "scripts declare hooks or `im.on` jobs, but this daemon does not listen for requests and callbacks; set an address with `[serve] listen` or --listen"
        );
    }
}

/// Makes sure that the living daemons of a ledger send through the same apps, because the daemons share the
/// scheduled times of each job. The simulator's apps are always the same.
async fn one_app_set(
    ledger: &Ledger,
    instance: &Instance,
    apps: &[Rc<Delivery>],
    simulator: bool,
) -> anyhow::Result<()> {
    if simulator {
        return Ok(());
    }
    let mut own: Vec<&str> = apps.iter().map(|app| app.key()).collect();
    own.sort_unstable();
    let own = own.join(", ");
    if let Some(other) = ledger.claim_apps(instance, &own).await? {
        bail!(
            "another `mooncast serve` (process {}) uses this ledger and sends through {}, but this one would send through {own}; together they would split each job's scheduled times between those apps. Stop the other one, or give this one its own project folder or `store`",
            other.pid,
            other.apps
        );
    }
    Ok(())
}

/// Opens the socket, if one is wanted. It is not an error if another daemon has the default address.
async fn listen(
    address: Option<SocketAddr>,
    serve: &ServeSettings,
    tls: Option<Tls>,
) -> anyhow::Result<Option<ListenerSetup>> {
    let Some(address) = address else { return Ok(None) };
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) if serve.listen == ListenAddress::Default => {
            tracing::warn!(%address, "the daemon runs without the page, because it cannot listen at the page's address ({error}); set another address with `[serve] listen` or --listen");
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot listen at {address}")),
    };
    let listening = ListenerSetup { listener, tls, peers: serve.trusted_proxies.clone() };
    let address = listening.address().context("the listener")?;
    let scheme = if listening.tls.is_some() { "https" } else { "http" };
    tracing::info!(%address, "listening: the page is at {scheme}://{address}/");
    Ok(Some(listening))
}

/// Creates the tokens of the page if there are none, and shows them once. They are shown only on a terminal,
/// because other output may be stored.
async fn show_tokens(listening: &ListenerSetup, ledger: &Ledger) -> anyhow::Result<()> {
    if !ledger.tokens().await?.is_empty() {
        return Ok(());
    }
    if !std::io::stderr().is_terminal() {
        tracing::warn!("the page has no tokens yet: `mooncast tokens renew` makes tokens and shows them");
        return Ok(());
    }
    let minted = web::FIRST_TOKENS.map(|(name, role)| web::mint(name, role, name, None));
    let kept: Vec<_> = minted.iter().map(|one| one.kept.clone()).collect();
    let names = web::FIRST_TOKENS.map(|(name, _)| name).join(", ");
    if ledger.audited(actor::act("token.add", names), ledger.add_first_tokens(&kept)).await? {
        eprintln!("{}", tokens::shown(&minted, Some(listening.address()?)));
    }
    Ok(())
}

/// Starts the alert sender and its quota watch beside the daemon.
fn post(alerts: &Rc<AlertSender>, apps: &[Rc<Delivery>], beside: &mut JoinSet<()>) {
    let (posts, watches, apps) = (Rc::clone(alerts), Rc::clone(alerts), apps.to_vec());
    beside.spawn_local(async move { posts.run().await });
    beside.spawn_local(async move { watches.watch_quotas(&apps).await });
}

/// Applies changed limits and alerts, and returns the changes that still need a restart.
fn take(
    alerts: Rc<AlertSender>,
    apps: Vec<Rc<Delivery>>,
    simulator: bool,
) -> impl Fn(&Settings, &Settings) -> Vec<String> {
    move |before, new| {
        let mut restart = Vec::new();
        for app in &apps {
            app.set_approval(&new.approval);
            // All apps of the simulator have the limits of the first one.
            let of = |settings: &Settings| {
                let named = settings.apps.iter().find(|other| other.name == app.name());
                let found = if simulator { settings.apps.first() } else { named };
                found.map(|app| app.limits.clone())
            };
            let (Some(limits), before) = (of(new), of(before)) else { continue };
            if before.as_ref() != Some(&limits) {
                let name = app.name();
                restart.extend(app.set_limits(&limits).into_iter().map(|what| format!("app {name}: {what}")));
                if simulator {
                    restart.push("the limits of the simulator itself".to_owned());
                }
            }
        }
        if let Err(why) = alerts.set(new.alerts.clone()) {
            restart.push(format!("[alerts] ({why})"));
        }
        restart
    }
}

/// Raises an alert for an event. The log has the event already.
async fn raise_alert(alerts: Rc<AlertSender>, event: DaemonEvent) {
    alerts.raise(event.alert()).await;
}
