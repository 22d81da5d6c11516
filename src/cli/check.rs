//! `mooncast check`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, bail};
use clap::Args;

use crate::clock::Clock;
use crate::config::{AppFlags, AppLimits, Environment, FILE_NAME, Project, Settings};
use crate::daemon::scan;
use crate::delivery::Delivery;
use crate::forms::ScriptForm;
use crate::message::{ExtraNames, counted};
use crate::protocol::{LoadMode, ScriptError};
use crate::run::{
    Interrupt, ModuleSources, NO_OVERRIDE, NO_SUPPRESS, ProjectFiles, RunBuilder, RunEnd, RunError,
    announce_refused, request_refused,
};
use crate::schedule::Job;

use super::grants::GrantArgs;
use super::instants::TakenJobNames;
use super::{AppArgs, Exit, GlobalArgs, apps, instants, script};
use crate::core::one_line;
use crate::lint::{
    LintFinding, Linter, LiteralCall, LiteralScope, SuppressionGrant, SuppressionUse, WrittenPath,
};

/// Checks scripts for mistakes and sends nothing. It reads them to find syntax errors and misspelt names, then runs
/// them up to their first call that has an effect outside. Shows the next scheduled times of the jobs that they
/// declare.
///
/// Exit status: 0 nothing was found; 1 something was; 2 usage or configuration.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Scripts, or folders of scripts. Default: the project's folder `scripts`
    paths: Vec<PathBuf>,
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    grants: GrantArgs,
}

pub(super) fn run(args: &CheckArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let paths = if args.paths.is_empty() { vec![project_scripts(global)?] } else { args.paths.clone() };
    let mut files = Vec::new();
    for path in &paths {
        collect(path, global, &mut files).with_context(|| format!("{}", path.display()))?;
    }
    if files.is_empty() {
        bail!("there are no scripts in {}", shown(&paths));
    }
    let linter = Linter::new();
    let clock = Clock::real();
    let mut found = if args.paths.is_empty() { rules_without_scripts(args, global)? } else { 0 };
    let mut claims = TakenJobNames::default();
    for FileToCheck { path: file, left_out } in &files {
        let CheckedScript { name, mut findings, mut note, mut jobs } =
            examine(file, args, global, &linter, &clock)?;
        if let Some(why) = left_out.filter(|_| !jobs.is_empty()) {
            let many = jobs.len();
            note = Some(format!("1: `mooncast serve` does not load this file and its jobs ({many}): {why}"));
            jobs.clear();
        } else if file.to_str().is_none() {
            note = Some(format!(
                "1: `mooncast serve` does not load this file: {}",
                left_out.unwrap_or("its name is not UTF-8")
            ));
        }
        findings.extend(claims.take(&jobs));
        found += findings.len();
        let mut out = std::io::stdout().lock();
        for finding in findings.into_iter().chain(note) {
            // A closed pipe is not an error.
            let _ = writeln!(out, "{}:{finding}", one_line(&name));
        }
        for line in jobs.iter().flat_map(|job| instants::describe(job, clock.unix_time())) {
            // A closed pipe is not an error.
            let _ = writeln!(out, "{line}");
        }
    }
    let scripts = counted(files.len(), "script");
    let verdict = match found {
        0 => format!("{scripts}: no problems"),
        1 => format!("{scripts}: 1 problem"),
        many => format!("{scripts}: {many} problems"),
    };
    // A closed pipe is not an error.
    let _ = writeln!(std::io::stdout(), "{verdict}");
    Ok(if found == 0 { Exit::Delivered } else { Exit::Failed })
}

/// Names the rules of `[approval.scripts]` for scripts that are not there. Returns how many there are.
fn rules_without_scripts(args: &CheckArgs, global: &GlobalArgs) -> anyhow::Result<usize> {
    let project = global.project()?;
    let flags = AppFlags { offline: true, ..args.app.clone().into() };
    let settings = Settings::load(&project, &Environment::of_process(), &flags)?;
    let rules = settings.approval.without_scripts(&project.root);
    for rule in &rules {
        // A closed pipe is not an error.
        let _ = writeln!(std::io::stdout(), "{FILE_NAME}: {rule}");
    }
    Ok(rules.len())
}

/// The scripts folder of the current folder's project, as a relative path if possible.
fn project_scripts(global: &GlobalArgs) -> anyhow::Result<PathBuf> {
    let here = Path::new("scripts");
    if global.project.is_none() && here.is_dir() {
        return Ok(here.to_owned());
    }
    let project = global.project()?;
    Ok(project.root.join("scripts"))
}

