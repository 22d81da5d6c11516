//! `mooncast store backup`, `restore` and `accept`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytesize::ByteSize;
use clap::Args;

use crate::clock::Clock;
use crate::delivery::{CrashPoint, FailPoint};
use crate::ledger::{BackupStep, Ledger, LedgerLocation, PendingRestore, ReplacedLedger};
use crate::message::counted;

use super::Exit;
use super::next::FollowUpCommands;

/// The maximum number of names that are listed of each kind.
const LISTED: usize = 20;

/// Write a backup of the whole ledger into one file, while daemons and runs go on
///
/// The file holds the ledger as it stands at one instant: broadcasts, recipients, messages, single sends, jobs and the
/// scripts' data. It holds no token of an app, no script and no setting. Only its owner can read it. It gets its name once
/// it is complete and checked.
///
/// Exit status: 0 it is written; 2 it is not, and no half file has that name.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write
    file: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    overwrite: bool,
}

/// Put a backup in the place of the ledger, which is kept under another name
///
/// Stop the daemon and all runs before; it refuses while one works on the ledger. The backup is checked before anything is
/// changed. A restored ledger does not know what was sent after the backup was taken: recipients that waited then are in
/// doubt, runs that went on then are interrupted, and nothing is sent until `mooncast store accept --yes`.
///
/// Exit status: 0 it is restored; 2 it is not, and the ledger is as it was.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `mooncast store backup` wrote
    file: PathBuf,
}

/// Let a restored ledger send again, after a look at what that releases
///
/// Without `--yes` it only shows what is not certain since the restore, and what to do about it.
///
/// Exit status: 0 nothing keeps the ledger from sending; 2 it was not accepted.
#[derive(Debug, Args)]
pub(super) struct AcceptArgs {
    /// Accept
    #[arg(long)]
    yes: bool,
    /// Run the jobs' times since the backup as far as their `missed` option asks for that; by default they are skipped
    #[arg(long)]
    run_missed: bool,
}

/// Ends the process at the step that a crash test names.
fn steps(fail_point: &FailPoint) -> impl Fn(BackupStep) {
    move |step| {
        fail_point.pass(match step {
            BackupStep::Written => CrashPoint::InBackup,
            BackupStep::Prepared => CrashPoint::BeforeRestore,
            BackupStep::Kept => CrashPoint::InRestore,
        });
    }
}

pub(super) async fn backup(
    args: BackupArgs,
    place: &LedgerLocation,
    clock: &Clock,
    fail_point: &FailPoint,
) -> anyhow::Result<Exit> {
    if let Some(file) = place.missing_file() {
        bail!("there is no ledger yet: no {}", file.display())
    }
    let taken = Ledger::back_up(place, &args.file, args.overwrite, clock, &steps(fail_point)).await;
    let taken = taken.context("no backup was written")?;
    let (from, to, at, size) =
        (taken.from.display(), args.file.display(), shown(taken.taken_at), ByteSize(taken.size));
    writeln!(std::io::stdout(), "{from} -> {to}: the ledger as of {at}, {size}, checked")?;
    Ok(Exit::Delivered)
}

pub(super) async fn restore(
    args: RestoreArgs,
    place: &LedgerLocation,
    state: &Path,
    clock: &Clock,
    fail_point: &FailPoint,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    let restored = Ledger::restore(place, &args.file, state, clock, &steps(fail_point)).await;
    let restored = restored.context("nothing was restored")?;
    let mut out = std::io::stdout();
    let (to, at) = (restored.to.display(), shown(restored.taken_at));
    writeln!(out, "{} -> {to}: the ledger as of {at}", args.file.display())?;
    match &restored.kept {
        Some(ReplacedLedger::File(file)) => writeln!(out, "the ledger that was there is {}", file.display())?,
        Some(ReplacedLedger::Backup(file)) => {
            writeln!(out, "a backup of the ledger that was there is {}", file.display())?;
        }
        None => {}
    }
    writeln!(out, "nothing is sent from it until `{} --yes`: first see what that releases", next.accept())?;
    let ledger = Ledger::open_at(place, clock.clone()).await?;
    if let Some(pending) = ledger.pending_restore().await? {
        describe(&pending, next, &mut out)?;
    }
    Ok(Exit::Delivered)
}

