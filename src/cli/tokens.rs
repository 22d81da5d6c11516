//! `mooncast tokens`: the tokens of people and machines for the page and its API.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::core::utc;
use crate::core::{TokenRole, parse_duration};
use crate::ledger::{AccessToken, Ledger, LedgerError};
use crate::web::{FIRST_TOKENS, NewToken, mint};

use super::actor::act;
use super::{Exit, GlobalArgs, apps};

/// The maximum length of a name, in characters.
const LONGEST_NAME: usize = 64;

/// Adds, lists and revokes the tokens of people and machines for the page and its API.
///
/// Changes apply at once, on all hosts that use the ledger. The ledger stores only hashes of tokens.
#[derive(Debug, Args)]
pub(super) struct TokensArgs {
    /// Use the simulator's ledger, that of `mooncast serve --simulator`
    #[arg(long, global = true)]
    simulator: bool,
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// Create a token and show it once
    Add {
        /// The name of the person or machine that gets it: letters, digits, `.`, `_`, `-` and `@`
        name: String,
        /// What it may do: viewer (read), operator (also act), approver (also read the audit), admin (everything)
        #[arg(long, value_parser = role_of)]
        role: TokenRole,
        /// The time after which it is refused, for example 90d. Default: it never expires
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        expires: Option<Duration>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all tokens: their roles, when they were made and last used, and whether they are active
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token; it and its sessions are refused from the next request on
    Revoke {
        /// The name of the token
        name: String,
    },
    /// Create a token anew and show it once; the old one stops working
    Renew {
        /// The name of the token. Default: the first tokens, `operate` (admin) and `read` (viewer)
        name: Option<String>,
    },
}

fn role_of(word: &str) -> Result<TokenRole, String> {
    word.parse()
}

pub(super) fn run(args: &TokensArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let settings = Settings::load_offline(&project, &Environment::of_process())?;
    let location = apps::location(&project, &settings, args.simulator || settings.simulator);
    let clock = Clock::real();
    clock.block_on(async {
        let ledger = Ledger::open_at(&location, clock.clone()).await?;
        match &args.command {
            TokensCommand::Add { name, role, expires, json } => {
                check_name(name)?;
                if FIRST_TOKENS.iter().any(|(first, _)| first == name) {
                    bail!("`{name}` is reserved for a token that each new ledger gets, and that `mooncast tokens renew` replaces; choose another name");
                }
                let expires_at = expires.map(|life| clock.unix_time().saturating_add(life));
                let minted = mint(name, *role, role.name(), expires_at);
                let now = clock.unix_time();
                let active = ledger.tokens_of(name).await?.iter().any(|token| token.is_active(now));
                let added = async {
                    Ok(ledger.add_tokens(std::slice::from_ref(&minted.kept), false).await?.is_none())
                };
                let audit = act("token.add", name).with(json!({ "role": role, "expires": expires_at.map(utc) }));
                if active || !ledger.audited::<_, LedgerError>(audit, added).await? {
                    bail!(
                        "`{name}` has a token already; `mooncast tokens renew {name}` replaces it, `mooncast tokens revoke {name}` ends it"
                    );
                }
                let text = if *json { as_json(&minted).to_string() } else { shown(&[minted], None) };
                writeln!(std::io::stdout(), "{text}")?;
            }
            TokensCommand::List { json } => list(&ledger.tokens().await?, &clock, *json)?,
            TokensCommand::Revoke { name } => {
                let there = ledger.tokens_of(name).await?.iter().any(|token| token.revoked_at.is_none());
                if !there || !ledger.audited(act("token.revoke", name), ledger.revoke_token(name)).await? {
                    bail!("`{name}` has no token that could be revoked; `mooncast tokens list` shows all tokens");
                }
                writeln!(std::io::stdout(), "the token of {name} is revoked")?;
            }
            TokensCommand::Renew { name } => renew(&ledger, name.as_deref()).await?,
        }
        Ok(Exit::Delivered)
    })?
}

async fn renew(ledger: &Ledger, name: Option<&str>) -> anyhow::Result<()> {
    let first = FIRST_TOKENS.into_iter().filter(|(first, _)| name.is_none_or(|name| name == *first));
    let mut minted: Vec<NewToken> = first.map(|(name, role)| mint(name, role, name, None)).collect();
    if let (Some(name), true) = (name, minted.is_empty()) {
        let known = ledger.tokens_of(name).await?;
        let Some(newest) = known.first() else {
            bail!("`{name}` has no token; `mooncast tokens add {name} --role ROLE` makes one");
        };
        // The new one lives as long as the old one was to live.
        let life = newest.expires_at.map(|end| end.saturating_sub(newest.created_at));
        let expires_at = life.map(|life| Clock::real().unix_time().saturating_add(life));
        minted.push(mint(name, newest.role, newest.role.name(), expires_at));
    }
    let kept: Vec<_> = minted.iter().map(|one| one.kept.clone()).collect();
    let names: Vec<&str> = kept.iter().map(|one| one.name.as_str()).collect();
    ledger.audited(act("token.renew", names.join(", ")), ledger.add_tokens(&kept, true)).await?;
    Ok(writeln!(std::io::stdout(), "{}", shown(&minted, None))?)
}

/// Checks a name: it is part of a cookie and of log lines.
fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte));
    if name.is_empty() || name.len() > LONGEST_NAME || !plain {
        bail!(
            "`{}` cannot be the name of a token: use 1 to {LONGEST_NAME} letters, digits, `.`, `_`, `-` and `@`",
            name.escape_debug()
        );
    }
    Ok(())
}

