//! `mooncast hosts`: the daemons that work on the ledger.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::control::HostView;
use crate::ledger::Ledger;

use super::runs::{ledger_location, local_text};
use super::{Exit, GlobalArgs};

/// Lists the daemons that use the ledger: the machine and the roles of each, whether it is alive, and whether it has
/// the same scripts as the others.
///
/// Exit status: 0 all are alive and have the same scripts; 2 usage or configuration; 3 a daemon sends no heartbeat or
/// has other scripts.
#[derive(Debug, Args)]
pub(super) struct HostsArgs {
    /// Use the simulator's ledger, that of `mooncast serve --simulator`
    #[arg(long)]
    simulator: bool,
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &HostsArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let location = ledger_location(&project, &settings, args.simulator || settings.simulator)
        .context("no daemon has run in this project yet")?;
    let clock = Clock::real();
    clock.block_on(async {
        let ledger = Ledger::open_at(&location, clock.clone()).await?;
        let hosts = HostView::all(&ledger.hosts().await?);
        let out = &mut std::io::stdout().lock();
        if args.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&hosts)?)?;
        } else {
            list(out, &hosts)?;
        }
        let well = hosts.iter().all(|host| host.alive && !host.differs);
        Ok(if well { Exit::Delivered } else { Exit::Undelivered })
    })?
}

fn list(out: &mut impl Write, hosts: &[HostView]) -> anyhow::Result<()> {
    if hosts.is_empty() {
        writeln!(out, "no daemon uses this ledger; to start one: `mooncast serve`")?;
        return Ok(());
    }
    writeln!(
        out,
        "{:<24} {:>8}  {:<9} {:<20} {:<10} {:<26} state",
        "host", "process", "version", "roles", "scripts", "since"
    )?;
    for host in hosts {
        let state = match (host.alive, host.differs) {
            (false, _) => "silent",
            (true, true) => "alive, but its scripts differ from those of most hosts",
            (true, false) => "alive",
        };
        let scripts: String = host.scripts.chars().take(8).collect();
        writeln!(
            out,
            "{:<24} {:>8}  {:<9} {:<20} {scripts:<10} {:<26} {state}",
            host.host,
            host.pid,
            host.version,
            host.roles.join(","),
            local_text(&host.since)
        )?;
    }
    Ok(())
}
