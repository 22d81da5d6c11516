//! `mooncast suppress`: the suppression list.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};

use crate::clock::Clock;
use crate::config::{Environment, Project, Settings};
use crate::control::{
    SuppressionRequest, SuppressionView, addition_act, removal_act, suppress, suppressions_csv, unsuppress,
};
use crate::core::{SuppressedKind, parse_duration};
use crate::ledger::{Ledger, Suppression, SuppressionFilter};
use crate::run::{RecipientFileOptions, read_recipients};

use super::runs::format_time;
use super::{Exit, GlobalArgs, actor, apps};

/// How many entries are read at once.
const PAGE: u32 = 1000;

/// Shows and changes the suppression list: groups, users and rooms to which nothing is sent.
///
/// No broadcast is sent to what is on the list: its recipients there are skipped, with the reason. A single message to
/// one is refused. Only messages with `override = true` and the permission `override_suppression` are sent.
#[derive(Debug, Args)]
pub(super) struct SuppressArgs {
    /// Use the simulator's ledger
    #[arg(long, global = true)]
    simulator: bool,
    /// The app, by its name in mooncast.toml. Default: the first one; `list` shows all apps
    #[arg(long, global = true, value_name = "NAME")]
    app: Option<String>,
    /// What the ids are: group, user or room. Default: group; `list` shows all
    #[arg(long, global = true, value_name = "KIND")]
    kind: Option<SuppressedKind>,
    #[command(subcommand)]
    command: SuppressCommand,
}