fn as_json(minted: &NewToken) -> serde_json::Value {
    let kept = &minted.kept;
    json!({
        "name": kept.name,
        "role": kept.role,
        "token": minted.token.expose_secret(),
        "prefix": kept.prefix,
        "expires": kept.expires_at.map(utc),
    })
}

fn list(tokens: &[AccessToken], clock: &Clock, as_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let now = clock.unix_time();
    let state = |token: &AccessToken| match token.revoked_at {
        Some(at) => format!("revoked {}", utc(at)),
        None if token.is_active(now) => "active".to_owned(),
        None => "expired".to_owned(),
    };
    if as_json {
        let rows = tokens.iter().map(|token| {
            json!({
                "name": token.name,
                "role": token.role,
                "prefix": token.prefix,
                "active": token.is_active(now),
                "created": utc(token.created_at),
                "expires": token.expires_at.map(utc),
                "last_used": token.used_at.map(utc),
                "revoked": token.revoked_at.map(utc),
            })
        });
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&rows.collect::<Vec<_>>())?)?);
    }
    if tokens.is_empty() {
        return Ok(writeln!(out, "no tokens")?);
    }
    let at = |at: Option<Duration>| at.map_or_else(|| "never".to_owned(), utc);
    writeln!(
        out,
        "{:<24} {:<9} {:<22} {:<22} {:<22} {:<28} begins with",
        "name", "role", "created", "expires", "last used", "state"
    )?;
    for token in tokens {
        let AccessToken { name, role, prefix, .. } = token;
        let (created, expires, used) = (utc(token.created_at), at(token.expires_at), at(token.used_at));
        writeln!(
            out,
            "{name:<24} {role:<9} {created:<22} {expires:<22} {used:<22} {:<28} {prefix}",
            state(token)
        )?;
    }
    Ok(())
}

/// The text that shows new tokens.
pub(super) fn shown(minted: &[NewToken], address: Option<SocketAddr>) -> String {
    let mut text = String::new();
    if let Some(address) = address {
        let _ = writeln!(text, "The page is at {address}. Its tokens, shown this once:");
    }
    let width = minted.iter().map(|one| one.kept.name.len()).max().unwrap_or_default().max(8);
    for one in minted {
        let kept = &one.kept;
        let until = kept.expires_at.map_or_else(String::new, |end| format!(", expires {}", utc(end)));
        let (name, role, token) = (&kept.name, kept.role, one.token.expose_secret());
        let _ = writeln!(text, "  {name:<width$} {token}  ({role}: {}{until})", may(role));
    }
    text + "Keep them secret like passwords. `mooncast tokens add NAME --role ROLE` makes one for each person and machine."
}

const fn may(role: TokenRole) -> &'static str {
    match role {
        TokenRole::Viewer => "may only read",
        TokenRole::Operator => "may read and act",
        TokenRole::Approver => "may read, act and approve",
        TokenRole::Admin => "may do everything",
    }
}
