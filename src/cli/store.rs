//! `mooncast store`: shows, checks, migrates and copies the ledger's store.

use std::convert::Infallible;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytesize::ByteSize;
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::clock::Clock;
use crate::config::{Environment, FILE_NAME, STATE_FOLDER, STORE_VARIABLE, Settings, is_server};
use crate::ledger::{LEDGER_FILE, Ledger, LedgerLocation, StoreInspection};
use crate::message::{counted, counted_as};

use super::findings::FindingsReport;
use super::next::FollowUpCommands;
use super::{Exit, GlobalArgs, actor, apps, backup};

/// The clock difference to a server above which a warning is shown. Hosts use the server's clock, so the difference
/// does no harm.
const CLOCK_MARGIN: Duration = Duration::from_secs(5);

/// Checks, updates, copies, backs up or restores the ledger's store.
///
/// The store is the project's: a file in .mooncast, or the Postgres server that `MOONCAST_STORE` or `store` in
/// mooncast.toml names.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// Use the simulator's ledger
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Update the store to the newest version that this program knows
    ///
    /// Every command updates a store when it opens it. Use this command to update the store before you replace hosts.
    Migrate,
    /// Show the store's location, check it for problems, and count its rows
    ///
    /// Exit status: 0 no problems; 2 the check found a problem.
    Check,
    /// Copy a whole ledger into an empty store: from a file to a Postgres server, or back
    ///
    /// FROM and TO are each a folder (a project's, or the one with ledger.db), a postgres:// address, or env:NAME. With
    /// env:NAME, the address is in the variable NAME or in the file that `NAME_FILE` names. Prefer env:NAME: every user
    /// of the machine can see the arguments of a process, and an address may contain a password. `MOONCAST_STORE`
    /// means `env:MOONCAST_STORE`.
    ///
    /// First stop all processes that use FROM or TO; the command refuses to copy if one does. It reads the copy back
    /// and compares it with the original.
    ///
    /// Exit status: 0 the ledger was copied; 2 it was not, and TO is unchanged.
    Copy {
        /// The ledger to copy
        from: StoreAddress,
        /// The store to copy it to
        to: StoreAddress,
    },
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Accept(backup::AcceptArgs),
}

/// One end of a copy, as typed. It may contain a password.
#[derive(Debug, Clone)]
struct StoreAddress(SecretString);

impl FromStr for StoreAddress {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned().into()))
    }
}

impl StoreAddress {
    /// The location that the text names. `what` names it in errors.
    fn location(&self, what: &str, environment: &Environment) -> anyhow::Result<LedgerLocation> {
        let text = self.0.expose_secret();
        let variable = text.strip_prefix("env:").or_else(|| (text == STORE_VARIABLE).then_some(text));
        if let Some(variable) = variable {
            let Some(address) = environment.value(variable)? else {
                bail!("{what}: {variable} is not set, and neither is {variable}_FILE")
            };
            if !is_server(&address) {
                bail!(
                    "{what}: {variable} is not the address of a Postgres server, postgres://USER:PASSWORD@HOST/DATABASE"
                )
            }
            return Ok(LedgerLocation::Server(address.into()));
        }
        if text.contains("://") {
            if !is_server(text) {
                bail!("{what}: an address must begin with postgres://")
            }
            return Ok(LedgerLocation::Server(self.0.clone()));
        }
        Ok(LedgerLocation::Folder(folder(Path::new(text))))
    }
}

/// The folder of a ledger, which can be given by its file, its folder or its project.
fn folder(path: &Path) -> PathBuf {
    if path.file_name().is_some_and(|name| name == LEDGER_FILE) {
        return path.parent().map_or_else(PathBuf::new, Path::to_owned);
    }
    let of_project = path.join(STATE_FOLDER);
    let is_project = path.join(FILE_NAME).is_file() || of_project.join(LEDGER_FILE).is_file();
    if is_project && !path.join(LEDGER_FILE).is_file() { of_project } else { path.to_owned() }
}

pub(super) fn run(args: StoreArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let environment = Environment::of_process();
    let clock = Clock::real();
    match args.command {
        StoreCommand::Copy { from, to } => {
            let (from, to) = (from.location("FROM", &environment)?, to.location("TO", &environment)?);
            if let Some(file) = from.missing_file() {
                bail!("FROM: there is no {}", file.display())
            }
            clock.block_on(copy(&from, &to, &clock))?
        }
        command => {
            let project = global.project()?;
            let settings = Settings::load_offline(&project, &environment)?;
            let location = apps::location(&project, &settings, args.simulator);
            let state = apps::state(&project, &settings, args.simulator);
            let next = FollowUpCommands::new(global, &project, args.simulator || settings.simulator);
            let point = apps::fail_point(&environment)?;
            clock.block_on(async {
                match command {
                    StoreCommand::Migrate => migrate(&location, &clock).await,
                    StoreCommand::Backup(args) => backup::backup(args, &location, &clock, &point).await,
                    StoreCommand::Restore(args) => {
                        backup::restore(args, &location, &state, &clock, &point, &next).await
                    }
                    StoreCommand::Accept(args) => backup::accept(args, &location, &clock, &next).await,
                    _ => check(&location, &clock).await,
                }
            })?
        }
    }
}