#[derive(Debug, Subcommand)]
enum SuppressCommand {
    /// Add ids; of an id that is there, the later end stays
    Add {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        how: AddArgs,
    },
    /// Remove ids
    Remove {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// List what is on the list now
    List {
        /// As a JSON list
        #[arg(long, conflicts_with = "csv")]
        json: bool,
        /// As CSV, for spreadsheets
        #[arg(long)]
        csv: bool,
    },
    /// Add the ids of a .csv, .xlsx, .json or .jsonl file, read as the recipients of a broadcast are
    ///
    /// A column `reason` gives each id its own reason. If one line is wrong, nothing is added.
    Import {
        file: PathBuf,
        /// The column or field with the ids. Default: `group_id`, `user_id` or `room_id`
        #[arg(long, value_name = "NAME")]
        id_column: Option<String>,
        /// The encoding of the text. Default: detected
        #[arg(long, value_name = "LABEL")]
        encoding: Option<String>,
        /// The sheet of a workbook. Default: the only one
        #[arg(long, value_name = "NAME")]
        sheet: Option<String>,
        #[command(flatten)]
        how: AddArgs,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long they stay on the list, for example 30d. Default: until they are removed
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires: Option<Duration>,
}

pub(super) fn run(args: SuppressArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.project()?;
    let environment = Environment::of_process();
    let settings = Settings::load_offline(&project, &environment)?;
    let simulator = args.simulator || settings.simulator;
    let app = app_key(&project, &settings, simulator, args.app.as_deref());
    let location = apps::location(&project, &settings, simulator);
    let kind = args.kind.unwrap_or_default();
    let (ids, how) = match args.command {
        SuppressCommand::List { json, csv } => {
            // A list of all apps needs none.
            let app = args.app.is_some().then_some(app).transpose()?;
            let clock = Clock::real();
            return clock.block_on(async {
                let ledger = Ledger::open_at(&location, clock.clone()).await?;
                list(&ledger, app.as_deref(), args.kind, json, csv).await?;
                Ok(Exit::Delivered)
            })?;
        }
        SuppressCommand::Remove { ids } => {
            let (app, clock) = (app?, Clock::real());
            return clock.block_on(async {
                let ledger = Ledger::open_at(&location, clock.clone()).await?;
                let audit = removal_act(&actor::actor(), &app, kind, &ids);
                let done = ledger.audited(audit, unsuppress(&ledger, &app, kind, &ids)).await?;
                writeln!(std::io::stdout(), "{}", done.message)?;
                Ok(Exit::Delivered)
            })?;
        }
        SuppressCommand::Add { ids, how } => (ids.into_iter().map(|id| (id, None)).collect(), how),
        SuppressCommand::Import { file, id_column, encoding, sheet, how } => {
            let options = RecipientFileOptions { id_column, encoding, sheet };
            let read = read_recipients(&file, kind.call(), options)
                .map_err(|what| anyhow!("{what}\nnothing was added to the suppression list"))?;
            writeln!(std::io::stderr(), "{} read as {}", file.display(), read.read_as)?;
            (read.ids, how)
        }
    };
    let (app, clock) = (app?, Clock::real());
    let caller = actor::actor();
    let named_caller = format!("{}@{}", caller.name, caller.host);
    clock.block_on(async {
        let ledger = Ledger::open_at(&location, clock.clone()).await?;
        let request = SuppressionRequest {
            app: &app,
            kind,
            ids: &ids,
            reason: how.reason.as_deref(),
            expires: how.expires,
            actor: &named_caller,
        };
        let done = ledger.audited(addition_act(&caller, &request), suppress(&ledger, request)).await?;
        writeln!(std::io::stdout(), "{}", done.message)?;
        Ok(Exit::Delivered)
    })?
}

/// The key of an app in the ledger.
fn app_key(
    project: &Project,
    settings: &Settings,
    simulator: bool,
    name: Option<&str>,
) -> anyhow::Result<String> {
    let names: Vec<&str> = settings.apps.iter().map(|app| app.name.as_str()).collect();
    let found = match name {
        None => settings.apps.first(),
        Some(name) => settings.apps.iter().find(|app| app.name == name),
    };
    match (found, name) {
        (Some(app), _) if simulator => Ok(format!("{}/{}", apps::SIMULATOR, app.name)),
        (Some(app), _) => Ok(app.key().to_owned()),
        (None, None | Some("default")) if simulator && names.is_empty() => {
            Ok(format!("{}/default", apps::SIMULATOR))
        }
        (None, Some(name)) if !names.is_empty() => {
            bail!("--app {name}: no app has this name; there is: {}", names.join(", "))
        }
        (None, _) => bail!("no app is configured in {}; `mooncast doctor` helps", project.root.display()),
    }
}

async fn list(
    ledger: &Ledger,
    app: Option<&str>,
    kind: Option<SuppressedKind>,
    json: bool,
    csv: bool,
) -> anyhow::Result<()> {
    let mut listed: Vec<Suppression> = Vec::new();
    loop {
        let after = listed.last().map(|last| (last.app_key.clone(), last.kind, last.id.clone()));
        let filter = SuppressionFilter {
            app_key: app,
            kind,
            after: after.as_ref().map(|(app, kind, id)| (app.as_str(), *kind, id.as_str())),
            limit: PAGE,
            ..SuppressionFilter::default()
        };
        let more = ledger.suppressions(&filter).await?;
        let is_last = more.len() < PAGE as usize;
        listed.extend(more);
        if is_last {
            break;
        }
    }
    let mut out = std::io::stdout().lock();
    if json || csv {
        let views: Vec<SuppressionView> = listed.iter().map(SuppressionView::from).collect();
        let text = if csv { suppressions_csv(&views) } else { serde_json::to_string_pretty(&views)? + "\n" };
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    if listed.is_empty() {
        writeln!(out, "nothing is on the suppression list")?;
    }
    let several = listed.iter().any(|one| Some(&one.app_key) != listed.first().map(|first| &first.app_key));
    for Suppression { app_key, kind, id, reason, actor, added_at, expires_at } in &listed {
        let until = expires_at.map_or_else(String::new, |at| format!(", until {}", format_time(at)));
        let reason = reason.as_deref().map_or_else(String::new, |reason| format!("  {reason}"));
        let of = if several { format!("  {app_key}") } else { String::new() };
        writeln!(out, "{kind:<5} {id}{reason}  (by {actor}, {}{until}){of}", format_time(*added_at))?;
    }
    Ok(())
}
