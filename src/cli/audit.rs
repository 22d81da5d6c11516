//! `mooncast audit`: who did what.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::control::audit_csv;
use crate::core::parse_duration;
use crate::core::utc;
use crate::ledger::{AuditCheck, AuditEntry, AuditFilter, Ledger};

use super::runs::ledger_location;
use super::{Exit, GlobalArgs};
use crate::core::one_line;

/// How many entries are shown without `--since`, `--json` or `--csv`.
const SHOWN: u32 = 100;

/// How many entries are read at once.
const PAGE: u32 = 1000;

/// Shows who did what over the page, the API and the command line, and verifies that nothing in it was changed.
///
/// Without a command, lists the entries, the oldest first. Each entry has a hash over itself and the hash of the entry
/// before it. `[serve] keep_audit` says how long the daemon keeps entries.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    /// Use the simulator's ledger, that of `mooncast serve --simulator`
    #[arg(long, global = true)]
    simulator: bool,
    #[command(flatten)]
    list: ListArgs,
    #[command(subcommand)]
    command: Option<AuditCommand>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List entries, the oldest first: the newest 100, or all with `--since`, `--json` or `--csv`
    List(ListArgs),
    /// Verify that no entry was changed or removed. Exit status: 0 all are whole; 1 an entry is wrong, with its number
    Verify,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only entries from this time on: `2026-11-30`, `2026-11-30T08:00:00Z`, or an age such as `7d`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries of this actor: the name of a token, a user of the proxy, or a user of the system
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Print one JSON object per line, with all fields
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV with all fields
    #[arg(long)]
    csv: bool,
}

pub(super) fn run(args: AuditArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let location = ledger_location(&project, &settings, args.simulator || settings.simulator)?;
    let clock = Clock::real();
    clock.block_on(async {
        let ledger = Ledger::open_at(&location, clock.clone()).await?;
        match args.command {
            Some(AuditCommand::Verify) => verify(&ledger).await,
            Some(AuditCommand::List(args)) => list(&ledger, &clock, &args).await,
            None => list(&ledger, &clock, &args.list).await,
        }
    })?
}

async fn verify(ledger: &Ledger) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout();
    match ledger.verify_audit().await? {
        AuditCheck::Whole { last: 0, .. } => writeln!(out, "the audit has no entries yet")?,
        AuditCheck::Whole { first, last, hash } => {
            writeln!(out, "entries {first} to {last} are whole; the hash of {last} is {hash}")?;
        }
        AuditCheck::Wrong { number, why } => {
            writeln!(out, "entry {number} is wrong: {why}")?;
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Delivered)
}

async fn list(ledger: &Ledger, clock: &Clock, args: &ListArgs) -> anyhow::Result<Exit> {
    let since = args.since.as_deref().map(|text| instant_of(text, clock.unix_time())).transpose()?;
    let mut filter = AuditFilter { since, actor: args.actor.clone(), ..AuditFilter::default() };
    let mut out = std::io::stdout().lock();
    if since.is_none() && !args.json && !args.csv {
        let mut newest = ledger.audit(&filter, SHOWN).await?;
        newest.reverse();
        print(&mut out, &newest, args, true)?;
        return Ok(Exit::Delivered);
    }
    let mut begins = true;
    loop {
        filter.after = filter.after.or(Some(0));
        let page = ledger.audit(&filter, PAGE).await?;
        print(&mut out, &page, args, begins)?;
        begins = false;
        match page.last() {
            Some(last) if page.len() == PAGE as usize => filter.after = Some(last.number),
            _ => return Ok(Exit::Delivered),
        }
    }
}

fn print(
    out: &mut impl std::io::Write,
    entries: &[AuditEntry],
    args: &ListArgs,
    begins: bool,
) -> anyhow::Result<()> {
    if args.csv {
        return Ok(write!(out, "{}", audit_csv(entries, begins))?);
    }
    if begins && !args.json {
        if entries.is_empty() {
            return Ok(writeln!(out, "no entries")?);
        }
        writeln!(
            out,
            "{:>6} {:<20} {:<24} {:<6} {:<24} {:<28} details",
            "number", "time", "actor", "door", "act", "object"
        )?;
    }
    for entry in entries {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(entry)?)?;
            continue;
        }
        let AuditEntry { number, actor, door, act, object, details, .. } = entry;
        writeln!(
            out,
            "{number:>6} {:<20} {:<24} {door:<6} {act:<24} {:<28} {}",
            utc(entry.at()),
            one_line(actor),
            one_line(object),
            if details == "{}" { "".into() } else { one_line(details) }
        )?;
    }
    Ok(())
}

/// A day, a time, or the time before this age.
fn instant_of(text: &str, now: Duration) -> anyhow::Result<Duration> {
    if let Ok(age) = parse_duration(text) {
        return Ok(now.saturating_sub(age));
    }
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let time = text.parse::<jiff::Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
    time.and_then(|time| time.as_duration().try_into().ok()).with_context(|| {
        format!(
            "`{}` is not a time; write it like 2026-11-30, 2026-11-30T08:00:00Z ({} is now), or as an age like 7d",
            text.escape_debug(),
            utc(now)
        )
    })
}