pub(super) async fn accept(
    args: AcceptArgs,
    place: &LedgerLocation,
    clock: &Clock,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    if let Some(file) = place.missing_file() {
        bail!("there is no ledger yet: no {}", file.display())
    }
    let ledger = Ledger::open_at(place, clock.clone()).await?;
    let mut out = std::io::stdout();
    let Some(pending) = ledger.pending_restore().await? else {
        writeln!(out, "{}: nothing waits to be accepted", ledger.path().display())?;
        return Ok(Exit::Delivered);
    };
    describe(&pending, next, &mut out)?;
    if !args.yes {
        writeln!(out, "nothing was accepted; `{} --yes` lets this ledger send again", next.accept())?;
        return Ok(Exit::Usage);
    }
    ledger.accept_restore(args.run_missed).await?;
    writeln!(out, "accepted: scripts and jobs send again from now on")?;
    Ok(Exit::Delivered)
}

/// A line about a restored ledger that is not accepted, for `store check` and `doctor`.
pub(super) fn line(pending: &PendingRestore) -> String {
    format!(
        "restored at {} from a backup of {}; nothing is sent until `mooncast store accept`",
        shown(pending.restored_at),
        shown(pending.taken_at)
    )
}

/// Prints what is uncertain since a restore, and what to do about it.
fn describe(
    pending: &PendingRestore,
    next: &FollowUpCommands,
    out: &mut impl std::io::Write,
) -> std::io::Result<()> {
    let taken = shown(pending.taken_at);
    writeln!(out, "not certain, as messages may have been sent after {taken}:")?;
    for broadcast in pending.broadcasts.iter().take(LISTED) {
        let (name, run) = (&broadcast.name, &broadcast.run);
        if broadcast.building {
            writeln!(
                out,
                "  {name}/{run}: its plan was not complete; the next run of its script sends all of it"
            )?;
            continue;
        }
        let (pending, in_doubt) = (broadcast.pending, broadcast.in_doubt);
        writeln!(out, "  {name}/{run}: {in_doubt} recipients in doubt, {pending} will be sent to")?;
        if in_doubt > 0 {
            let settle = next.command("settle", name, run);
            writeln!(out, "    they have it: {settle} --as-sent")?;
            writeln!(out, "    send to them:  {settle} --again")?;
        }
        if pending > 0 {
            writeln!(out, "    send to no one: {}", next.command("cancel", name, run))?;
        }
    }
    let more = pending.broadcasts.len().saturating_sub(LISTED);
    if more > 0 {
        writeln!(out, "  {}: mooncast runs list --unfinished", counted(more, "more broadcast"))?;
    }
    if pending.sends > 0 {
        writeln!(out, "  {} in doubt: mooncast runs list", counted(pending.sends, "single send"))?;
    }
    if pending.runs > 0 {
        let runs = counted(pending.runs, "run");
        let verbs = if pending.runs == 1 { "is interrupted and is" } else { "are interrupted and are" };
        writeln!(out, "  {runs} {verbs} not entered again: mooncast jobs list")?;
    }
    if !pending.jobs.is_empty() {
        let names: Vec<&str> = pending.jobs.iter().take(LISTED).map(String::as_str).collect();
        let more = if pending.jobs.len() > LISTED { ", …" } else { "" };
        let names = names.join(", ");
        writeln!(
            out,
            "  scheduled times since then of {names}{more}: skipped, unless --run-missed is added"
        )?;
    }
    writeln!(
        out,
        "  broadcasts and `once` keys that were first used after {taken} are not known: a script that runs again sends them again"
    )
}

fn shown(at: Duration) -> String {
    let at = i64::try_from(at.as_millis()).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.unwrap_or_default().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