/// The problems of one script, as `LINE: reason` or `LINE:COLUMN: reason`.
fn examine(
    file: &Path,
    args: &CheckArgs,
    global: &GlobalArgs,
    linter: &Linter,
    clock: &Clock,
) -> anyhow::Result<CheckedScript> {
    let (project, script) = script::open(file, global)?;
    let name = script.name.clone();
    let Ok(source) = std::str::from_utf8(&script.text) else {
        let findings = vec!["1: the file is not UTF-8 text".to_owned()];
        return Ok(CheckedScript { name, findings, note: None, jobs: Vec::new() });
    };
    let flags = AppFlags { offline: true, ..args.app.clone().into() };
    let (secret_files, extra) = Settings::load(&project, &Environment::of_process(), &flags)
        .map_or_else(|_| Default::default(), |found| (found.secret_files.clone(), extra_names(&found)));
    let sources = ModuleSources::new(&project, &file.canonicalize()?).without(&secret_files);
    let module_text = |module: &str| {
        let module = sources.find(module).ok()?;
        Some(String::from_utf8_lossy(&module.text).into_owned())
    };
    let look = linter.look(source, &module_text, &extra);
    let mut findings: Vec<String> = look.findings.iter().map(show).collect();
    // A syntax error is one finding, also where it hides a declaration.
    let said = |line, message: &str| {
        look.findings.iter().any(|found| found.line == line && message.ends_with(found.message.as_str()))
    };
    let wrong = ScriptForm::of(&script.text).err().filter(|wrong| !said(wrong.line, &wrong.message));
    findings.extend(wrong.map(|wrong| wrong.to_string()));
    let (mut note, mut jobs) = (None, Vec::new());
    if findings.is_empty() {
        let mut settings = Settings::load(&project, &Environment::of_process(), &flags)?;
        settings.permissions.extend(args.grants.permissions()?);
        findings.extend(refused_writes(&look.writes, &project, &settings, file)?);
        findings.extend(refused_announcements(&look.announces, &settings));
        findings.extend(refused_calls(&look.requests, &settings));
        findings.extend(refused_suppression(&look.suppression, &settings));
        let apps = stand_ins(&settings, clock)?;
        let load = |mode| {
            let mut run = RunBuilder::new(&project, &settings, &apps, clock, file, script.clone());
            run.load = mode;
            let run = run.build()?;
            let services = Rc::clone(&run.services);
            let ended = clock.block_on(run.run_until(Interrupt::default()))?;
            anyhow::Ok((ended, services.jobs.declared()))
        };
        let (mut ended, declared) = load(LoadMode::Check)?;
        jobs = declared;
        if !jobs.is_empty() && matches!(ended, RunEnd::Finished) {
            // The daemon loads it in this mode too, in which a top level only declares jobs.
            (ended, jobs) = load(LoadMode::Declare)?;
        }
        match ended {
            RunEnd::Finished | RunEnd::Interrupted => {}
            // A script that requires arguments fails without them, and the check has none to pass.
            RunEnd::Failed(RunError::Script(error))
                if look.arguments.is_some_and(|line| line <= reached(&name, &error)) =>
            {
                let position = position(&name, &error);
                note = Some(format!(
                    "{position} (only a note: the script takes arguments, and the check passes none)"
                ));
            }
            RunEnd::Failed(RunError::Script(error)) => findings.push(position(&name, &error)),
            RunEnd::Failed(failed) => findings.push(format!("1: {failed}")),
        }
    }
    Ok(CheckedScript { name, findings, note, jobs })
}

/// The fields that some app of the project sends unchecked.
fn extra_names(settings: &Settings) -> ExtraNames {
    let of_apps = |names: fn(&AppLimits) -> &Vec<String>| {
        settings.apps.iter().flat_map(|app| names(&app.limits)).cloned().collect()
    };
    ExtraNames {
        message: of_apps(|limits| &limits.extra_fields),
        body: of_apps(|limits| &limits.body_fields),
    }
}

/// The paths that a script writes to, written out in it, for which it has no permission.
fn refused_writes(
    writes: &[WrittenPath],
    project: &Project,
    settings: &Settings,
    file: &Path,
) -> anyhow::Result<Vec<String>> {
    let files = ProjectFiles::new(project, &settings.permissions, &settings.secret_files, Some(file))
        .with_context(|| format!("{}", project.root.display()))?;
    let refused = |WrittenPath { line, column, path }: &WrittenPath| {
        files.write_refused(path).map(|failure| format!("{line}:{column}: {}", failure.message))
    };
    Ok(writes.iter().filter_map(refused).collect())
}

/// The calls of `im.request`, written out in a script, for which it has no permission.
fn refused_calls(calls: &[LiteralCall], settings: &Settings) -> Vec<String> {
    let refused = |LiteralCall { line, column, method, path }: &LiteralCall| {
        let failure = request_refused(&settings.permissions, *method, path)?;
        Some(format!("{line}:{column}: {}", failure.message))
    };
    calls.iter().filter_map(refused).collect()
}

