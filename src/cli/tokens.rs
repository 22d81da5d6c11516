//! `mooncast tokens`: the tokens for reading and acting on the page and its API.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret;

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::ledger::{Ledger, TokenRole};
use crate::web::{NewToken, mint};

use super::{Exit, GlobalArgs, apps};

/// Makes the tokens of the page and its API anew.
#[derive(Debug, Args)]
pub(super) struct TokensArgs {
    /// Those of a daemon that sends to the simulator
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// Make new tokens and show them, this once; the old ones are of no use any more
    Renew {
        /// Only the one of who may operate, or of who may read
        role: Option<RoleArg>,
    },
}

/// A role, as a word of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleArg {
    Operate,
    Read,
}

impl From<RoleArg> for TokenRole {
    fn from(which: RoleArg) -> Self {
        match which {
            RoleArg::Operate => Self::Operate,
            RoleArg::Read => Self::Read,
        }
    }
}

pub(super) fn run(args: &TokensArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let place = apps::place(&project, &settings, args.simulator);
    let TokensCommand::Renew { role } = args.command;
    let roles = role.map_or_else(|| TokenRole::ALL.to_vec(), |role| vec![TokenRole::from(role)]);
    let minted: Vec<NewToken> = roles.into_iter().map(mint).collect();
    let clock = Clock::real();
    clock.block_on(async {
        let ledger = Ledger::open_at(&place, clock.clone()).await?;
        let hashes: Vec<_> = minted.iter().map(|one| (one.role, one.hash.clone())).collect();
        ledger.keep_tokens(&hashes, true).await?;
        writeln!(std::io::stdout(), "{}", shown(&minted, None))?;
        Ok(Exit::Delivered)
    })?
}

/// The text that shows the tokens.
pub(super) fn shown(minted: &[NewToken], address: Option<SocketAddr>) -> String {
    let mut text = String::new();
    if let Some(address) = address {
        let _ = writeln!(text, "The page is at {address}. Its tokens, shown this once:");
    }
    for one in minted {
        let may = match one.role {
            TokenRole::Operate => "look and act",
            TokenRole::Read => "look",
        };
        let _ = writeln!(text, "  {:<8} {}  (may {may})", one.role.name(), one.token.expose_secret());
    }
    text + "Keep them as you keep passwords; `mooncast tokens renew` makes new ones."
}
