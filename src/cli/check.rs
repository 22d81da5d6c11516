//! `mooncast check`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, bail};
use clap::Args;

use crate::clock::Clock;
use crate::config::{Environment, Settings};
use crate::delivery::Delivery;
use crate::host::{self, Ended, Failed, InterruptSwitch, Silence, Sources};
use crate::protocol::{Mode, ScriptError};

use super::apps::Apps;
use super::lint::{Finding, Linter};
use super::run::Grants;
use super::{AppArgs, Exit, Global, apps, run};

/// Looks for mistakes in scripts and sends nothing: reads them for errors of syntax and misspelt names, then loads
/// them up to their first call that would do something.
///
/// Exit status: 0 nothing was found; 1 something was; 2 usage or configuration.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Scripts, or folders of them
    #[arg(default_value = "scripts")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: Grants,
}

pub(super) fn run(args: &Check, global: &Global) -> anyhow::Result<Exit> {
    let mut files = Vec::new();
    for path in &args.paths {
        collect(path, &mut files).with_context(|| format!("{}", path.display()))?;
    }
    if files.is_empty() {
        bail!("no script is in {}", shown(&args.paths));
    }
    let linter = Linter::new();
    let clock = Clock::real();
    let mut found = 0;
    for file in &files {
        let (name, findings) = examine(file, args, global, &linter, &clock)?;
        found += findings.len();
        let mut out = std::io::stdout().lock();
        for finding in findings {
            // A reader that has gone has seen enough.
            let _ = writeln!(out, "{name}:{finding}");
        }
    }
    let scripts = if files.len() == 1 { "1 script".to_owned() } else { format!("{} scripts", files.len()) };
    let verdict = match found {
        0 => format!("{scripts}: nothing found"),
        1 => format!("{scripts}: 1 problem"),
        many => format!("{scripts}: {many} problems"),
    };
    // The same reader.
    let _ = writeln!(std::io::stdout(), "{verdict}");
    Ok(if found == 0 { Exit::Delivered } else { Exit::Failed })
}

/// The problems of one script, as `LINE: reason` or `LINE:COLUMN: reason`.
fn examine(
    file: &Path,
    args: &Check,
    global: &Global,
    linter: &Linter,
    clock: &Clock,
) -> anyhow::Result<(String, Vec<String>)> {
    let (project, script) = run::open(file, global)?;
    let name = script.name.clone();
    let Ok(source) = std::str::from_utf8(&script.text) else {
        return Ok((name, vec!["1: the file is not UTF-8 text".to_owned()]));
    };
    let sources = Sources::new(&project, &file.canonicalize()?);
    let mut findings: Vec<String> =
        linter.lint(source, &|module| sources.find(module).is_ok()).iter().map(show).collect();
    if findings.is_empty() {
        let mut settings = Settings::load(&project, &Environment::of_process(), &args.app.clone().into())?;
        settings.permissions.extend(args.grants.permissions()?);
        let apps = stand_ins(&settings, clock)?;
        let spec = run::spec(script, Mode::Check, Vec::new(), &settings.scripts);
        let services = Rc::new(run::services(&project, &settings, &apps, clock, file, Rc::new(Silence))?);
        let (_switch, interrupt) = InterruptSwitch::new();
        match clock.block_on(host::run(spec, services, interrupt))? {
            Ended::Finished | Ended::Interrupted => {}
            Ended::Failed(Failed::Script(error)) => findings.push(place(&name, &error)),
            Ended::Failed(failed) => findings.push(format!("1: {failed}")),
        }
    }
    Ok((name, findings))
}

fn show(finding: &Finding) -> String {
    format!("{}:{}: {}", finding.line, finding.column, finding.message)
}

/// An error's message begins with its place when that is in the script; one in a module keeps its own place.
fn place(name: &str, error: &ScriptError) -> String {
    if let Some(rest) = error.message.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
        return rest.to_owned();
    }
    let own = format!("{name}:");
    let line = error.traceback.iter().find_map(|frame| frame.strip_prefix(&own)?.split(':').next());
    format!("{}: {}", line.unwrap_or("1"), error.message)
}

/// The apps with their limits; nothing is ever asked of them, so without a configured one any will do.
fn stand_ins(settings: &Settings, clock: &Clock) -> anyhow::Result<Apps> {
    let apps = if settings.apps.is_empty() { vec![apps::stand_in()] } else { settings.apps.clone() };
    let deliveries = apps
        .iter()
        .map(|app| Delivery::new(app, clock.clone(), None).map(Rc::new))
        .collect::<Result<_, _>>()
        .context("the app's address")?;
    // A check opens no ledger.
    Ok(Apps { deliveries, ledger: PathBuf::new() })
}

/// The scripts below a path, in the order of their names; what begins with a dot is left out.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let is_script = path.extension().is_some_and(|extension| extension == "lua");
        if entry.file_type()?.is_dir() || is_script {
            collect(&path, files)?;
        }
    }
    Ok(())
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