/// The users to whom a script announces, written out in it, for whom it has no permission.
fn refused_announcements(announces: &[LiteralScope], settings: &Settings) -> Vec<String> {
    let refused = |LiteralScope { line, column, scope }: &LiteralScope| {
        let failure = announce_refused(&settings.permissions.announce, *scope)?;
        Some(format!("{line}:{column}: {}", failure.message))
    };
    announces.iter().filter_map(refused).collect()
}

/// The uses of the permissions about the suppression list that are not granted.
fn refused_suppression(uses: &[SuppressionUse], settings: &Settings) -> Vec<String> {
    let refused = |SuppressionUse { line, column, needs }: &SuppressionUse| {
        let (granted, why) = match needs {
            SuppressionGrant::Suppress => (settings.permissions.suppress, NO_SUPPRESS),
            SuppressionGrant::Override => (settings.permissions.override_suppression, NO_OVERRIDE),
        };
        (!granted).then(|| format!("{line}:{column}: {why}"))
    };
    uses.iter().filter_map(refused).collect()
}

/// The line of the script's top level that led to an error.
fn reached(name: &str, error: &ScriptError) -> usize {
    let own = format!("{name}:");
    let top = error
        .traceback
        .iter()
        .rev()
        .find(|frame| frame.ends_with("in the main chunk") && frame.starts_with(&own));
    top.and_then(|frame| frame[own.len()..].split(':').next()?.parse().ok()).unwrap_or(0)
}

/// The findings of one script.
struct CheckedScript {
    name: String,
    findings: Vec<String>,
    /// A possible problem, or one that occurs only without arguments.
    note: Option<String>,
    /// The declared jobs.
    jobs: Vec<Rc<Job>>,
}

fn show(finding: &LintFinding) -> String {
    format!("{}:{}: {}", finding.line, finding.column, finding.message)
}

/// Formats an error with its location. An error in a module keeps the module's location.
fn position(name: &str, error: &ScriptError) -> String {
    if let Some(rest) = error.message.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
        return rest.to_owned();
    }
    let own = format!("{name}:");
    let line = error.traceback.iter().find_map(|frame| frame.strip_prefix(&own)?.split(':').next());
    format!("{}: {}", line.unwrap_or("1"), error.message)
}

/// The apps, for their limits only. The check sends nothing, so an app with default limits is enough if none is
/// configured.
fn stand_ins(settings: &Settings, clock: &Clock) -> anyhow::Result<Vec<Rc<Delivery>>> {
    let apps = if settings.apps.is_empty() { vec![apps::placeholder_app()] } else { settings.apps.clone() };
    apps.iter()
        .map(|app| Delivery::new(app, clock.clone(), None).map(Rc::new))
        .collect::<Result<_, _>>()
        .context("the app's address")
}

struct FileToCheck {
    path: PathBuf,
    /// Why `mooncast serve` does not load the file as a script.
    left_out: Option<&'static str>,
}

/// The Lua files below a path, sorted by name. The rule is that of `mooncast serve`.
fn collect(path: &Path, global: &GlobalArgs, files: &mut Vec<FileToCheck>) -> anyhow::Result<()> {
    let scripts = scripts_above(path, global)?;
    if !std::fs::metadata(path)?.is_dir() {
        let left_out =
            scripts.and_then(|scripts| scan::why_left_out(&scripts, &std::path::absolute(path).ok()?));
        files.push(FileToCheck { path: path.to_owned(), left_out });
        return Ok(());
    }
    let found = scan::scripts(path)?;
    let outside = found.scripts.into_iter().map(|path| FileToCheck { path, left_out: None });
    let others =
        found.left_out.into_iter().map(|left| FileToCheck { path: left.path, left_out: Some(left.why) });
    let mut all: Vec<FileToCheck> = outside.chain(others).collect();
    if let Some(scripts) = scripts {
        // A folder below the scripts folder is judged by its place in it.
        let full = std::path::absolute(path)?;
        for looked in &mut all {
            let below = looked.path.strip_prefix(path).unwrap_or(&looked.path);
            looked.left_out = scan::why_left_out(&scripts, &full.join(below));
        }
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    files.append(&mut all);
    Ok(())
}

/// The scripts folder of the project that contains a path, judged by the path's text. `None` if the path is
/// outside.
fn scripts_above(path: &Path, global: &GlobalArgs) -> anyhow::Result<Option<PathBuf>> {
    let full = std::path::absolute(path)?;
    let project = match &global.project {
        Some(_) => global.project()?,
        None => Project::of(Some(path))?,
    };
    let is_scripts = |folder: &&Path| {
        folder.file_name().is_some_and(|name| name == "scripts")
            && folder
                .parent()
                .and_then(|root| root.canonicalize().ok())
                .is_some_and(|root| root == project.root)
    };
    Ok(full.ancestors().find(is_scripts).map(Path::to_owned))
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