async fn migrate(location: &LedgerLocation, clock: &Clock) -> anyhow::Result<Exit> {
    let (ledger, found, now) = Ledger::migrate(location, clock.clone()).await?;
    let path = ledger.path().display();
    // A store that was created is empty, so that a ledger can be copied into it.
    if found > 0 && found < now {
        let act = actor::act("ledger.migrate", path.to_string());
        ledger.append_audit(&act.with(json!({ "from": found, "to": now }))).await?;
    }
    let known = Ledger::inspect(location, clock).await?.known;
    let said = match found {
        _ if now > known => {
            format!(
                "{path}: version {now}, newer than {known}, the newest version that this program knows; this program can use it"
            )
        }
        _ if found == now => format!("{path}: already at version {now}, the newest that this program knows"),
        0 => format!("{path}: created with version {now}"),
        _ => format!("{path}: updated from version {found} to {now}"),
    };
    writeln!(std::io::stdout(), "{said}")?;
    Ok(Exit::Delivered)
}

async fn check(location: &LedgerLocation, clock: &Clock) -> anyhow::Result<Exit> {
    if let Some(file) = location.missing_file() {
        bail!("there is no ledger yet: no {}", file.display())
    }
    let mut report = FindingsReport::default();
    look_and_examine(location, clock, &mut report).await;
    Ok(if report.has_errors() { Exit::Usage } else { Exit::Delivered })
}

/// Inspects a store from outside, and checks its contents if this program can use it as it is. Returns whether it can.
pub(super) async fn look_and_examine(
    location: &LedgerLocation,
    clock: &Clock,
    report: &mut FindingsReport,
) -> bool {
    let usable = look(location, clock, report).await;
    if usable {
        examine(location, clock, report).await;
    }
    usable
}

/// Inspects a store from outside. Returns whether this program can use it as it is.
async fn look(location: &LedgerLocation, clock: &Clock, report: &mut FindingsReport) -> bool {
    let look = match Ledger::inspect(location, clock).await {
        Ok(look) => look,
        Err(error) => {
            report.line(false, "store", &error.to_string());
            return false;
        }
    };
    let StoreInspection { path, version, least, known, size, server } = look;
    let path = path.display();
    match &server {
        Some(server) => {
            let tls =
                server.tls.as_deref().unwrap_or("no TLS: others on the network can read and change the data");
            report.line(true, "store", &format!("{path} ({}, {tls})", server.version));
        }
        None => report.line(true, "store", &format!("{path} (SQLite, for programs on this machine)")),
    }
    let versions = format!("version {version}; this program knows versions up to {known}");
    let usable = version > 0 && version >= known && least <= known;
    let schema = match version {
        _ if usable => versions,
        _ if least > known => format!("{versions}; use the newer mooncast that wrote this store"),
        0 => "the store does not exist yet; `mooncast store migrate`, or the first command that opens it, creates it".to_owned(),
        _ => format!(
            "{versions}; `mooncast store migrate`, or the next command that opens it, updates it"
        ),
    };
    // A store that does not exist yet, or is older, is not an error.
    report.line(least <= known, "schema", &schema);
    if let Some(server) = server {
        let apart = format!(
            "differs from this machine's clock by {:.1} s; hosts use the store's clock",
            server.apart.as_secs_f64()
        );
        report.line(server.apart <= CLOCK_MARGIN, "clock of the store", &apart);
    }
    report.line(true, "size", &ByteSize(size).to_string());
    usable
}

async fn examine(location: &LedgerLocation, clock: &Clock, report: &mut FindingsReport) {
    let opened = Ledger::open_at(location, clock.clone()).await;
    let ledger = match opened {
        Ok(ledger) => ledger,
        Err(error) => return report.line(false, "access", &error.to_string()),
    };
    report.line(true, "access", "readable and writable");
    let examined = match ledger.examine().await {
        Ok(examined) => examined,
        Err(error) => return report.line(false, "rows", &error.to_string()),
    };
    let rows = examined.rows.iter().filter(|(_, rows)| *rows > 0);
    let rows: Vec<String> = rows.map(|(table, rows)| format!("{table} {rows}")).collect();
    report.line(true, "rows", &if rows.is_empty() { "none yet".to_owned() } else { rows.join(", ") });
    match ledger.pending_restore().await {
        Ok(Some(pending)) => report.line(true, "restore", &backup::line(&pending)),
        Ok(None) => {}
        Err(error) => return report.line(false, "restore", &error.to_string()),
    }
    for fault in &examined.faults {
        report.line(false, "rows", fault);
    }
    if examined.faults.is_empty() {
        report.line(true, "rows", "the counts match the rows, and no send is left in flight");
    }
}

async fn copy(from: &LedgerLocation, to: &LedgerLocation, clock: &Clock) -> anyhow::Result<Exit> {
    let copied =
        Ledger::transfer(from, to, clock, Some(&actor::actor())).await.context("nothing was copied")?;
    let mut out = std::io::stdout();
    writeln!(out, "{:<16} {:>10}  SHA-256", "table", "rows")?;
    for table in &copied.tables {
        writeln!(out, "{:<16} {:>10}  {}", table.name, table.rows, &table.hash[..16])?;
    }
    let (from, to, rows) = (copied.from.display(), copied.to.display(), copied.rows());
    writeln!(out, "{from} -> {to}: {}, read back and compared", counted(rows, "row"))?;
    if copied.in_doubt > 0 {
        let doubts = counted_as(
            copied.in_doubt,
            "single send of a process that died is",
            "single sends of processes that died are",
        );
        writeln!(out, "{doubts} in doubt; see `mooncast runs list`")?;
    }
    Ok(Exit::Delivered)
}
