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

use super::next::FollowUpCommands;
use super::{Exit, actor};

/// The maximum number of names that are listed of each kind.
const LISTED: usize = 20;

/// Write a backup of the whole ledger to one file, while daemons and runs continue
///
/// The file contains the ledger as of one point in time: broadcasts, recipients, messages, single sends, jobs and the
/// scripts' data. It contains no app tokens, scripts or settings. Only its owner can read it. The file appears under
/// its name only when it is complete and checked.
///
/// Exit status: 0 the backup was written; 2 it was not, and no incomplete file is left.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    overwrite: bool,
}

/// Replace the ledger with a backup, and keep the old ledger under another name
///
/// First stop the daemon and all runs; the command refuses to restore while one uses the ledger. It checks the backup
/// before it changes anything. A restored ledger does not contain what was sent after the backup: recipients that were
/// pending in the backup are in doubt, and runs that were active are interrupted. Nothing is sent until
/// `mooncast store accept --yes`.
///
/// Exit status: 0 the backup was restored; 2 it was not, and the ledger is unchanged.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// A file that `mooncast store backup` wrote
    file: PathBuf,
}

/// Show what is uncertain in a restored ledger, and with `--yes` let it send again
///
/// Without `--yes` it only shows what is uncertain since the restore, and what to do about it.
///
/// Exit status: 0 the ledger can send; 2 it was not accepted.
#[derive(Debug, Args)]
pub(super) struct AcceptArgs {
    /// Accept the restored ledger
    #[arg(long)]
    yes: bool,
    /// Run the scheduled times since the backup as the jobs' `missed` options say; by default they are skipped
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
    location: &LedgerLocation,
    clock: &Clock,
    fail_point: &FailPoint,
) -> anyhow::Result<Exit> {
    if let Some(file) = location.missing_file() {
        bail!("there is no ledger yet: no {}", file.display())
    }
    // An older ledger has no audit, and opening it would migrate it before the backup.
    let found = Ledger::inspect(location, clock).await.context("no backup was written")?;
    if found.version >= found.known && found.least <= found.known {
        let ledger = Ledger::open_at(location, clock.clone()).await.context("no backup was written")?;
        ledger.append_audit(&actor::act("ledger.backup", args.file.display().to_string())).await?;
    }
    let taken = Ledger::back_up(location, &args.file, args.overwrite, clock, &steps(fail_point)).await;
    let taken = taken.context("no backup was written")?;
    let (from, to, at, size) =
        (taken.from.display(), args.file.display(), shown(taken.taken_at), ByteSize(taken.size));
    writeln!(std::io::stdout(), "{from} -> {to}: the ledger as of {at}, {size}, checked")?;
    Ok(Exit::Delivered)
}

pub(super) async fn restore(
    args: RestoreArgs,
    location: &LedgerLocation,
    state: &Path,
    clock: &Clock,
    fail_point: &FailPoint,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    let act = actor::act("ledger.restore", args.file.display().to_string());
    let restored = Ledger::restore(location, &args.file, state, clock, &act, &steps(fail_point)).await;
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
    writeln!(
        out,
        "nothing is sent from it until you accept it with `{} --yes`; first check what is uncertain",
        next.accept()
    )?;
    let ledger = Ledger::open_at(location, clock.clone()).await?;
    if let Some(pending) = ledger.pending_restore().await? {
        describe(&pending, next, &mut out)?;
    }
    Ok(Exit::Delivered)
}

pub(super) async fn accept(
    args: AcceptArgs,
    location: &LedgerLocation,
    clock: &Clock,
    next: &FollowUpCommands,
) -> anyhow::Result<Exit> {
    if let Some(file) = location.missing_file() {
        bail!("there is no ledger yet: no {}", file.display())
    }
    let ledger = Ledger::open_at(location, clock.clone()).await?;
    let mut out = std::io::stdout();
    let Some(pending) = ledger.pending_restore().await? else {
        writeln!(out, "{}: no restored ledger waits to be accepted", ledger.path().display())?;
        return Ok(Exit::Delivered);
    };
    describe(&pending, next, &mut out)?;
    if !args.yes {
        writeln!(out, "nothing was accepted; `{} --yes` lets this ledger send again", next.accept())?;
        return Ok(Exit::Usage);
    }
    let audit = actor::act("ledger.accept", ledger.path().display().to_string());
    ledger.audited(audit, ledger.accept_restore(args.run_missed)).await?;
    writeln!(out, "accepted: scripts and jobs can send again")?;
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
    writeln!(out, "uncertain, because messages may have been sent after {taken}:")?;
    for broadcast in pending.broadcasts.iter().take(LISTED) {
        let (name, run) = (&broadcast.name, &broadcast.run);
        if broadcast.building {
            writeln!(
                out,
                "  {name}/{run}: its plan was incomplete; the next run of its script sends all of it"
            )?;
            continue;
        }
        let (pending, in_doubt) = (broadcast.pending, broadcast.in_doubt);
        writeln!(out, "  {name}/{run}: {in_doubt} recipients in doubt, {pending} will be sent to")?;
        if in_doubt > 0 {
            let settle = next.command("settle", name, run);
            writeln!(out, "    they have the message: {settle} --as-sent")?;
            writeln!(out, "    send it to them:       {settle} --again")?;
        }
        if pending > 0 {
            writeln!(out, "    send to none of them:  {}", next.command("cancel", name, run))?;
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
        writeln!(out, "  {runs} {verbs} not run again: mooncast jobs list")?;
    }
    if !pending.jobs.is_empty() {
        let names: Vec<&str> = pending.jobs.iter().take(LISTED).map(String::as_str).collect();
        let more = if pending.jobs.len() > LISTED { ", …" } else { "" };
        let names = names.join(", ");
        writeln!(out, "  scheduled times since then of {names}{more}: skipped, unless you add --run-missed")?;
    }
    writeln!(
        out,
        "  broadcasts and `once` keys that were first used after {taken} are unknown: a script that runs again sends them again"
    )
}

fn shown(at: Duration) -> String {
    let at = i64::try_from(at.as_millis()).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.unwrap_or_default().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
