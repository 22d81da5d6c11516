//! Lists single sends in doubt, and settles them; and `mooncast runs settle`.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::clock::Clock;
use crate::control::{ControlError, send_views, settle_send};
use crate::ledger::{Ledger, SendRow};

use super::super::next::FollowUpCommands;
use super::super::{AppArgs, actor};
use super::show;
use super::which::BroadcastArgs;
use crate::core::one_line;

/// The maximum number of single sends that are listed.
const LISTED: u32 = 50;

/// The number of single sends that are settled at once.
const PAGE: u32 = 1000;

/// Settle what is in doubt: recipients of a broadcast, or single sends.
///
/// A single send that you settle `--as-sent` keeps its `once` key: the next call with the key returns the known
/// receipts, possibly none. With `--again` the key is free: the next call with the key sends.
#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    /// The broadcast: its number in `runs list`, its name, or NAME/RUN
    #[arg(required_unless_present_any = ["send", "once"], conflicts_with_all = ["send", "once"])]
    broadcast: Option<String>,
    /// The run, if you give only the name. Default: the newest run
    #[arg(long, value_name = "RUN", requires = "broadcast", conflicts_with_all = ["send", "once"])]
    run: Option<String>,
    /// The number of a single send in `runs list`, or `all`; can be repeated
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    send: Vec<SendNumber>,
    /// The `once` key of a single send; can be repeated
    #[arg(long, value_name = "KEY")]
    once: Vec<String>,
    #[command(flatten)]
    pub(super) how: SettleAsArgs,
    /// With `--again`: only recipients that the service did not accept, as its history proves
    #[arg(long, requires = "again", conflicts_with_all = ["send", "once", "as_sent", "from_service"])]
    pub(super) proven: bool,
    #[command(flatten)]
    pub(super) app: AppArgs,
}

/// How messages in doubt are settled.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct SettleAsArgs {
    /// Count it as sent
    #[arg(long)]
    pub(super) as_sent: bool,
    /// Send it again: recipients at the next resume, a single send at the next call with its `once` key
    #[arg(long)]
    pub(super) again: bool,
    /// Ask the service for its history files now, and settle what they show
    #[arg(long, conflicts_with_all = ["send", "once"])]
    pub(super) from_service: bool,
}

/// One single send by its number, or all of them.
#[derive(Debug, Clone, Copy)]
enum SendNumber {
    One(i64),
    All,
}

fn number(text: &str) -> Result<SendNumber, String> {
    match text.parse() {
        Ok(number) => Ok(SendNumber::One(number)),
        Err(_) if text == "all" => Ok(SendNumber::All),
        Err(_) => {
            Err("write the number from `mooncast runs list`, or `all`; for a `once` key, use `--once`"
                .to_owned())
        }
    }
}

pub(super) enum SettleTarget {
    Broadcast(BroadcastArgs),
    Sends(SendSelection),
}

#[derive(Debug, Default)]
pub(super) struct SendSelection {
    all: bool,
    numbers: Vec<i64>,
    keys: Vec<String>,
}

impl SettleArgs {
    /// Whether the service is asked, or its history is needed, so that the broadcast's app must be known.
    pub(super) const fn uses_records(&self) -> bool {
        self.how.from_service || self.proven
    }

    /// Parses the target.
    pub(super) fn of(&self) -> anyhow::Result<SettleTarget> {
        if let Some(broadcast) = &self.broadcast {
            return Ok(SettleTarget::Broadcast(BroadcastArgs::new(broadcast.clone(), self.run.clone())));
        }
        let mut wanted = SendSelection { keys: self.once.clone(), ..SendSelection::default() };
        for number in &self.send {
            match number {
                SendNumber::One(number) => wanted.numbers.push(*number),
                SendNumber::All => wanted.all = true,
            }
        }
        if wanted.all && (!wanted.numbers.is_empty() || !wanted.keys.is_empty()) {
            bail!("`--send all` selects every single send in doubt; remove the other selections");
        }
        Ok(SettleTarget::Sends(wanted))
    }
}

