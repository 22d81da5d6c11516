//! `mooncast alerts`: tries the receivers of alerts.

use std::io::Write as _;

use anyhow::bail;
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::daemon::{AlertTest, test_alerts};
use crate::ledger::Ledger;

use super::{Exit, GlobalArgs, actor, apps};

/// Tries the receivers of alerts that the settings name.
#[derive(Debug, Args)]
pub(super) struct AlertsArgs {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Post a test alert to each receiver now, and show what it answered
    Test {
        /// Only to the receiver of this name
        receiver: Option<String>,
    },
}

pub(super) fn run(args: &AlertsArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let AlertsCommand::Test { receiver } = &args.command;
    let project = global.project()?;
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let without = &settings.alerts_without_url;
    let asked = |name: &String| receiver.as_ref().is_none_or(|wanted| wanted == name);
    if let Some((_, problem)) = without.iter().find(|(name, _)| asked(name)) {
        bail!("{problem}");
    }
    let names: Vec<String> =
        settings.alerts.iter().map(|one| &one.name).chain(without.keys()).cloned().collect();
    if names.is_empty() {
        bail!(
            "no receiver of alerts is set; set `url` under [alerts] in mooncast.toml or MOONCAST_ALERTS_URL"
        );
    }
    let location = apps::location(&project, &settings, settings.simulator);
    let mut receivers = settings.alerts;
    if let Some(wanted) = receiver.as_deref() {
        if !names.iter().any(|name| name == wanted) {
            bail!("there is no receiver `{wanted}`; there are: {}", names.join(", "));
        }
        receivers.retain(|one| one.name == wanted);
    }
    let receivers_named = receivers.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    let act = actor::act("alerts.test", receivers_named);
    let clock = Clock::real();
    let results = clock.block_on(async {
        let tests =
            async { test_alerts(receivers, &clock, &project.title()).await.map_err(anyhow::Error::msg) };
        // A test makes no ledger.
        if location.missing_file().is_some() {
            return tests.await;
        }
        Ledger::open_at(&location, clock.clone()).await?.audited_first(act, tests).await
    })?;
    let mut out = std::io::stdout().lock();
    let mut exit = Exit::Delivered;
    for AlertTest { receiver, host, result } in results? {
        match result {
            Ok(()) => writeln!(out, "{receiver}: {host} took the test alert")?,
            Err(why) => {
                exit = Exit::Failed;
                writeln!(out, "{receiver}: {host} did not take the test alert: {why}")?;
            }
        }
    }
    Ok(exit)
}
