//! Lists single sends in doubt, and settles them; and `mooncast runs settle`.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::control::{ControlError, SendView, settle_send};
use crate::ledger::{Ledger, SendRow};

use super::super::logging::one_line;
use super::super::next::FollowUpCommands;
use super::show;
use super::which::BroadcastArgs;

/// The maximum number of single sends that are listed.
const LISTED: u32 = 50;

/// The number of single sends that are settled at once.
const PAGE: u32 = 1000;

/// Settle what is in doubt: recipients of a broadcast, or single sends.
///
/// A single send that is settled as sent keeps its `once` key: the next call with it gives the receipts that are known,
/// which may be none. Settled `--again` its key is free: the next call with it sends.
#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    /// The broadcast: its number as `runs list` shows it, its name, or NAME/RUN
    #[arg(required_unless_present_any = ["send", "once"], conflicts_with_all = ["send", "once"])]
    broadcast: Option<String>,
    /// Its run, where the name alone is given; the newest by default
    #[arg(long, value_name = "RUN", requires = "broadcast")]
    run: Option<String>,
    /// A single send, by its number as `runs list` shows it, or `all` of them; can be repeated
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    send: Vec<SendNumber>,
    /// A single send, by its `once` key; can be repeated
    #[arg(long, value_name = "KEY")]
    once: Vec<String>,
    #[command(flatten)]
    pub(super) how: SettleAsArgs,
}

/// How what is in doubt is settled.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct SettleAsArgs {
    /// It counts as sent
    #[arg(long)]
    pub(super) as_sent: bool,
    /// It is sent again: recipients at the next resume, a single send by the next call with its `once` key
    #[arg(long)]
    pub(super) again: bool,
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
        Err(_) => Err(
            "give the number that `mooncast runs list` shows, or `all`; a `once` key is given with `--once`"
                .to_owned(),
        ),
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
            bail!("`--send all` means every single send in doubt; leave the others out");
        }
        Ok(SettleTarget::Sends(wanted))
    }
}

/// All single sends in doubt, the newest first, including those of dead processes.
async fn in_doubt(ledger: &Ledger) -> anyhow::Result<Vec<SendRow>> {
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

/// Lists the single sends in doubt, and how to settle them. Prints nothing if there are none.
pub(super) async fn list(ledger: &Ledger, next: &FollowUpCommands) -> anyhow::Result<()> {
    let found = in_doubt(ledger).await?;
    let Some(first) = found.first() else { return Ok(()) };
    let mut out = std::io::stdout().lock();
    let how_many = match found.len() {
        1 => "1 single send is in doubt: it may have been sent".to_owned(),
        many => format!("{many} single sends are in doubt: each may have been sent"),
    };
    writeln!(out, "\n{how_many}")?;
    writeln!(out, "{:>6}  {:<25}  {:<20} {:<24} {:<24} why", "number", "since", "once", "to", "sent by")?;
    for send in found.iter().take(LISTED as usize) {
        let view = SendView::from(send);
        writeln!(
            out,
            "{:>6}  {:<25}  {:<20} {:<24} {:<24} {}",
            send.id,
            show::instant(send.updated_at),
            one_line(send.once.as_deref().unwrap_or("-")),
            view.to(),
            one_line(&send.origin),
            send.error.as_deref().unwrap_or_default(),
        )?;
    }
    if found.len() > LISTED as usize {
        writeln!(out, "and {} older ones", found.len() - LISTED as usize)?;
    }
    let settle = next.settle_send(first.id);
    writeln!(
        out,
        "next: {settle} --as-sent, or --again to let it be sent again; --send all for all of them"
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
            format!("there is no single send {number} in doubt; `mooncast runs list` shows those that are")
        })?);
    }
    for key in &wanted.keys {
        let mut with = found.iter().filter(|send| send.once.as_ref() == Some(key));
        let one = with.next().with_context(|| {
            format!(
                "no single send with once = \"{key}\" is in doubt; `mooncast runs list` shows those that are"
            )
        })?;
        if let Some(other) = with.next() {
            bail!(
                "two apps have a single send in doubt with once = \"{key}\"; name one by its number: --send {} or --send {}",
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
        match settle_send(ledger, send.id, as_sent).await {
            Ok(done) => show::say(&done.message)?,
            // Another process settled it meanwhile.
            Err(ControlError::Refused(why)) => show::say(&why)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