/// All single sends in doubt, the newest first, including those of dead processes.
pub(in super::super) async fn in_doubt(ledger: &Ledger) -> anyhow::Result<Vec<SendRow>> {
    ledger.reap_dead().await?;
    let mut all = Vec::new();
    let mut before = None;
    loop {
        let page = ledger.sends_in_doubt(before, PAGE).await?;
        let Some(last) = page.last() else { return Ok(all) };
        before = Some(last.id);
        all.extend(page);
    }
}

/// How many single sends and calls of `im.request` are in doubt, as a sentence.
pub(in super::super) fn summary(found: &[SendRow]) -> String {
    let calls = found.iter().filter(|send| send.is_request()).count();
    match (found.len(), calls) {
        (1, 0) => "1 single send is in doubt: it may have been sent".to_owned(),
        (1, _) => "1 call of im.request is in doubt: it may have been made".to_owned(),
        (many, 0) => format!("{many} single sends are in doubt: each may have been sent"),
        (many, calls) if calls == many => {
            format!("{many} calls of im.request are in doubt: each may have been made")
        }
        (many, _) => {
            format!("{many} single sends and calls of im.request are in doubt: each may have been sent")
        }
    }
}

/// Lists the single sends in doubt, and how to settle them. Prints nothing if there are none.
pub(super) async fn list(ledger: &Ledger, clock: &Clock, next: &FollowUpCommands) -> anyhow::Result<()> {
    let found = in_doubt(ledger).await?;
    let Some(first) = found.first() else { return Ok(()) };
    let mut out = std::io::stdout().lock();
    let listed = found.get(..LISTED as usize).unwrap_or(&found);
    let views = send_views(ledger, listed, clock.unix_time()).await?;
    let what = summary(&found);
    writeln!(out, "\n{what}")?;
    writeln!(out, "{:>6}  {:<25}  {:<20} {:<24} {:<24} why", "number", "since", "once", "to", "sent by")?;
    for (send, view) in listed.iter().zip(views) {
        writeln!(
            out,
            "{:>6}  {:<25}  {:<20} {:<24} {:<24} {}",
            send.id,
            show::format_time(send.updated_at),
            one_line(send.once.as_deref().unwrap_or("-")),
            view.to(),
            one_line(&send.origin),
            send.error.as_deref().unwrap_or_default(),
        )?;
        for line in view.doubts.iter().flat_map(show::doubt_lines) {
            writeln!(out, "        {line}")?;
        }
    }
    if found.len() > LISTED as usize {
        writeln!(out, "and {} older ones", found.len() - LISTED as usize)?;
    }
    let settle = next.settle_send(first.id);
    writeln!(
        out,
        "next: {settle} --as-sent, or --again to allow a second send; with --send all for all of them"
    )?;
    Ok(())
}

/// Settles the selected sends. If one of them is not in doubt, none is settled.
pub(super) async fn settle(ledger: &Ledger, wanted: &SendSelection, as_sent: bool) -> anyhow::Result<()> {
    let found = in_doubt(ledger).await?;
    let mut chosen: Vec<&SendRow> = Vec::new();
    if wanted.all {
        chosen.extend(&found);
    }
    for number in &wanted.numbers {
        let one = found.iter().find(|send| send.id == *number);
        chosen.push(one.with_context(|| {
            format!(
                "no single send in doubt has the number {number}; `mooncast runs list` lists those in doubt"
            )
        })?);
    }
    for key in &wanted.keys {
        let mut with = found.iter().filter(|send| send.once.as_ref() == Some(key));
        let one = with.next().with_context(|| {
            format!(
                "no single send with once = \"{key}\" is in doubt; `mooncast runs list` lists those in doubt"
            )
        })?;
        if let Some(other) = with.next() {
            bail!(
                "two apps have a single send in doubt with once = \"{key}\"; select one by its number: --send {} or --send {}",
                one.id,
                other.id
            );
        }
        chosen.push(one);
    }
    if chosen.is_empty() {
        return show::say("no single send is in doubt");
    }
    for send in chosen {
        let audit = actor::act(&format!("send.{}", super::settle_word(as_sent)), send.id.to_string());
        match ledger.audited(audit, settle_send(ledger, send.id, as_sent)).await {
            Ok(done) => show::say(&done.message)?,
            // Another process settled it meanwhile.
            Err(ControlError::Refused(why)) => show::say(&why)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
