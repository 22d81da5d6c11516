//! Opens the ledger with the app of a broadcast, which resuming and recalling need.

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, Project, Settings};
use crate::delivery::FailPoint;

use super::super::apps::{self, CliApps};
use super::ledger_location;

/// The project's apps, if anything was sent from it before.
pub(super) fn apps(
    project: &Project,
    flags: AppFlags,
    simulator: bool,
    clock: &Clock,
) -> anyhow::Result<CliApps> {
    let flags = AppFlags { offline: simulator, ..flags };
    let settings = Settings::load(project, &Environment::of_process(), &flags)?;
    ledger_location(project, &settings, simulator)?;
    apps::choose(project, &settings, simulator, clock, &FailPoint::default())
}
