//! Selects the broadcast of a command.

use anyhow::{Context, bail};
use clap::Args;

use crate::ledger::{Broadcast, BroadcastFilter, BroadcastId, Ledger};

/// Which broadcast.
#[derive(Debug, Clone, Args)]
pub(super) struct BroadcastArgs {
    /// The broadcast: its number in `runs list`, its name, or NAME/RUN
    broadcast: String,
    /// The run, if you give only the name. Default: the newest run
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

impl BroadcastArgs {
    /// Selects the broadcast with this name or number, and optionally this run.
    pub(super) const fn new(broadcast: String, run: Option<String>) -> Self {
        Self { broadcast, run }
    }

    /// Finds the selected broadcast. If several have the name, the newest is taken.
    pub(super) async fn find(&self, ledger: &Ledger) -> anyhow::Result<Broadcast> {
        let named = &self.broadcast;
        if let Some(run) = &self.run {
            let found = newest(ledger, named, Some(run)).await?;
            return found.with_context(|| {
                format!("there is no broadcast `{named}` with the run `{run}`; `mooncast runs list` lists all broadcasts")
            });
        }
        if let Ok(number) = named.parse() {
            return Ok(ledger.show(BroadcastId(number)).await?);
        }
        if let Some(found) = newest(ledger, named, None).await? {
            return Ok(found);
        }
        if let Some((name, run)) = named.rsplit_once('/')
            && let Some(found) = newest(ledger, name, Some(run)).await?
        {
            return Ok(found);
        }
        bail!("there is no broadcast `{named}`; `mooncast runs list` lists all broadcasts")
    }
}

async fn newest(ledger: &Ledger, name: &str, run: Option<&str>) -> anyhow::Result<Option<Broadcast>> {
    let filter = BroadcastFilter { name: Some(name.to_owned()), ..BroadcastFilter::default() };
    let found = ledger.list(&filter).await?;
    Ok(found.into_iter().find(|broadcast| run.is_none_or(|run| broadcast.run == run)))
}
