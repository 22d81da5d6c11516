//! `mooncast runs edit`

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use crate::clock::Clock;
use crate::config::{AppFlags, Environment, Project, ScriptLimits, Settings};
use crate::core::sha256_hex;
use crate::ledger::{Broadcast, Ledger};
use crate::message::{IdKind, id_text};
use crate::protocol::LuaSource;
use crate::run::{DiscardOutput, RunBuilder};

use super::super::progress::TerminalOutput;
use super::super::rehearse::dry_run::DryRunConfig;
use super::super::repl::{TypedInput, reader};
use super::super::summary::RunSummary;
use super::super::{AppArgs, Exit, GlobalArgs, actor, apps, job, rehearse, run};
use super::which::BroadcastArgs;
use super::{FollowUpCommands, ledger_location};

/// The script of this command.
const SCRIPT: &str = include_str!("edit.lua");

/// The name of the script in errors and in the ledger.
const NAME: &str = "runs edit";

/// Edit the sent messages of a broadcast.
///
/// The command first shows what it edits, old and new, and what it cannot edit. Then it asks. The edit is a broadcast of
/// its own: it can be paused, resumed and cancelled, and the same command continues it. A text changes text messages;
/// of images, voice, video, files and places a script can change `ext`. Commands cannot be edited.
#[derive(Debug, Args)]
pub(super) struct EditArgs {
    #[command(flatten)]
    broadcast: BroadcastArgs,
    #[command(flatten)]
    change: ChangeArgs,
    /// The user who edits. Default: the service's default
    #[arg(long, value_name = "USER")]
    from: Option<String>,
    /// Only show what would be edited
    #[arg(long, conflicts_with = "yes")]
    rehearse: bool,
    /// Edit without showing it first and without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    app: AppArgs,
}

/// What the messages become.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ChangeArgs {
    /// The new text of all messages
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    text: Option<String>,
    /// A template of the new text, with the fields of each recipient and `message`, its message
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A Lua file that returns a function: it gets a recipient and its message, and returns the new text, or a table
    /// with `body`, `ext` or both, or nil to leave the message as it is
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

impl ChangeArgs {
    /// Returns the kind of change, its text, and the file that the text is from.
    fn read(&self) -> anyhow::Result<[String; 3]> {
        let (kind, file) = match (&self.text, &self.template, &self.script) {
            (Some(text), ..) => return Ok(["text".to_owned(), text.clone(), String::new()]),
            (_, Some(file), _) => ("template", file),
            (.., Some(file)) => ("script", file),
            _ => bail!("give --text, --template or --script"),
        };
        let shown = file.display().to_string();
        let mut text = std::fs::read_to_string(file).with_context(|| shown.clone())?;
        if kind == "template" {
            // Editors end a file with a line break, which is no part of the text.
            text.truncate(text.trim_end_matches(['\n', '\r']).len());
        }
        Ok([kind.to_owned(), text, shown])
    }
}

pub(super) fn run(
    args: &EditArgs,
    global: &GlobalArgs,
    project: &Project,
    simulator: bool,
) -> anyhow::Result<Exit> {
    let environment = Environment::of_process();
    let flags = AppFlags { offline: simulator, ..args.app.clone().into() };
    let settings = Settings::load(project, &environment, &flags)?;
    let clock = Clock::real();
    let found = find(&args.broadcast, project, &settings, simulator, &clock)?;
    let apps = apps::choose(project, &settings, simulator, &clock, &apps::fail_point(&environment)?)?;
    let app = apps.deliveries.iter().find(|app| app.key() == found.app_key);
    let app = app.with_context(|| format!("its app {} is not configured in this project", found.app_key))?;
    let change = args.change.read()?;
    if let Some(ledger) = &apps.ledger {
        let details = json!({ "change_sha256": sha256_hex(&change[1]), "from": args.from });
        ledger.begins(actor::act("broadcast.edit", found.full_name()).with(details));
    }
    let from = args.from.as_deref().map(|from| id_text("--from", from, IdKind::User)).transpose();
    let from = from.map_err(|problem| anyhow::anyhow!("{problem}"))?.unwrap_or_default();
    let mut words = vec![app.name().to_owned(), found.name.clone(), found.run.clone(), from.to_owned()];
    words.extend(change);
    let script = || LuaSource::new(NAME.to_owned(), SCRIPT.as_bytes().to_vec());
    // A long edit is no loop that hangs.
    let limits = ScriptLimits { timeout: None, ..settings.scripts };
    let file = project.root.join(NAME);
    let guard = if args.yes {
        None
    } else {
        let seed: u32 = rand::random();
        let config = DryRunConfig {
            project,
            settings: &settings,
            file: &file,
            script: script(),
            args: words.clone(),
            mounts: Vec::new(),
            job: None,
            limits: &limits,
            simulated: simulator,
            lists: false,
            targets: false,
            start: job::whole_seconds(clock.unix_time()),
            seed,
            output: Rc::new(DiscardOutput),
        };
        let Some(guard) = rehearse::preview(config)? else { return Ok(Exit::Failed) };
        if args.rehearse {
            return Ok(Exit::Delivered);
        }
        confirm(&clock, simulator)?;
        Some((guard, seed.into()))
    };
    let terminal = TerminalOutput::default();
    let mut run = RunBuilder::new(project, &settings, &apps.deliveries, &clock, &file, script());
    (run.args, run.limits, run.output) = (words, limits, Rc::new(terminal.clone()));
    if let Some((guard, seed)) = guard {
        run.seed = seed;
        run.hold_to(guard);
    }
    let run = run.build()?;
    let services = Rc::clone(&run.services);
    let (ended, elapsed) = run::shown_to_end(run, &apps, None, &clock, &terminal, global.log_format)?;
    let summary = RunSummary {
        edits: true,
        ended: &ended,
        counts: services.tally.counts(),
        elapsed,
        refused: services.broadcasts.refused(),
        broadcasts: &services.broadcasts.watched(),
        next: FollowUpCommands::new(global, project, simulator),
    };
    Ok(summary.report(global.log_format))
}

/// Finds the broadcast before a run of this command opens the ledger for itself.
fn find(
    broadcast: &BroadcastArgs,
    project: &Project,
    settings: &Settings,
    simulator: bool,
    clock: &Clock,
) -> anyhow::Result<Broadcast> {
    let location = ledger_location(project, settings, simulator)?;
    clock.block_on(async {
        let ledger = Ledger::open_at(&location, clock.clone()).await?;
        broadcast.find(&ledger).await
    })?
}

/// Asks before the messages of the configured app are edited.
fn confirm(clock: &Clock, simulator: bool) -> anyhow::Result<()> {
    if simulator {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "nothing was edited: Mooncast cannot ask first, because standard input is not a terminal; add `--yes` to edit, or `--rehearse` to see only the above"
        );
    }
    let reader = reader(None)?;
    match clock.block_on(reader.line("This edits the messages of the configured app. Edit? [y/N] "))? {
        TypedInput::Line(answer) if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") => Ok(()),
        _ => bail!("nothing was edited, because the answer was not `y`"),
    }
}
