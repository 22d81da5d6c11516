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

use crate::clock::Clock;
use crate::config::{Environment, FILE_NAME, STATE_FOLDER, STORE_VARIABLE, Settings, is_server};
use crate::ledger::{LEDGER_FILE, Ledger, LedgerLocation, StoreInspection};
use crate::message::{counted, counted_as};

use super::findings::FindingsReport;
use super::next::FollowUpCommands;
use super::{Exit, GlobalArgs, apps, backup};

/// The clock difference to a server above which a warning is shown. Hosts use the server's clock, so the difference
/// does no harm.
const CLOCK_MARGIN: Duration = Duration::from_secs(5);

/// Looks at the ledger's store, brings it to the newest version, copies it, backs it up or restores it.
///
/// The store is the project's: a file in .mooncast, or the Postgres server that `MOONCAST_STORE` or `store` in
/// mooncast.toml names.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// That of what was sent to the simulator
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Bring the store to the newest version that this program knows
    ///
    /// Every command does that when it opens a store. By hand it is done before hosts are replaced, while nobody waits.
    Migrate,
    /// Say which store it is and whether it is well, and count what is in it
    ///
    /// Exit status: 0 all is well; 2 something is not.
    Check,
    /// Copy a whole ledger into a store where nothing is: from a file to a Postgres server, or back
    ///
    /// FROM and TO are each a folder (a project's, or the one with ledger.db), a postgres:// address, or env:NAME for an
    /// address in the variable NAME, or in the file that `NAME_FILE` names: the list of processes shows addresses,
    /// and passwords in them, to every user of the machine. `MOONCAST_STORE` alone is short for `env:MOONCAST_STORE`.
    ///
    /// Stop everything that uses either of them before; it refuses where somebody does. What was copied is read back and
    /// compared before it counts.
    ///
    /// Exit status: 0 it is copied; 2 it is not, and TO is as it was.
    Copy {
        /// Where the ledger is
        from: StoreAddress,
        /// Where it is to be
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
    fn place(&self, what: &str, environment: &Environment) -> anyhow::Result<LedgerLocation> {
        let text = self.0.expose_secret();
        let variable = text.strip_prefix("env:").or_else(|| (text == STORE_VARIABLE).then_some(text));
        if let Some(variable) = variable {
            let Some(address) = environment.value(variable)? else {
                bail!("{what}: {variable} is not set, and neither is {variable}_FILE")
            };
            if !is_server(&address) {
                bail!(
                    "{what}: {variable} is no Postgres server's address, postgres://USER:PASSWORD@HOST/DATABASE"
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
            let (from, to) = (from.place("FROM", &environment)?, to.place("TO", &environment)?);
            if let Some(file) = from.missing_file() {
                bail!("FROM: there is no {}", file.display())
            }
            clock.block_on(copy(&from, &to, &clock))?
        }
        command => {
            let project = global.project()?;
            let settings = Settings::load_offline(&project, &environment)?;
            let place = apps::place(&project, &settings, args.simulator);
            let state = apps::state(&project, &settings, args.simulator);
            let next = FollowUpCommands::new(global, &project, args.simulator || settings.simulator);
            let point = apps::fail_point(&environment)?;
            clock.block_on(async {
                match command {
                    StoreCommand::Migrate => migrate(&place, &clock).await,
                    StoreCommand::Backup(asked) => backup::backup(asked, &place, &clock, &point).await,
                    StoreCommand::Restore(asked) => {
                        backup::restore(asked, &place, &state, &clock, &point, &next).await
                    }
                    StoreCommand::Accept(asked) => backup::accept(asked, &place, &clock, &next).await,
                    _ => check(&place, &clock).await,
                }
            })?
        }
    }
}

async fn migrate(place: &LedgerLocation, clock: &Clock) -> anyhow::Result<Exit> {
    let (ledger, found, now) = Ledger::migrate(place, clock.clone()).await?;
    let path = ledger.path().display();
    let known = Ledger::inspect(place, clock).await?.known;
    let said = match found {
        _ if now > known => {
            format!(
                "{path}: version {now}, newer than the {known} that this program knows, which can work on it"
            )
        }
        _ if found == now => format!("{path}: version {now} already, the newest that this program knows"),
        0 => format!("{path}: made, version {now}"),
        _ => format!("{path}: from version {found} to {now}"),
    };
    writeln!(std::io::stdout(), "{said}")?;
    Ok(Exit::Delivered)
}

async fn check(place: &LedgerLocation, clock: &Clock) -> anyhow::Result<Exit> {
    if let Some(file) = place.missing_file() {
        bail!("there is no ledger yet: no {}", file.display())
    }
    let mut report = FindingsReport::default();
    look_and_examine(place, clock, &mut report).await;
    Ok(if report.is_unwell() { Exit::Usage } else { Exit::Delivered })
}

/// Inspects a store from outside, and checks its contents if this program can use it as it is.
pub(super) async fn look_and_examine(place: &LedgerLocation, clock: &Clock, report: &mut FindingsReport) {
    if look(place, clock, report).await {
        examine(place, clock, report).await;
    }
}

/// Inspects a store from outside. Returns whether this program can use it as it is.
async fn look(place: &LedgerLocation, clock: &Clock, report: &mut FindingsReport) -> bool {
    let look = match Ledger::inspect(place, clock).await {
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
            let tls = server.tls.as_deref().unwrap_or("no TLS: others on the way can read and change it");
            report.line(true, "store", &format!("{path} ({}, {tls})", server.version));
        }
        None => report.line(true, "store", &format!("{path} (SQLite, for the programs of this machine)")),
    }
    let versions = format!("version {version}, and this program knows up to {known}");
    let usable = version > 0 && version >= known && least <= known;
    let schema = match version {
        _ if usable => versions,
        _ if least > known => format!("{versions}: use the newer mooncast that wrote it"),
        0 => "none yet; `mooncast store migrate` makes it, and so does whoever opens it first".to_owned(),
        _ => format!(
            "{versions}; `mooncast store migrate` brings it there, and so does whoever opens it first"
        ),
    };
    // A store that does not exist yet, or is older, is not an error.
    report.line(least <= known, "schema", &schema);
    if let Some(server) = server {
        let apart =
            format!("{:.1} s apart from this machine's; hosts go by the store's", server.apart.as_secs_f64());
        report.line(server.apart <= CLOCK_MARGIN, "clock of the store", &apart);
    }
    report.line(true, "size", &ByteSize(size).to_string());
    usable
}

async fn examine(place: &LedgerLocation, clock: &Clock, report: &mut FindingsReport) {
    let opened = Ledger::open_at(place, clock.clone()).await;
    let ledger = match opened {
        Ok(ledger) => ledger,
        Err(error) => return report.line(false, "access", &error.to_string()),
    };
    report.line(true, "access", "it can be read and written");
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
        report.line(true, "rows", "what is counted agrees with what is there, and nothing is left in flight");
    }
}

async fn copy(from: &LedgerLocation, to: &LedgerLocation, clock: &Clock) -> anyhow::Result<Exit> {
    let copied = Ledger::transfer(from, to, clock).await.context("nothing was copied")?;
    let mut out = std::io::stdout();
    writeln!(out, "{:<16} {:>10}  SHA-256", "table", "rows")?;
    for table in &copied.tables {
        writeln!(out, "{:<16} {:>10}  {}", table.name, table.rows, &table.hash[..16])?;
    }
    let (from, to, rows) = (copied.from.display(), copied.to.display(), copied.rows());
    writeln!(out, "{from} -> {to}: {}, read back and the same", counted(rows, "row"))?;
    if copied.in_doubt > 0 {
        let doubts = counted_as(
            copied.in_doubt,
            "single send of a process that died is",
            "single sends of processes that died are",
        );
        writeln!(out, "{doubts} in doubt; see `mooncast runs`")?;
    }
    Ok(Exit::Delivered)
}
