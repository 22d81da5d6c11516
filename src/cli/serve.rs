//! `mooncast serve`

use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, Project, ServeSettings, Settings};
use crate::daemon::{self, Alerts, Event, Loader, Order, Registry, Reread, Setup, Watch};
use crate::host::OWN_BINARY;
use crate::ledger::Ledger;
use crate::web::{self, House};

use super::apps;
use super::progress::Terminal;
use super::run::{Grants, fail_point};
use super::{AppArgs, Exit, Global};

/// Runs the jobs that the project's scripts declare, until it is stopped.
///
/// SIGTERM and SIGINT (Ctrl-C) let nothing new begin and finish what is in flight; a second one ends at once. SIGHUP looks
/// at all files again.
///
/// `[serve] stop_within` (30 s) is the most that a stop takes.
///
/// Exit status: 0 stopped; 2 usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Send to the built-in simulator, whatever is configured
    #[arg(long)]
    simulator: bool,
    /// Listen for the requests of hooks at this address of this machine, such as 127.0.0.1:7311 (port 0: any that is
    /// free); over `[serve] listen`
    #[arg(long, value_name = "ADDR", value_parser = ServeSettings::listen_at)]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: Grants,
}

pub(super) fn run(args: Serve, global: &Global) -> anyhow::Result<Exit> {
    let project = match &global.project {
        Some(folder) => Project::at(folder).with_context(|| format!("--project {}", folder.display()))?,
        None => Project::of(None).context("the current folder")?,
    };
    let environment = Environment::of_process();
    let flags = AppFlags { offline: args.simulator, ..args.app.into() };
    let mut settings = Settings::load(&project, &environment, &flags)?;
    let granted = args.grants.permissions()?;
    settings.permissions.extend(granted.clone());
    let alerts = settings.alerts.clone();
    let address = args.listen.or(settings.serve.listen);
    let name = project.root.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let clock = Clock::real();
    let fail_point = fail_point(&environment)?;
    let apps = apps::choose_for(daemon::COMMAND, &project, &settings, args.simulator, &clock, &fail_point)?;
    let book = apps.book.as_ref().context("there is no ledger")?;
    clock.block_on(async {
        // Heard from the first moment on: what is begun before is little.
        let (orders, heard) = daemon::listen().context("signals cannot be listened for")?;
        let open = book.open().await?;
        let listener = match address {
            Some(address) => {
                let listener = TcpListener::bind(address).await;
                Some(listener.with_context(|| format!("{address} cannot be listened at"))?)
            }
            None => None,
        };
        let loader = Loader::new(project.clone(), apps.deliveries.clone(), clock.clone(), OWN_BINARY.into());
        let registry = Registry::new(loader, settings);
        let place = project.clone();
        let reread = Reread::new(move || {
            let mut settings = Settings::load(&place, &Environment::of_process(), &flags)?;
            settings.permissions.extend(granted.clone());
            Ok(settings)
        });
        let watch = Watch::new(registry.clone(), reread);
        let scripts = project.root.join("scripts");
        registry.load_all().await.with_context(|| format!("{}", scripts.display()))?;
        let mut beside = tokio::task::JoinSet::new();
        beside.spawn_local(daemon::keep_status(registry.clone(), open.ledger.clone()));
        if let Some(interval) = daemon::systemd::watchdog_interval() {
            beside.spawn_local(daemon::systemd::watchdog(clock.clone(), interval));
        }
        match listener {
            Some(listener) => {
                let address = listener.local_addr().context("the listener")?;
                tracing::info!(%address, "listening for the requests of hooks");
                let house = house(&registry, &open.ledger, &clock, orders);
                beside.spawn_local(async move {
                    if let Err(error) = web::serve(listener, house).await {
                        tracing::error!("nothing listens for the requests of hooks any more: {error}");
                    }
                });
            }
            None if registry.jobs().iter().any(|registered| registered.job.hook().is_some()) => {
                tracing::warn!(
                    "hooks are declared, and nothing listens for their requests: say where with `[serve] listen` or --listen"
                );
            }
            None => {}
        }
        let alerts = alerts.map(|alerts| Alerts::new(alerts, open.ledger.clone(), clock.clone(), name));
        let alerts = alerts.transpose().map_err(anyhow::Error::msg)?.map(Rc::new);
        if let Some(alerts) = &alerts {
            let (posts, watches, apps) = (Rc::clone(alerts), Rc::clone(alerts), apps.deliveries.clone());
            beside.spawn_local(async move { posts.run().await });
            beside.spawn_local(async move { watches.watch_quotas(&apps).await });
        }
        let setup = Setup {
            project: project.clone(),
            registry,
            apps: apps.deliveries.clone(),
            ledger: open.ledger.clone(),
            owner: open.owner.clone(),
            clock: clock.clone(),
            program: OWN_BINARY.into(),
            output: Rc::new(Terminal::default()),
            poll: daemon::POLL,
            instead: None,
            told: Box::new(move |event| Box::pin(tell(alerts.clone(), event))),
        };
        beside.spawn_local(watch.run());
        daemon::serve(setup, heard).await?;
        drop(beside);
        for delivery in &apps.deliveries {
            delivery.let_go().await;
        }
        tracing::info!("stopped");
        Ok(Exit::Delivered)
    })?
}

/// What the listener needs of the daemon.
fn house(registry: &Registry, ledger: &Ledger, clock: &Clock, orders: UnboundedSender<Order>) -> House {
    let (jobs, settings) = (registry.clone(), registry.clone());
    House {
        find: Box::new(move |name| Some(jobs.find(name)?.job)),
        settings: Box::new(move || settings.settings()),
        ledger: ledger.clone(),
        clock: clock.clone(),
        nudge: Box::new(move || {
            // A daemon that hears no more has ended.
            let _ = orders.send(Order::Heed);
        }),
    }
}

/// Tells people of an event, where they want to be told. The log has it already.
async fn tell(alerts: Option<Rc<Alerts>>, event: Event) {
    if let Some(alerts) = alerts {
        alerts.raise(event.alert()).await;
    }
}
